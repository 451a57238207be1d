#include "targets/riscv/hypervisor.h"

#include <utility>

#include "engine/machine.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/supervisor_timer.h"
#include "targets/riscv/traps.h"

namespace hindcast::riscv {
namespace {

constexpr unsigned kSstatus = 0x100, kSie = 0x104, kStvec = 0x105, kSenvcfg = 0x10a, kSstateen = 0x10c,
                   kSscratch = 0x140, kSip = 0x144, kStimecmp = 0x14d, kStimecmph = 0x15d, kSatp = 0x180;
constexpr unsigned kVstimecmph = 0x25d, kHtimedeltah = 0x615, kHenvcfgh = 0x61a, kHstateenh = 0x61c;
constexpr unsigned kGuestOffset = 0x100;  // from supervisor mode's to VS mode's

constexpr u64 kVssi = u64{1} << irq::kGuestSoftware;
constexpr u64 kVsstatusBits = mstatus::kSie | mstatus::kSpie | mstatus::kSpp | mstatus::kSum | mstatus::kMxr;

RiscvState& state_of(const Vcpu& vcpu) { return vcpu.state<RiscvState>(); }

u64 with_half(const RiscvArch& arch, u64 old, u64 value, bool high) {
  constexpr u64 kLow = 0xffff'ffff;
  if (high) return value << 32 | (old & kLow);
  return arch.xlen() == 32 ? (value & kLow) | (old & ~kLow) : value;
}
u64 half_of(const RiscvArch& arch, u64 value, bool high) { return high ? value >> 32 : arch.truncate(value); }

u64 vsstatus_mask(const RiscvArch& arch) {
  return kVsstatusBits | (arch.features().has(ext::F) ? mstatus::kFs : 0);
}

/// Of hgatp: the mode, the VMID and the root's page, which begins at a multiple of four.
u64 hgatp_mask(const RiscvArch& arch) { return arch.xlen() == 32 ? u64{0x9fff'fffc} : ~(u64{3} << 58 | 3); }

/// The modes have the same numbers as satp's.
bool hgatp_mode_exists(const RiscvArch& arch, u64 value) { return satp_mode_exists(arch, value); }

}  // namespace

unsigned guest_csr(unsigned number) {
  switch (number) {
    case kSstatus:
    case kSie:
    case kStvec:
    case kSscratch:
    case kSscratch + 1:
    case kSscratch + 2:
    case kSscratch + 3:
    case kSip:
    case kStimecmp:
    case kStimecmph:
    case kSatp: return number + kGuestOffset;
    default: return number;
  }
}

Verdict guest_csr_verdict(const RiscvArch& arch, const RiscvState& s, const CsrAccess& access,
                          bool in_hypervisor) {
  if (!in_hypervisor) return Verdict::Illegal;
  const unsigned number = access.number, level = number >> 8 & 3;
  const bool user = s.privilege == kUser;
  constexpr unsigned kHypervisorLevel = 2, kSeedNumber = kSeed;
  if (level == kHypervisorLevel || (user && level == kSupervisor) || number == kSeedNumber)
    return Verdict::Virtual;
  if ((find_csr(number)->needs & ext::kFloat) != 0 && (s.vsstatus & mstatus::kFs) == 0)
    return Verdict::Illegal;
  bool allowed = true;
  if ((number & 0xf60) == 0xc00) {
    const u64 enabled = s.hcounteren & (user ? s.scounteren : ~u64{0});
    allowed = (enabled >> (number & 31) & 1) != 0;
  }
  switch (number) {
    case kSatp: allowed = (s.hstatus & hstatus::kVtvm) == 0; break;
    case kStimecmp:
    case kStimecmph: allowed = (s.henvcfg & envcfg::kStce) != 0 && (s.hcounteren & 2) != 0; break;
    case kSenvcfg:
      allowed = !arch.features().has(ext::Smstateen) || (s.hstateen[0] & stateen::kEnvcfg) != 0;
      break;
    case kSstateen:
    case kSstateen + 1:
    case kSstateen + 2:
    case kSstateen + 3: allowed = (s.hstateen[number & 3] & stateen::kStateen) != 0; break;
    default: break;
  }
  return allowed ? Verdict::Allowed : Verdict::Virtual;
}

u64 refuse(Vcpu& vcpu, Verdict verdict, u64 bits) {
  vcpu.raise({verdict == Verdict::Virtual ? cause::kVirtualInsn : cause::kIllegalInsn, bits});
  return 0;
}

u64 henvcfg_mask(const RiscvArch& arch, const RiscvState& s) {
  u64 mask = envcfg::kFiom | (s.menvcfg & envcfg::kGuestMasked);
  if (arch.features().has(ext::Zicbom)) mask |= envcfg::kCbie | envcfg::kCbcfe;
  if (arch.features().has(ext::Zicboz)) mask |= envcfg::kCbze;
  return mask;
}

void settle_hypervisor_masks(const RiscvArch& arch, RiscvState& s) {
  if (!arch.features().has(ext::H)) return;
  s.henvcfg &= henvcfg_mask(arch, s);
  for (unsigned i = 0; i < 4; ++i) s.hstateen[i] &= s.mstateen[i];
}

bool hypervisor_keep_legal(const RiscvArch& arch, RiscvState& s) {
  s.guest_space = s.acting = 0;
  bool legal = true;
  const auto set = [&](u64& field, u64 value) { legal = std::exchange(field, value) == value && legal; };
  const bool here = arch.features().has(ext::H);
  const auto keep = [&](u64& field, u64 mask) { set(field, here ? field & mask : 0); };
  const u64 all = arch.truncate(~u64{0}), pc = all & ~u64{arch.insn_alignment() - 1};
  keep(s.virt, s.privilege == kMachine ? 0 : 1);
  keep(s.virtual_status, vstatus::kGva | vstatus::kMpv);
  keep(s.guest_lines, guest_line_mask(arch));
  keep(s.hstatus, hstatus::kWritable);
  keep(s.hedeleg, cause::kDelegableToGuest);
  keep(s.hideleg, irq::kGuestAll);
  keep(s.hvip, irq::kGuestAll);
  keep(s.hcounteren, 0xffff'ffff);
  keep(s.htimedelta, ~u64{0});
  keep(s.henvcfg, henvcfg_mask(arch, s));
  if ((s.henvcfg & envcfg::kCbie) >> envcfg::kCbieShift == 2) set(s.henvcfg, s.henvcfg & ~envcfg::kCbie);
  for (unsigned i = 0; i < 4; ++i) keep(s.hstateen[i], s.mstateen[i]);
  keep(s.hgatp, hgatp_mask(arch));
  if (!hgatp_mode_exists(arch, s.hgatp)) set(s.hgatp, 0);
  keep(s.vsstatus, vsstatus_mask(arch));
  keep(s.vstvec, (s.vstvec & 3) >= 2 ? all & ~u64{3} : all);
  keep(s.vsepc, pc);
  keep(s.vsatp, all);
  if (!satp_mode_exists(arch, s.vsatp)) set(s.vsatp, 0);
  for (u64* whole : {&s.htval, &s.htinst, &s.mtval2, &s.mtinst, &s.vsscratch, &s.vscause, &s.vstval})
    keep(*whole, all);
  keep(s.vstimecmp, arch.features().has(ext::Sstc) ? ~u64{0} : 0);
  return legal;
}

void hypervisor_state(const RiscvArch& arch, RiscvState& s, Archive& ar) {
  if (!arch.features().has(ext::H)) return;
  ar.field("virtual_status", s.virtual_status);
  ar.field("guest_lines", s.guest_lines);
}

// ---- CSRs

u64 vsstatus_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  u64 value = state_of(vcpu).vsstatus;
  if (arch.xlen() == 64) value |= u64{2} << mstatus::kUxlShift;
  if ((value & mstatus::kFs) == mstatus::kFs) value |= u64{1} << (arch.xlen() - 1);  // SD
  return value;
}

void vsstatus_write(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).vsstatus = value & vsstatus_mask(arch);
}

/// vsie and vsip have what hideleg leaves to the guest, where supervisor mode has its own.
u64 vsie_read(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  return (state_of(vcpu).mie & state_of(vcpu).hideleg) >> 1;
}

void vsie_write(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  s.mie = (s.mie & ~s.hideleg) | (value << 1 & s.hideleg);
}

u64 vsip_read(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  return (pending_of(state_of(vcpu)) & state_of(vcpu).hideleg) >> 1;
}

void vsip_write(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  const u64 mine = s.hideleg & kVssi;
  s.hvip = (s.hvip & ~mine) | (value << 1 & mine);
}

void vsatp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  if (!satp_mode_exists(arch, value)) return;
  s.vsatp = arch.truncate(value);
  s.guest_space = 0;
}

u64 hstatus_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  return state_of(vcpu).hstatus | (arch.xlen() == 64 ? u64{2} << hstatus::kVsxlShift : 0);
}

