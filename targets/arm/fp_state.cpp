#include "targets/arm/fp_state.h"

#include "engine/machine.h"
#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_helpers.h"

namespace hindcast::arm {
namespace {

/// FPCCR's bits that a lazy stacking decides.
constexpr u32 kLazyBits =
    fpccr::kLspact | fpccr::kUser | fpccr::kThread | fpccr::kMmrdy | fpccr::kSplimViol | fpccr::kUfrdy;
constexpr u32 kLazyCommonBits =
    fpccr::kSecure | fpccr::kHfrdy | fpccr::kBfrdy | fpccr::kSfrdy | fpccr::kMonrdy;
constexpr u32 kStatusAt = 4 * kCallerSingles, kUpperAt = kStatusAt + 8;

bool cpacr_allows(const ArmState& s, const View& view) {
  const u32 access = s.banks[view.secure].cpacr >> 20 & 3;
  return access == 3 || (access == 1 && view.privileged);
}
GuestFault no_coprocessor(u32 secure) {
  return {fault_cause(exc::kUsageFault, cfsr::kNoCp) | (secure == kSecure ? kCauseSecure : 0), 0};
}
/// Whether that security state may use floating point; the fault if not.
GuestFault check_access(const ArmState& s, const View& view) {
  if (!cpacr_allows(s, view)) return no_coprocessor(view.secure);
  if (view.secure == kNonSecure && !fp_allowed_to_non_secure(s)) return no_coprocessor(kSecure);
  return {};
}

/// All registers of `view`'s frame at `at`; Secure ones beyond the caller's if FPCCR.TS says so.
unsigned stacked_singles(const ArmState& s, u32 secure) {
  return secure == kSecure && (s.banks[kSecure].fpccr & fpccr::kTs) != 0 ? kAllSingles : kCallerSingles;
}
GuestFault store_registers(Vcpu& vcpu, const View& view, u32 at, Stacking why) {
  const ArmState& s = vcpu.state<ArmState>();
  u32 words[kAllSingles];
  for (unsigned i = 0; i < kAllSingles; ++i) words[i] = static_cast<u32>(s.s[i]);
  const u32 status = read_fpscr(s);  // the word behind it is reserved without MVE: not written, not read
  GuestFault fault = write_stack(vcpu, view, at, words, kCallerSingles, why);
  if (fault.cause == 0) fault = write_stack(vcpu, view, at + kStatusAt, &status, 1, why);
  if (fault.cause == 0 && stacked_singles(s, view.secure) == kAllSingles)
    fault = write_stack(vcpu, view, at + kUpperAt, words + kCallerSingles, kAllSingles - kCallerSingles, why);
  return fault;
}
GuestFault load_registers(Vcpu& vcpu, const View& view, u32 at) {
  ArmState& s = vcpu.state<ArmState>();
  u32 words[kCallerSingles + 1], upper[kAllSingles - kCallerSingles] = {};
  GuestFault fault = read_stack(vcpu, view, at, words, kCallerSingles + 1);
  const bool all = stacked_singles(s, view.secure) == kAllSingles;
  if (fault.cause == 0 && all)
    fault = read_stack(vcpu, view, at + kUpperAt, upper, kAllSingles - kCallerSingles);
  if (fault.cause != 0) return fault;
  for (unsigned i = 0; i < kCallerSingles; ++i) s.s[i] = words[i];
  for (unsigned i = kCallerSingles; all && i < kAllSingles; ++i) s.s[i] = upper[i - kCallerSingles];
  write_fpscr(s, words[kCallerSingles]);
  return {};
}

/// UpdateFPCCR(): what the registers' storing will need to know when it happens.
void note_lazy_frame(ArmState& s, u32 at, bool with_limit) {
  const u32 common_bank = fp_common_bank(s);
  u32& own = s.bank().fpccr;
  s.bank().fpcar = at & ~u32{7};
  const i32 now = execution_priority(s);
  const auto could = [&](unsigned exception, u32 secure) {
    const unsigned slot = slot_of(s, exception, secure);
    return s.enabled.has(slot) && exception_priority(s, slot) < now;
  };
  u32 bits = fpccr::kLspact | (is_privileged(s) ? 0 : fpccr::kUser) | (is_handler(s) ? 0 : fpccr::kThread) |
             (could(exc::kMemManage, s.secure) ? fpccr::kMmrdy : 0);
  if (with_limit && stack_limit_applies(s, s.secure) && at < s.stack_limit) bits |= fpccr::kSplimViol;
  own = (own & ~(kLazyBits & ~fpccr::kUfrdy)) | bits;
  u32& common = s.banks[common_bank].fpccr;
  common = (common & ~kLazyCommonBits) | (now > kPriorityHardFault ? fpccr::kHfrdy : 0) |
           (could(exc::kBusFault, 0) ? fpccr::kBfrdy : 0) |
           (could(exc::kDebugMonitor, 0) ? fpccr::kMonrdy : 0);
  if (s.has_security == 0) return;
  if (s.secure == kSecure) common |= fpccr::kSecure;
  if (could(exc::kSecureFault, 0)) common |= fpccr::kSfrdy;
  for (const u32 secure : {kNonSecure, kSecure}) {
    u32& bank = s.banks[secure].fpccr;
    bank = could(exc::kUsageFault, secure) ? bank | fpccr::kUfrdy : bank & ~fpccr::kUfrdy;
  }
}

}  // namespace

u32 read_fpscr(const ArmState& s) {
  // fp::Flag bits, from bit 0: invalid, input denormal, divide by zero, overflow, underflow, inexact.
  const u32 f = s.fp_flags;
  const u32 accrued = (f & 1) | (f >> 2 & 1) << 1 | (f >> 3 & 1) << 2 | (f >> 4 & 1) << 3 |
                      (f >> 5 & 1) << 4 | (f >> 1 & 1) << 7;
  return s.fpscr | s.fpscr_ones | s.fp_nzcv | accrued;
}

void write_fpscr(ArmState& s, u32 value) {
  s.fpscr = value & s.fpscr_mask;
  s.fp_nzcv = value & 0xf0000000;
  s.fp_flags = (value & 1) | (value >> 1 & 1) << 2 | (value >> 2 & 1) << 3 | (value >> 3 & 1) << 4 |
               (value >> 4 & 1) << 5 | (value >> 7 & 1) << 1;
}

bool fp_accessible(const ArmState& s) { return check_access(s, current_view(s)).cause == 0; }

bool fp_active(const ArmState& s) {
  const u32 owner = (s.banks[fp_common_bank(s)].fpccr & fpccr::kSecure) != 0 ? kSecure : kNonSecure;
  if (owner != s.secure || (s.banks[owner].fpccr & fpccr::kLspact) != 0) return false;
  const u32 wanted = control::kFpca | (s.secure == kSecure ? control::kSfpa : 0);
  const bool in_use = (s.fp_context & wanted) == wanted || (s.bank().fpccr & fpccr::kAspen) == 0;
  return in_use && fp_accessible(s);
}

void clear_fp_registers(ArmState& s, unsigned singles) {
  for (unsigned i = 0; i < singles; ++i) s.s[i] = 0;
  write_fpscr(s, 0);
}

bool push_fp_frame(Vcpu& vcpu, u32 at, bool store) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 common = s.banks[fp_common_bank(s)].fpccr;
  const u32 owner = (common & fpccr::kSecure) != 0 ? kSecure : kNonSecure;
  if (s.has_security != 0 && (s.banks[owner].fpccr & fpccr::kLspact) != 0) {
    pend_guest_fault(vcpu, {fault_cause(exc::kSecureFault, sfsr::kLsErr), 0});
    return true;
  }
  if (s.secure == kNonSecure && !fp_allowed_to_non_secure(s)) {
    pend_guest_fault(vcpu, no_coprocessor(kSecure));
    return true;
  }
  if ((common & fpccr::kLspen) != 0) {
    note_lazy_frame(s, at, true);
    return true;
  }
  const View view = current_view(s);
  GuestFault fault = check_access(s, view);
  if (fault.cause == 0 && store) fault = store_registers(vcpu, view, at, Stacking::Push);
  if (fault.cause != 0) {
    if (store) pend_guest_fault(vcpu, fault);
    return false;
  }
  if (s.has_security != 0) {
    clear_fp_registers(s, stacked_singles(s, s.secure));
  } else {
    write_fpscr(s, s.bank().fpdscr & s.fpscr_mask);
  }
  return store;
}

