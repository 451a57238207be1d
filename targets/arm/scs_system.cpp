// The system control block (DDI 0403, B3.2.2; DDI 0553, D1.2).
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_state.h"
#include "targets/arm/scs.h"
#include "targets/arm/scs_bits.h"
#include "targets/devices/reset_control.h"

namespace hindcast::arm {
namespace {

constexpr u32 kVectKey = 0x05fa0000, kVectKeyRead = 0xfa050000;
constexpr u32 kMonEnable = 1 << 16, kMonPend = 1 << 17;
constexpr u32 kBusFaultStatus = 0xff00;
constexpr u32 kUsable = cfsr::kIaccViol | cfsr::kDaccViol | cfsr::kMunstkErr | cfsr::kMstkErr |
                        cfsr::kMlspErr | cfsr::kMmarValid | cfsr::kIbusErr | cfsr::kPrecisErr |
                        cfsr::kImprecisErr | cfsr::kUnstkErr | cfsr::kStkErr | cfsr::kLspErr |
                        cfsr::kBfarValid | cfsr::kUndefInstr | cfsr::kInvState | cfsr::kInvPc | cfsr::kNoCp |
                        cfsr::kStkOf | cfsr::kUnaligned | cfsr::kDivByZero;

/// SHCSR's bits for the state of exceptions.
struct ShcsrBit {
  unsigned bit, exception;
};
constexpr ShcsrBit kActiveBits[] = {{0, exc::kMemManage},   {1, exc::kBusFault}, {3, exc::kUsageFault},
                                    {4, exc::kSecureFault}, {7, exc::kSvc},      {8, exc::kDebugMonitor},
                                    {10, exc::kPendSv},     {11, exc::kSysTick}};
/// Armv8-M only.
constexpr ShcsrBit kActiveBits8[] = {{2, exc::kHardFault}, {5, exc::kNmi}};
constexpr ShcsrBit kPendingBits[] = {{12, exc::kUsageFault},
                                     {13, exc::kMemManage},
                                     {14, exc::kBusFault},
                                     {15, exc::kSvc},
                                     {20, exc::kSecureFault}};
constexpr ShcsrBit kPendingBits8[] = {{21, exc::kHardFault}};
constexpr ShcsrBit kEnableBits[] = {
    {16, exc::kMemManage}, {17, exc::kBusFault}, {18, exc::kUsageFault}, {19, exc::kSecureFault}};

}  // namespace

u32 Scs::read_icsr() const {
  const ArmState& s = cpu();
  u32 pending = number_of(s.pending_exception);
  // From Armv8.1-M on the Non-secure state does not see which it is if it is the Secure state's.
  const bool hidden = arch().has(ext::V81) && !owner();
  if (pending != 0 && hidden && security_of(s, s.pending_exception) == kSecure) pending = 1;
  u32 value = s.ipsr | pending << 12;
  bool nested = false;
  for_each_slot(s.active, [&](unsigned n) { nested = nested || number_of(n) != s.ipsr; });
  if (!nested) value |= 1 << 11;  // RETTOBASE: nothing to return to but Thread mode
  for (unsigned n = exc::kFirstIrq; n < kExceptions; ++n)
    if (s.pending.has(n)) value |= 1 << 22;
  if (s.pending.has(slot(exc::kSysTick))) value |= 1 << 26;
  if (s.pending.has(slot(exc::kPendSv))) value |= 1 << 28;
  if (s.pending.has(exc::kNmi) && owns_faults()) value |= u32{1} << 31;
  return value;
}

void Scs::write_icsr(u32 value) {
  Vcpu& vcpu = machine_.vcpu(0);
  const bool nmi = owns_faults();
  if ((value >> 31) != 0 && nmi) set_pending(vcpu, exc::kNmi, true);
  if ((value >> 30 & 1) != 0 && nmi && arch().has(ext::V8)) set_pending(vcpu, exc::kNmi, false);
  if ((value >> 28 & 1) != 0)
    set_pending(vcpu, slot(exc::kPendSv), true);
  else if ((value >> 27 & 1) != 0)
    set_pending(vcpu, slot(exc::kPendSv), false);
  if ((value >> 26 & 1) != 0)
    set_pending(vcpu, slot(exc::kSysTick), true);
  else if ((value >> 25 & 1) != 0)
    set_pending(vcpu, slot(exc::kSysTick), false);
}

u32 Scs::read_aircr() const {
  const ArmState& s = cpu();
  u32 value = kVectKeyRead | bank().prigroup << 8;
  if (s.has_security != 0) value |= secure_ == kSecure ? s.aircr : s.aircr & aircr::kBfhfnmins;
  return value;
}

void Scs::write_aircr(u32 value) {
  ArmState& s = cpu();
  if ((value & 0xffff0000) != kVectKey) return;
  if (main()) bank().prigroup = value >> 8 & 7;
  const bool may_reset = owner() || (s.aircr & aircr::kSysResetReqS) == 0;
  if ((value & (arch().has(ext::V8) ? 4 : 5)) != 0 && may_reset)
    devices::request_reset(machine_, devices::ResetCause::Processor);
  if (secure_ != kSecure) return;
  constexpr u32 kBits = aircr::kPris | aircr::kBfhfnmins | aircr::kSysResetReqS;
  s.aircr = value & kBits;
  // Without it the Non-secure HardFault can be pending, but does not preempt.
  s.enabled.set(exc::kHardFault, (s.aircr & aircr::kBfhfnmins) != 0);
}

/// CCR's bits that can be written.
u32 Scs::ccr_bits() const {
  if (!main()) return 0;
  u32 bits = ccr::kUserSetMpend | ccr::kUnalignTrap | ccr::kDiv0Trap;
  if (arch().has(ext::V8)) {
    bits |= ccr::kStkOfHfNmiGn;
    if (arch().has(ext::V81) && secure_ == kSecure) bits |= ccr::kTrd;
    return bits;
  }
  return bits | ccr::kNonBaseThread | ccr::kBfhfnmign | ccr::kStkAlign;
}

u32 Scs::read_fpccr() const {
  const ArmState& s = cpu();
  if (owner()) return bank().fpccr;
  u32 shared = fpccr::kLspen | fpccr::kClrOnRet | fpccr::kMonrdy;
  if (owns_faults()) shared |= fpccr::kBfrdy | fpccr::kHfrdy;
  return (s.banks[kSecure].fpccr & shared) | s.banks[kNonSecure].fpccr;
}

void Scs::write_fpccr(u32 value) {
  ArmState& s = cpu();
  if (!arch().has(ext::V8)) {
    constexpr u32 kBits = 0xc000017b;  // what Armv7-M has
    bank().fpccr = value & kBits;
    return;
  }
  constexpr u32 kOwn = fpccr::kLspact | fpccr::kUser | fpccr::kThread | fpccr::kMmrdy | fpccr::kSplimViol |
                       fpccr::kUfrdy | fpccr::kAspen;
  u32 shared = fpccr::kMonrdy;
  if (owns_faults()) shared |= fpccr::kBfrdy | fpccr::kHfrdy;
  u32& common = s.banks[fp_common_bank(s)].fpccr;
  if (secure_ == kSecure)
    shared |= fpccr::kLspenS | fpccr::kClrOnRetS | fpccr::kSfrdy | fpccr::kSecure | fpccr::kTs;
  if (owner() || (common & fpccr::kLspenS) == 0) shared |= fpccr::kLspen;
  if (owner() || (common & fpccr::kClrOnRetS) == 0) shared |= fpccr::kClrOnRet;
  common = merge(common, value, shared);
  bank().fpccr = merge(bank().fpccr, value, kOwn);
}

u32 Scs::read_shcsr() const {
  const ArmState& s = cpu();
  u32 value = 0;
  const auto add = [&](const auto& bits, const ExceptionSet& set) {
    for (const ShcsrBit& b : bits)
      if (sees(b.exception)) value |= u32{set.has(slot(b.exception))} << b.bit;
  };
  add(kActiveBits, s.active);
  add(kPendingBits, s.pending);
  add(kEnableBits, s.enabled);
  if (arch().has(ext::V8)) {
    add(kPendingBits8, s.pending);
    for (const ShcsrBit& b : kActiveBits8)
      if (owns_faults()) value |= u32{s.active.has(slot(b.exception))} << b.bit;
  }
  return value;
}

void Scs::write_shcsr(u32 value) {
  ArmState& s = cpu();
  const auto put = [&](const auto& bits, ExceptionSet& set) {
    for (const ShcsrBit& b : bits)
      if (sees(b.exception)) set.set(slot(b.exception), (value >> b.bit & 1) != 0);
  };
  put(kActiveBits, s.active);
  put(kPendingBits, s.pending);
  put(kEnableBits, s.enabled);
  if (!arch().has(ext::V8)) return;
  put(kPendingBits8, s.pending);
  // Of these Secure code may end the Non-secure state's, by the alias.
  if (secure_ != kNonSecure || s.secure != kSecure || !owns_faults()) return;
  for (const ShcsrBit& b : kActiveBits8)
    if ((value >> b.bit & 1) == 0) s.active.set(slot(b.exception), false);
}

u32 Scs::read_cfsr() const {
  const u32 bus = owns_faults() ? cpu().banks[kNonSecure].cfsr & kBusFaultStatus : 0;
  return (bank().cfsr & ~kBusFaultStatus) | bus;
}

void Scs::clear_cfsr(u32 value) {
  bank().cfsr &= ~(value & ~kBusFaultStatus);
  if (owns_faults()) cpu().banks[kNonSecure].cfsr &= ~(value & kBusFaultStatus);
}

u32 Scs::read_system(u32 offset) {
  switch (offset) {
    case 0xd00: return arch().features().model->cpuid;
    case 0xd04: return read_icsr();
    case 0xd08: return arch().has(ext::VtorWritable) ? bank().vtor : 0;
    case 0xd0c: return read_aircr();
    case 0xd10: return bank().scr;
    case 0xd14:
      if (!owns_faults()) return bank().ccr & ~ccr::kBfhfnmign;
      return bank().ccr | (cpu().banks[kNonSecure].ccr & ccr::kBfhfnmign);
    case 0xd1c: return read_priorities(8);
    case 0xd20: return read_priorities(12);
    case 0xd24: return main() || arch().has(ext::V8) ? read_shcsr() : 0;
    default: return main() ? read_main(offset) : 0;
  }
}

u32 Scs::read_main(u32 offset) {
  const ArmState& s = cpu();
  const bool vfp = arch().has(ext::Vfp), dp = arch().has(ext::VfpD), half = arch().has(ext::Fp16);
  switch (offset) {
    case 0xd18: return read_priorities(4);
    case 0xd28: return read_cfsr();
    case 0xd2c: return owns_faults() ? s.hfsr : 0;
    case 0xd30: return s.dfsr;
    case 0xd34: return bank().mmfar;
    case 0xd38: return owns_faults() ? s.bfar : 0;
    case 0xd88: return bank().cpacr;
    case 0xd8c: return secure_ == kSecure ? s.nsacr : 0;
    case 0xdfc: return demcr_ | (s.pending.has(exc::kDebugMonitor) ? kMonPend : 0);
    case 0xf34: return vfp ? read_fpccr() : 0;
    case 0xf38: return vfp ? bank().fpcar : 0;
    case 0xf3c: return bank().fpdscr | s.fpscr_ones;
    case 0xf40: return vfp ? (dp ? 0x10110221 : 0x10110021) : 0;
    case 0xf44: return vfp ? (half ? 0x12100011 : dp ? 0x12000011 : 0x11000011) : 0;
    case 0xf48: return vfp && arch().has(ext::Vfp5) ? 0x40 : 0;
    default: return 0;
  }
}

void Scs::write_system(u32 offset, u32 value, u32 mask) {
  Bank& b = bank();
  switch (offset) {
    case 0xd04: return write_icsr(value);
    case 0xd08:
      if (arch().has(ext::VtorWritable)) b.vtor = merge(b.vtor, value, mask) & ~u32{0x7f};
      return;
    case 0xd0c: return write_aircr(value);
    case 0xd10:
      b.scr = merge(b.scr, value, mask) & (scr::kSleepOnExit | scr::kSleepDeep | scr::kSevOnPend);
      return;
    case 0xd14:
      b.ccr = merge(b.ccr, value, mask & ccr_bits());
      if (main() && arch().has(ext::V8) && owns_faults()) {
        u32& shared = cpu().banks[kNonSecure].ccr;
        shared = merge(shared, value, mask & ccr::kBfhfnmign);
      }
      return;
    case 0xd1c: return write_priorities(8, value, mask);
    case 0xd20: return write_priorities(12, value, mask);
    default:
      if (main()) write_main(offset, value, mask);
  }
}

void Scs::write_main(u32 offset, u32 value, u32 mask) {
  ArmState& s = cpu();
  Bank& b = bank();
  const bool vfp = arch().has(ext::Vfp);
  switch (offset) {
    case 0xd18: return write_priorities(4, value, mask);
    case 0xd24: return write_shcsr(merge(read_shcsr(), value, mask));
    case 0xd28: return clear_cfsr(value & mask & kUsable);
    case 0xd2c:
      if (owns_faults()) s.hfsr &= ~(value & mask);
      return;
    case 0xd30: s.dfsr &= ~(value & mask); return;
    case 0xd34: b.mmfar = merge(b.mmfar, value, mask); return;
    case 0xd38:
      if (owns_faults()) s.bfar = merge(s.bfar, value, mask);
      return;
    case 0xd88:
      if (vfp) b.cpacr = merge(b.cpacr, value, mask) & 0x00f00000;
      return;
    case 0xd8c:
      if (secure_ == kSecure && vfp) s.nsacr = merge(s.nsacr, value, mask) & 0xc00;
      return;
    case 0xdfc:
      if (trace_.dwt != nullptr) trace_.dwt->settle();
      demcr_ = merge(demcr_, value, mask) & 0x010d07f1;
      if ((mask & kMonPend) != 0) set_pending(machine_.vcpu(0), exc::kDebugMonitor, (value & kMonPend) != 0);
      s.enabled.set(exc::kDebugMonitor, (demcr_ & kMonEnable) != 0);
      return;
    case 0xf34:
      if (vfp) write_fpccr(merge(read_fpccr(), value, mask));
      return;
    case 0xf38:
      if (vfp) b.fpcar = merge(b.fpcar, value, mask) & ~u32{7};
      return;
    case 0xf3c:
      if (vfp) b.fpdscr = merge(b.fpdscr, value, mask) & s.fpscr_mask;
      return;
    default: return;
  }
}

}  // namespace hindcast::arm
