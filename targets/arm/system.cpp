// Special registers (DDI 0403, B1.4 and B5.2) and wait instructions.
#include "targets/arm/system.h"

#include <utility>

#include "engine/machine.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/flags.h"

namespace hindcast::arm {
namespace {

constexpr u32 kQ = 1 << 27, kT = 1 << 24, kGeShift = 16;
constexpr u32 kGeMask = 0xf << kGeShift;

bool process_sp_in_use(const ArmState& s) { return !is_handler(s) && (s.control & control::kSpsel) != 0; }

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

u32 read_sp(const ArmState& s, bool process) {
  return process_sp_in_use(s) == process ? s.r[kSp] : s.other_sp;
}

void write_sp(ArmState& s, bool process, u32 value) {
  (process_sp_in_use(s) == process ? s.r[kSp] : s.other_sp) = value & ~u32{3};
}

void select_sp(ArmState& s, bool process) {
  const bool before = process_sp_in_use(s);
  s.control = process ? s.control | control::kSpsel : s.control & ~control::kSpsel;
  if (process_sp_in_use(s) != before) std::swap(s.r[kSp], s.other_sp);
}

u64 mrs_helper(Vcpu& vcpu, u64 sysm, u64, u64) {
  const ArmState& s = vcpu.state<ArmState>();
  const bool privileged = is_privileged(s);
  if (sysm < 8) {  // APSR, IPSR and EPSR, which reads as 0, together
    const ArmArch& arch = arch_of(vcpu);
    u32 apsr = read_nzcv(s) | (s.q != 0 ? kQ : 0) | (arch.has(ext::Dsp) ? s.ge << kGeShift : 0);
    return ((sysm & 4) == 0 ? apsr : 0) | ((sysm & 1) != 0 ? s.ipsr : 0);
  }
  if (sysm == 20) return s.control;
  if (!privileged) return 0;
  switch (sysm) {
    case 8:
    case 9: return read_sp(s, sysm == 9);
    case 16: return s.primask;
    case 17:
    case 18: return s.basepri;
    case 19: return s.faultmask;
    default: return 0;
  }
}

u64 msr_helper(Vcpu& vcpu, u64 sysm_and_mask, u64 value64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const ArmArch& arch = arch_of(vcpu);
  const u32 sysm = sysm_and_mask & 0xff, mask = static_cast<u32>(sysm_and_mask >> 8);
  const u32 value = static_cast<u32>(value64);
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
  if (!is_privileged(s)) return 0;
  const u32 basepri = value & 0xff & ~((u32{1} << (8 - arch.features().model->priority_bits)) - 1);
  switch (sysm) {
    case 8:
    case 9: write_sp(s, sysm == 9, value); break;
    case 16: s.primask = value & 1; break;
    case 17:
      if (main) s.basepri = basepri;
      break;
    case 18:
      if (main && basepri != 0 && (basepri < s.basepri || s.basepri == 0)) s.basepri = basepri;
      break;
    case 19:
      if (main && ((value & 1) == 0 || execution_priority(s) > kPriorityHardFault)) s.faultmask = value & 1;
      break;
    case 20:
      if (arch.has(ext::Unprivileged)) s.control = (s.control & ~control::kNpriv) | (value & control::kNpriv);
      if (!is_handler(s)) select_sp(s, (value & control::kSpsel) != 0);
      if (arch.has(ext::Vfp)) s.control = (s.control & ~control::kFpca) | (value & control::kFpca);
      break;
    default: break;
  }
  return 0;
}

u64 cps_helper(Vcpu& vcpu, u64 disable, u64 which, u64) {
  ArmState& s = vcpu.state<ArmState>();
  if (!is_privileged(s)) return 0;
  const u32 value = disable != 0 ? 1 : 0;
  if ((which & 2) != 0) s.primask = value;
  if ((which & 1) != 0 && arch_of(vcpu).has(ext::Main) &&
      (value == 0 || execution_priority(s) > kPriorityHardFault)) {
    s.faultmask = value;
  }
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