GuestFault pop_fp_frame(Vcpu& vcpu, const View& view, u32 at) {
  ArmState& s = vcpu.state<ArmState>();
  if (s.has_security != 0 && view.secure == kNonSecure && (s.banks[kSecure].fpccr & fpccr::kLspact) != 0)
    return {fault_cause(exc::kSecureFault, sfsr::kLsErr), 0};
  u32& fpccr = s.banks[view.secure].fpccr;
  if ((fpccr & fpccr::kLspact) != 0) {
    fpccr &= ~fpccr::kLspact;  // never stored: the registers still hold it
    return {};
  }
  const GuestFault forbidden = check_access(s, view);
  if (forbidden.cause != 0) return forbidden;
  const GuestFault fault = load_registers(vcpu, view, at);
  if (fault.cause != 0 && s.has_security != 0) clear_fp_registers(s, stacked_singles(s, view.secure));
  return fault;
}

// ---- helpers

namespace {

/// A fault of lazy storing goes by what could be taken when the frame was reserved.
void pend_lazily(ArmState& s, u32 owner, const GuestFault& fault) {
  const unsigned exception = static_cast<unsigned>(fault.cause & 0xffff);
  const u32 status = static_cast<u32>(fault.cause >> 32);
  const u32 secure = (fault.cause & kCauseSecure) != 0 ? kSecure : owner;
  const u32 common = s.banks[fp_common_bank(s)].fpccr;
  bool ready = false;
  switch (exception) {
    case exc::kMemManage:
      s.banks[secure].cfsr |= status;
      ready = (s.banks[secure].fpccr & fpccr::kMmrdy) != 0;
      break;
    case exc::kUsageFault:
      s.banks[secure].cfsr |= status;
      ready = (s.banks[secure].fpccr & fpccr::kUfrdy) != 0;
      break;
    case exc::kBusFault:
      s.banks[kNonSecure].cfsr |= status;
      ready = (common & fpccr::kBfrdy) != 0;
      break;
    default:
      s.sfsr |= status;
      ready = (common & fpccr::kSfrdy) != 0;
      break;
  }
  unsigned slot = slot_of(s, exception, secure);
  if (!ready) {
    const bool own = (s.aircr & aircr::kBfhfnmins) != 0;
    slot = slot_of(s, exc::kHardFault, own ? security_of(s, slot) : kSecure);
    s.hfsr |= hfsr::kForced;
  }
  s.pending.set(slot, true);
  update_exceptions(s);
}

/// PreserveFPState(): the registers of whoever used them last go to where room was left for them. False: a
/// fault comes first, and the state still waits.
bool store_lazily(Vcpu& vcpu, u32 owner) {
  ArmState& s = vcpu.state<ArmState>();
  u32& fpccr = s.banks[owner].fpccr;
  const bool masked = (s.banks[fp_common_bank(s)].fpccr & fpccr::kHfrdy) == 0;
  const View view{owner, (fpccr & fpccr::kUser) == 0, masked ? Priority::Negative : Priority::Ordinary};
  GuestFault fault;
  if (s.has_security != 0) fault = check_access(s, view);
  if (fault.cause == 0 && (fpccr & fpccr::kSplimViol) == 0)
    fault = store_registers(vcpu, view, s.banks[owner].fpcar, Stacking::Lazy);
  if (fault.cause != 0) {
    pend_lazily(s, owner, fault);
    if (s.pending_exception != 0 && s.pending_priority < execution_priority(s)) return false;
  }
  fpccr &= ~fpccr::kLspact;
  if (stacked_singles(s, owner) == kAllSingles) clear_fp_registers(s, kAllSingles);
  return true;
}

}  // namespace