void hstatus_write(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).hstatus = value & hstatus::kWritable;
}

u64 hie_read(const RiscvArch&, const Vcpu& vcpu, unsigned) { return state_of(vcpu).mie & irq::kGuestAll; }

void hie_write(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  s.mie = (s.mie & ~irq::kGuestAll) | (value & irq::kGuestAll);
}

u64 hip_read(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  return pending_of(state_of(vcpu)) & irq::kGuestAll;
}

void hip_write(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  u64& hvip = state_of(vcpu).hvip;
  hvip = (hvip & ~kVssi) | (value & kVssi);
}

void hgatp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  if (!hgatp_mode_exists(arch, value)) return;
  s.hgatp = value & hgatp_mask(arch);
  s.guest_space = 0;
}

u64 htimedelta_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, state_of(vcpu).htimedelta, number == kHtimedeltah);
}

void htimedelta_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  u64& delta = state_of(vcpu).htimedelta;
  delta = with_half(arch, delta, value, number == kHtimedeltah);
  update_supervisor_timer(vcpu);
}

u64 vstimecmp_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, state_of(vcpu).vstimecmp, number == kVstimecmph);
}

void vstimecmp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  u64& compare = state_of(vcpu).vstimecmp;
  compare = with_half(arch, compare, value, number == kVstimecmph);
  update_supervisor_timer(vcpu);
}

u64 henvcfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, state_of(vcpu).henvcfg, number == kHenvcfgh);
}

void henvcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = state_of(vcpu);
  u64 whole = with_half(arch, s.henvcfg, value, number == kHenvcfgh);
  if ((whole & envcfg::kCbie) >> envcfg::kCbieShift == 2)  // reserved: stays as it is
    whole = (whole & ~envcfg::kCbie) | (s.henvcfg & envcfg::kCbie);
  const u64 old = std::exchange(s.henvcfg, whole & henvcfg_mask(arch, s)), changed = old ^ s.henvcfg;
  if ((changed & (envcfg::kAdue | envcfg::kPbmte)) != 0) vcpu.protection_changed();
  if ((changed & envcfg::kStce) != 0) update_supervisor_timer(vcpu);
}

u64 hstateen_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return half_of(arch, state_of(vcpu).hstateen[number & 3], (number & ~3u) == kHstateenh);
}

void hstateen_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = state_of(vcpu);
  u64& hstateen = s.hstateen[number & 3];
  hstateen = with_half(arch, hstateen, value, (number & ~3u) == kHstateenh) & s.mstateen[number & 3];
}

}  // namespace hindcast::riscv
