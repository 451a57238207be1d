// Special registers (DDI 0403, B1.4 and B5.2) and wait instructions.
#include "targets/arm/system.h"

#include <utility>

#include "engine/machine.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/flags.h"
#include "targets/arm/fp_state.h"

namespace hindcast::arm {
namespace {

constexpr u32 kQ = 1 << 27, kT = 1 << 24, kGeShift = 16;
constexpr u32 kGeMask = 0xf << kGeShift;

}  // namespace

u32 read_xpsr(const ArmState& s) {
  const u32 it = (s.it & 3) << 25 | s.it >> 2 << 10;
  return read_nzcv(s) | (s.q != 0 ? kQ : 0) | it | (s.thumb != 0 ? kT : 0) | s.ge << kGeShift | s.ipsr;
}

void write_xpsr(ArmState& s, u32 value) {
  write_nzcv(s, value);
  s.q = (value & kQ) != 0 ? 1 : 0;
  s.it = (value >> 25 & 3) | (value >> 10 & 0x3f) << 2;
  s.thumb = (value & kT) != 0 ? 1 : 0;
  s.ge = value >> kGeShift & 0xf;
  s.ipsr = value & 0x1ff & (kExceptions - 1);
}

u32& stack_pointer(ArmState& s, u32 secure, bool process) {
  if (secure == s.secure && process == process_sp_in_use(s)) return s.r[kSp];
  return s.banks[secure].sp[process ? 1 : 0];
}

void select_sp(ArmState& s, bool process) {
  change_stack(s, [&] {
    u32& control = s.bank().control;
    control = process ? control | control::kSpsel : control & ~control::kSpsel;
  });
}

void switch_security(ArmState& s, u32 secure) {
  change_stack(s, [&] { s.secure = secure; });
}

namespace {

/// MRS and MSR reach the Non-secure state's registers from the Secure one by numbers with this bit.
constexpr u32 kNonSecureAlias = 0x80;

u32 read_control(const ArmState& s, u32 secure) {
  return s.banks[secure].control | (secure == kSecure ? s.fp_context : s.fp_context & control::kFpca);
}

/// The security state whose register is meant. False: there is none.
bool resolve_alias(const ArmState& s, u32* sysm, u32* secure) {
  *secure = s.secure;
  if ((*sysm & kNonSecureAlias) == 0) return true;
  *sysm &= ~kNonSecureAlias;
  *secure = kNonSecure;
  return s.secure == kSecure;
}

void write_control(const ArmArch& arch, ArmState& s, u32 secure, u32 value) {
  Bank& bank = s.banks[secure];
  const bool privileged = is_privileged(s);
  if (privileged) {
    if (arch.has(ext::Unprivileged))
      bank.control = (bank.control & ~control::kNpriv) | (value & control::kNpriv);
    const u32 spsel = value & control::kSpsel;
    if (arch.has(ext::V8) || !is_handler(s)) {
      change_stack(s, [&] { bank.control = (bank.control & ~control::kSpsel) | spsel; });
    }
  }
  if (!arch.has(ext::Vfp)) return;
  if (s.secure == kSecure && secure == kSecure)
    s.fp_context = (s.fp_context & ~control::kSfpa) | (value & control::kSfpa);
  if (privileged && (secure == kSecure || fp_allowed_to_non_secure(s)))
    s.fp_context = (s.fp_context & ~control::kFpca) | (value & control::kFpca);
}

/// FAULTMASK is set at priorities below those of HardFault and NMI only, by MSR as by CPS (DDI 0403, B5.2;
/// DDI 0553, C2.4), and cleared at all. Armv7-M's pseudocode of MSR would not let it be cleared under itself;
/// processors do.
void write_faultmask(const ArmArch& arch, ArmState& s, u32 secure, u32 value) {
  if (!arch.has(ext::Main)) return;
  if (value == 0 || execution_priority(s) > kPriorityHardFault) s.banks[secure].faultmask = value;
}

void write_stack_limit(const ArmArch& arch, ArmState& s, u32 secure, bool process, u32 value) {
  // Baseline has limits in the Secure state only.
  if (!arch.has(ext::V8) || (arch.features().baseline() && secure == kNonSecure)) return;
  s.banks[secure].sp_limit[process ? 1 : 0] = value & ~u32{7};
  update_stack_limit(s);
}

}  // namespace

u64 mrs_helper(Vcpu& vcpu, u64 sysm64, u64, u64) {
  const ArmState& s = vcpu.state<ArmState>();
  u32 sysm = static_cast<u32>(sysm64), secure = 0;
  if (sysm < 8) {  // APSR, IPSR and EPSR, which reads as 0, together
    const ArmArch& arch = arch_of(vcpu);
    u32 apsr = read_nzcv(s) | (s.q != 0 ? kQ : 0) | (arch.has(ext::Dsp) ? s.ge << kGeShift : 0);
    return ((sysm & 4) == 0 ? apsr : 0) | ((sysm & 1) != 0 ? s.ipsr : 0);
  }
  if (!resolve_alias(s, &sysm, &secure)) return 0;
  if (sysm == 20) return read_control(s, secure);
  if (!is_privileged(s)) return 0;
  const Bank& bank = s.banks[secure];
  const auto sp = [&](bool process) {
    const bool in_use = secure == s.secure && process == process_sp_in_use(s);
    return in_use ? s.r[kSp] : bank.sp[process ? 1 : 0];
  };
  switch (sysm) {
    case 8:
    case 9: return sp(sysm == 9);
    case 10:
    case 11: return bank.sp_limit[sysm - 10];
    case 16: return bank.primask;
    case 17:
    case 18: return bank.basepri;
    case 19: return bank.faultmask;
    case 24: return secure != s.secure ? sp(!is_handler(s) && (bank.control & control::kSpsel) != 0) : 0;
    default: return 0;
  }
}

u64 msr_helper(Vcpu& vcpu, u64 sysm_and_mask, u64 value64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const ArmArch& arch = arch_of(vcpu);
  u32 sysm = sysm_and_mask & 0xff, secure = 0;
  const u32 mask = static_cast<u32>(sysm_and_mask >> 8), value = static_cast<u32>(value64);
  const bool main = arch.has(ext::Main);
  if (sysm < 8) {
    if ((sysm & 4) != 0) return 0;
    if ((mask & 1) != 0 && arch.has(ext::Dsp)) s.ge = (value & kGeMask) >> kGeShift;
    if ((mask & 2) != 0) {
      write_nzcv(s, value);
      if (main) s.q = (value & kQ) != 0 ? 1 : 0;
    }
    return 0;
  }
  if (!resolve_alias(s, &sysm, &secure)) return 0;
  if (sysm == 20) {
    write_control(arch, s, secure, value);
    return 0;
  }
  if (!is_privileged(s)) return 0;
  Bank& bank = s.banks[secure];
  const u32 basepri = value & s.priority_mask;
  switch (sysm) {
    case 8:
    case 9: stack_pointer(s, secure, sysm == 9) = value & ~u32{3}; break;
    case 10:
    case 11: write_stack_limit(arch, s, secure, sysm == 11, value); break;
    case 16: bank.primask = value & 1; break;
    case 17:
      if (main) bank.basepri = basepri;
      break;
    case 18:
      if (main && basepri != 0 && (basepri < bank.basepri || bank.basepri == 0)) bank.basepri = basepri;
      break;
    case 19: write_faultmask(arch, s, secure, value & 1); break;
    case 24: {  // SP_NS, whose limit counts
      if (secure == s.secure) break;
      const bool process = !is_handler(s) && (bank.control & control::kSpsel) != 0;
      const u32 sp = value & ~u32{3};
      if (sp < bank.sp_limit[process ? 1 : 0] && stack_limit_applies(s, secure)) {
        vcpu.raise({fault_cause(exc::kUsageFault, cfsr::kStkOf), 0});
      } else {
        bank.sp[process ? 1 : 0] = sp;
      }
      break;
    }
    default: break;
  }
  return 0;
}

u64 cps_helper(Vcpu& vcpu, u64 disable, u64 which, u64) {
  ArmState& s = vcpu.state<ArmState>();
  if (!is_privileged(s)) return 0;
  const u32 value = disable != 0 ? 1 : 0;
  if ((which & 2) != 0) s.bank().primask = value;
  if ((which & 1) != 0) write_faultmask(arch_of(vcpu), s, s.secure, value);
  return 0;
}

u64 wfi_helper(Vcpu& vcpu, u64, u64, u64) {
  vcpu.state<ArmState>().waits_for_event = 0;
  if (!vcpu.arch().wakes(vcpu)) vcpu.halt();
  return 0;
}

u64 wfe_helper(Vcpu& vcpu, u64, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  s.waits_for_event = 1;
  if (std::exchange(s.event, 0) == 0 && !vcpu.arch().wakes(vcpu)) vcpu.halt();
  return 0;
}

}  // namespace hindcast::arm