GuestFault fp_access_fault(const ArmState& s) { return check_access(s, current_view(s)); }

bool settle_lazy_state(Vcpu& vcpu) {
  const ArmState& s = vcpu.state<ArmState>();
  const u32 owner = (s.banks[fp_common_bank(s)].fpccr & fpccr::kSecure) != 0 ? kSecure : kNonSecure;
  return (s.banks[owner].fpccr & fpccr::kLspact) == 0 || store_lazily(vcpu, owner);
}

/// ExecuteFPCheck: access is checked, state that waits to be stored is stored, and the context becomes a
/// floating-point one.
u64 fp_activate_helper(Vcpu& vcpu, u64, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const GuestFault fault = check_access(s, current_view(s));
  u32& common = s.banks[fp_common_bank(s)].fpccr;
  if (fault.cause != 0 || !settle_lazy_state(vcpu)) {
    vcpu.raise(fault.cause != 0 ? fault : GuestFault{kTakePending, 0});
    return 0;
  }
  common = s.secure == kSecure ? common | fpccr::kSecure : common & ~fpccr::kSecure;
  const u32 wanted = control::kFpca | (s.secure == kSecure ? control::kSfpa : 0);
  if ((s.bank().fpccr & fpccr::kAspen) != 0 && (s.fp_context & wanted) != wanted) {
    s.fp_context |= wanted;
    write_fpscr(s, s.bank().fpdscr & s.fpscr_mask);
  }
  return 0;
}

