// CSRs by which a mode configures the less privileged ones (Privileged 1.12, sections 3.1.18, 3.1.19 and
// 4.1.10; Smstateen, Smepmp, Sstc and Cryptography Scalar 1.0, chapter 4).
#include <utility>

#include "engine/machine.h"
#include "targets/devices/model_registry.h"
#include "targets/riscv/aia.h"
#include "targets/riscv/csr.h"
#include "targets/riscv/hypervisor.h"
#include "targets/riscv/pmp.h"
#include "targets/riscv/supervisor_timer.h"

namespace hindcast::riscv {
namespace {

constexpr unsigned kSenvcfg = 0x10a, kFirstSstateen = 0x10c, kStimecmp = 0x14d, kStimecmph = 0x15d,
                   kVstimecmp = 0x24d, kVstimecmph = 0x25d, kHenvcfg = 0x60a, kFirstHstateen = 0x60c,
                   kHenvcfgh = 0x61a, kFirstHstateenh = 0x61c, kMenvcfgh = 0x31a, kMstateenh = 0x31c,
                   kMseccfgh = 0x757;

/// The low half with `value` in it, where registers have 32 bits; of the high half `high` tells.
u64 with_half(const RiscvArch& arch, u64 old, u64 value, bool high) {
  constexpr u64 kLow = 0xffff'ffff;
  if (high) return value << 32 | (old & kLow);
  return arch.xlen() == 32 ? (value & kLow) | (old & ~kLow) : value;
}
u64 half_of(const RiscvArch& arch, u64 value, bool high) { return high ? value >> 32 : arch.truncate(value); }

/// The fields that both envcfg registers have.
u64 senvcfg_mask(const RiscvArch& arch) {
  u64 mask = envcfg::kFiom;
  if (arch.features().has(ext::Zicbom)) mask |= envcfg::kCbie | envcfg::kCbcfe;
  if (arch.features().has(ext::Zicboz)) mask |= envcfg::kCbze;
  return mask;
}

u64 menvcfg_mask(const RiscvArch& arch) {
  u64 mask = senvcfg_mask(arch);
  if (arch.features().has(ext::Svadu)) mask |= envcfg::kAdue;
  if (arch.features().has(ext::Svpbmt)) mask |= envcfg::kPbmte;
  if (arch.features().has(ext::Sstc)) mask |= envcfg::kStce;
  return mask;
}

/// What a register with `old` in it holds after a write: the reserved kind of cbo.inval changes nothing.
u64 legal_envcfg(u64 old, u64 value, u64 mask) {
  const bool reserved = (value & envcfg::kCbie) >> envcfg::kCbieShift == 2;
  if (reserved) value = (value & ~envcfg::kCbie) | (old & envcfg::kCbie);
  return value & mask;
}

u64 mseccfg_mask(const RiscvArch& arch) {
  u64 mask = 0;
  if (arch.features().has(ext::Smepmp)) mask |= mseccfg::kMml | mseccfg::kMmwp | mseccfg::kRlb;
  if (arch.features().has(ext::Zkr)) {
    if (arch.features().has(ext::U)) mask |= mseccfg::kUseed;
    if (arch.features().has(ext::S)) mask |= mseccfg::kSseed;
  }
  return mask;
}

/// `vcpu`: null for what it can be at all.
u64 mstateen_mask(const RiscvArch& arch, const Vcpu* vcpu, unsigned n) {
  if (!arch.features().has(ext::Smstateen)) return 0;
  if (n != 0 || !arch.features().has(ext::S)) return stateen::kStateen;
  return stateen::kStateen | stateen::kEnvcfg | aia_stateen(arch, vcpu);
}

}  // namespace

u64 menvcfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, vcpu.state<RiscvState>().menvcfg, number == kMenvcfgh);
}

void menvcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = vcpu.state<RiscvState>();
  const u64 whole = with_half(arch, s.menvcfg, value, number == kMenvcfgh);
  const u64 old = std::exchange(s.menvcfg, legal_envcfg(s.menvcfg, whole, menvcfg_mask(arch)));
  settle_hypervisor_masks(arch, s);
  const u64 changed = old ^ s.menvcfg;
  if ((changed & (envcfg::kAdue | envcfg::kPbmte)) != 0) vcpu.protection_changed();
  if ((changed & envcfg::kStce) != 0) {
    s.mip &= ~(u64{1} << irq::kSupervisorTimer);  // who decides about it is another
    update_supervisor_timer(vcpu);
  }
}

void senvcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  u64& senvcfg = vcpu.state<RiscvState>().senvcfg;
  senvcfg = legal_envcfg(senvcfg, value, senvcfg_mask(arch));
}

u64 mstateen_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, vcpu.state<RiscvState>().mstateen[number & 3], (number & ~3u) == kMstateenh);
}

void mstateen_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  u64& mstateen = vcpu.state<RiscvState>().mstateen[number & 3];
  mstateen =
      with_half(arch, mstateen, value, (number & ~3u) == kMstateenh) & mstateen_mask(arch, &vcpu, number & 3);
  settle_hypervisor_masks(arch, vcpu.state<RiscvState>());
}

u64 mseccfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, vcpu.state<RiscvState>().mseccfg, number == kMseccfgh);
}

void mseccfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = vcpu.state<RiscvState>();
  u64 wanted = with_half(arch, s.mseccfg, value, number == kMseccfgh) & mseccfg_mask(arch);
  // The first two stay once they are set; the third cannot be set again while any entry is locked.
  wanted |= s.mseccfg & (mseccfg::kMml | mseccfg::kMmwp);
  if ((s.mseccfg & mseccfg::kRlb) == 0 && pmp_any_locked(s)) wanted &= ~mseccfg::kRlb;
  if (std::exchange(s.mseccfg, wanted) != wanted) pmp_changed(vcpu);
}

u64 stimecmp_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, vcpu.state<RiscvState>().stimecmp, number == kStimecmph);
}

void stimecmp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  u64& stimecmp = vcpu.state<RiscvState>().stimecmp;
  stimecmp = with_half(arch, stimecmp, value, number == kStimecmph);
  update_supervisor_timer(vcpu);
}

bool csr_configured(const RiscvArch& arch, const RiscvState& s, const CsrAccess& access, u64 privilege) {
  const bool machine = privilege == kMachine;
  switch (access.number) {
    case kSeed:
      if (!access.writes) return false;  // reading it uses it up
      return machine || (s.mseccfg & (privilege == kUser ? mseccfg::kUseed : mseccfg::kSseed)) != 0;
    case kStimecmp:
    case kStimecmph:
    case kVstimecmp:
    case kVstimecmph: return machine || ((s.menvcfg & envcfg::kStce) != 0 && (s.mcounteren & 2) != 0);
    case kSenvcfg:
    case kHenvcfg:
    case kHenvcfgh:
      return machine || !arch.features().has(ext::Smstateen) || (s.mstateen[0] & stateen::kEnvcfg) != 0;
    case kFirstSstateen:
    case kFirstSstateen + 1:
    case kFirstSstateen + 2:
    case kFirstSstateen + 3:
    case kFirstHstateen:
    case kFirstHstateen + 1:
    case kFirstHstateen + 2:
    case kFirstHstateen + 3:
    case kFirstHstateenh:
    case kFirstHstateenh + 1:
    case kFirstHstateenh + 2:
    case kFirstHstateenh + 3: return machine || (s.mstateen[access.number & 3] & stateen::kStateen) != 0;
    default: return true;
  }
}

bool keep_configuration(const RiscvArch& arch, RiscvState& s) {
  bool legal = true;
  const auto keep = [&](u64& field, u64 value) { legal = std::exchange(field, value) == value && legal; };
  const bool supervisor = arch.features().has(ext::S), user = arch.features().has(ext::U);
  keep(s.menvcfg, user ? legal_envcfg(0, s.menvcfg, menvcfg_mask(arch)) : 0);
  keep(s.senvcfg, supervisor ? legal_envcfg(0, s.senvcfg, senvcfg_mask(arch)) : 0);
  keep(s.mseccfg, s.mseccfg & mseccfg_mask(arch));
  for (unsigned i = 0; i < 4; ++i) keep(s.mstateen[i], s.mstateen[i] & mstateen_mask(arch, nullptr, i));
  if (!arch.features().has(ext::Sstc)) keep(s.stimecmp, 0);
  return legal;
}

u64 seed_read(Vcpu& vcpu) {
  constexpr u64 kReady = u64{2} << 30;
  const u8 request[4] = {2, 0, 0, 0};
  const Bytes bits = vcpu.machine().port().answer(InputKind::Entropy, devices::kCpuEntropyChannel, request);
  return kReady | (bits.size() < 2 ? 0 : u64{bits[0]} | u64{bits[1]} << 8);
}

}  // namespace hindcast::riscv