namespace {

/// What VLSTM and VLLDM check. A fault has been raised if false.
bool lazy_transfer_allowed(Vcpu& vcpu, u32 address, bool lazy_is_error, bool aligned) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 owner = (s.banks[kSecure].fpccr & fpccr::kSecure) != 0 ? kSecure : kNonSecure;
  GuestFault fault = check_access(s, current_view(s));
  if (fault.cause == 0 && lazy_is_error && (s.banks[owner].fpccr & fpccr::kLspact) != 0)
    fault = {fault_cause(exc::kSecureFault, sfsr::kLsErr), 0};
  if (fault.cause == 0 && aligned && (address & 7) != 0)
    fault = {fault_cause(exc::kUsageFault, cfsr::kUnaligned), 0};
  if (fault.cause != 0) vcpu.raise(fault);
  return fault.cause == 0;
}

/// A fault of VLSTM's and VLLDM's own accesses: as of any load or store.
GuestFault access_fault(Vcpu& vcpu, u32 at, u32 bytes, Access access) {
  const ArmState& s = vcpu.state<ArmState>();
  for (u32 i = 0; i < bytes; i += 4) {
    const Translation t = translate_for(arch_of(vcpu), vcpu, current_view(s), at + i, 4, access);
    if (!t.ok) return {t.cause, t.value};
    if (vcpu.machine().memory().find_ram(t.physical) == nullptr) return vcpu.arch().bus_fault(at + i, access);
  }
  return {};
}

}  // namespace

u64 lazy_store_helper(Vcpu& vcpu, u64 address64, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 at = static_cast<u32>(address64);
  if ((s.fp_context & control::kSfpa) == 0 || !lazy_transfer_allowed(vcpu, at, true, true)) return 0;
  if ((s.banks[kSecure].fpccr & fpccr::kLspen) != 0) {
    note_lazy_frame(s, at, false);
  } else {
    const unsigned singles = stacked_singles(s, kSecure);
    const GuestFault fault = access_fault(vcpu, at, 4 * singles + 8, Access::Write);
    if (fault.cause != 0) {
      vcpu.raise(fault);
      return 0;
    }
    store_registers(vcpu, current_view(s), at, Stacking::Push);
    if (singles == kAllSingles) clear_fp_registers(s, kAllSingles);
  }
  s.fp_context &= ~control::kFpca;
  return 0;
}

u64 lazy_load_helper(Vcpu& vcpu, u64 address64, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 at = static_cast<u32>(address64);
  if ((s.fp_context & control::kSfpa) == 0) return 0;
  u32& fpccr = s.banks[kSecure].fpccr;
  const bool still_there = (fpccr & fpccr::kLspact) != 0;
  if (!lazy_transfer_allowed(vcpu, at, false, !still_there)) return 0;
  if (still_there) {
    fpccr &= ~fpccr::kLspact;
  } else {
    const GuestFault fault = access_fault(vcpu, at, 4 * stacked_singles(s, kSecure) + 8, Access::Read);
    if (fault.cause != 0) {
      vcpu.raise(fault);
      return 0;
    }
    load_registers(vcpu, current_view(s), at);
  }
  s.fp_context |= control::kFpca;
  return 0;
}

u64 read_fpscr_helper(Vcpu& vcpu, u64, u64, u64) { return read_fpscr(vcpu.state<ArmState>()); }

u64 write_fpscr_helper(Vcpu& vcpu, u64 value, u64, u64) {
  write_fpscr(vcpu.state<ArmState>(), static_cast<u32>(value));
  return 0;
}

}  // namespace hindcast::arm
