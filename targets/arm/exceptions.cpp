#include "targets/arm/exceptions.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/machine.h"
#include "targets/arm/flags.h"
#include "targets/arm/fp_state.h"
#include "targets/arm/system.h"

namespace hindcast::arm {
namespace {

constexpr u32 kFrameBytes = 32, kFpFrameBytes = 104;
constexpr u32 kXpsrAligned = 1 << 9;  // in a stacked xPSR: 4 bytes were skipped
constexpr u32 kLockupPc = 0xfffffffe;
/// EXC_RETURN bits.
constexpr u32 kReturnNoFp = 1 << 4, kReturnThread = 1 << 3, kReturnProcessSp = 1 << 2;

bool in_use_is_process(const ArmState& s) { return !is_handler(s) && (s.control & control::kSpsel) != 0; }

unsigned active_count(const ArmState& s) {
  unsigned n = 0;
  for (const u32 word : s.active.words) n += static_cast<unsigned>(std::popcount(word));
  return n;
}

/// Puts an exception that cannot be taken in its own right where it goes.
struct Taken {
  unsigned exception;
  bool lockup;
};
Taken escalate(const ArmArch& arch, ArmState& s, unsigned exception) {
  const i32 now = execution_priority(s);
  const bool fits = s.enabled.has(exception) && exception_priority(s, exception) < now;
  if (exception == exc::kHardFault || exception == exc::kNmi) return {exception, !fits};
  if (fits) return {exception, false};
  if (!arch.features().v6m()) {
    s.hfsr |= exception == exc::kDebugMonitor ? hfsr::kDebugEvt : hfsr::kForced;
  }
  return {exc::kHardFault, now <= kPriorityHardFault};
}

void lock_up(Vcpu& vcpu) {
  ArmState& s = vcpu.state<ArmState>();
  s.lockup = 1;
  s.pc = kLockupPc;
  s.it = 0;
  s.thumb = 1;
  vcpu.halt();
}

/// Makes a fault pending that entry or return has met. False: it can be taken nowhere, and nothing is left to
/// go on with.
bool pend_fault(Vcpu& vcpu, unsigned exception) {
  ArmState& s = vcpu.state<ArmState>();
  const Taken taken = escalate(arch_of(vcpu), s, exception);
  if (taken.lockup) return false;
  s.pending.set(taken.exception, true);
  update_exceptions(s);
  return true;
}

/// An access to the stack was refused: by the MPU, or by the bus.
bool stack_fault(Vcpu& vcpu, u32 by_mpu, u32 by_bus) {
  ArmState& s = vcpu.state<ArmState>();
  const bool mpu = mpu_active(s);
  s.cfsr |= mpu ? by_mpu : by_bus;
  return pend_fault(vcpu, mpu ? exc::kMemManage : exc::kBusFault);
}

/// Stores the frame below the stack pointer in use. Faults in it are pending afterwards; the pointer has
/// moved all the same.
void push_frame(Vcpu& vcpu, u32 return_address, u32* exc_return) {
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  const bool fp = arch.has(ext::Vfp) && (s.control & control::kFpca) != 0;
  const bool align = fp || (s.ccr & ccr::kStkAlign) != 0;
  const u32 skipped = align ? s.r[kSp] & 4 : 0;
  const u32 at = (s.r[kSp] - (fp ? kFpFrameBytes : kFrameBytes)) & ~(align ? u32{4} : u32{0});
  const u32 xpsr = (read_xpsr(s) & ~kXpsrAligned) | (skipped != 0 ? kXpsrAligned : 0);
  const u32 frame[8] = {s.r[0], s.r[1], s.r[2], s.r[3], s.r[12], s.r[kLr], return_address, xpsr};
  *exc_return = 0xffffffe1 | (fp ? 0 : kReturnNoFp) | (is_handler(s) ? 0 : kReturnThread) |
                (in_use_is_process(s) ? kReturnProcessSp : 0);
  if (!vcpu.write_memory(at, frame, sizeof frame)) stack_fault(vcpu, cfsr::kMstkErr, cfsr::kStkErr);
  // Also after a failure: where the floating-point state would have been is remembered in any case.
  if (fp) {
    if ((s.fpccr & fpccr::kLspen) != 0) {
      reserve_fp_frame(s, at + kFrameBytes);
    } else if (!fp_accessible(s)) {
      s.cfsr |= cfsr::kNoCp;
      pend_fault(vcpu, exc::kUsageFault);
    } else if (!push_fp_frame(vcpu, at + kFrameBytes)) {
      stack_fault(vcpu, cfsr::kMstkErr, cfsr::kStkErr);
    }
  }
  s.r[kSp] = at;
}

/// Enters the handler: everything but the stacking.
void enter_handler(Vcpu& vcpu, unsigned exception, u32 exc_return) {
  ArmState& s = vcpu.state<ArmState>();
  u32 vector = 0;
  if (!vcpu.machine().memory().host_read(s.vtor + 4 * exception, &vector, 4)) {
    s.hfsr |= hfsr::kVectTbl;
    if (exception == exc::kHardFault || exception == exc::kNmi) return lock_up(vcpu);
    s.pending.set(exception, false);
    return enter_handler(vcpu, exc::kHardFault, exc_return);
  }
  if (in_use_is_process(s)) std::swap(s.r[kSp], s.other_sp);
  s.ipsr = exception;
  s.control &= ~(control::kSpsel | control::kFpca);
  s.r[kLr] = exc_return;
  s.it = 0;
  s.thumb = vector & 1;
  s.pc = vector & ~u32{1};
  s.exclusive = 0;
  s.event = 1;
  s.lockup = 0;
  s.active.set(exception, true);
  s.pending.set(exception, false);
  update_exceptions(s);
}

/// Entry with stacking. A fault in it is pending beside the exception itself, and whichever is more urgent
/// goes first, as one does that arrives late; where the fault can be taken nowhere, the exception itself
/// still can.
void enter(Vcpu& vcpu, unsigned exception, u32 return_address) {
  ArmState& s = vcpu.state<ArmState>();
  s.pending.set(exception, true);
  update_exceptions(s);
  u32 exc_return = 0;
  push_frame(vcpu, return_address, &exc_return);
  enter_handler(vcpu, s.pending_exception, exc_return);
}

/// A fault of the return itself is pending, if it could be: the frame stays where it is.
void bad_return(Vcpu& vcpu, bool pending, u32 exc_return) {
  if (!pending) return lock_up(vcpu);
  enter_handler(vcpu, vcpu.state<ArmState>().pending_exception, exc_return);
}
void illegal_return(Vcpu& vcpu, u32 exc_return) {
  vcpu.state<ArmState>().cfsr |= cfsr::kInvPc;
  bad_return(vcpu, pend_fault(vcpu, exc::kUsageFault), 0xf0000000 | (exc_return & 0x0fffffff));
}

bool is_exc_return(const ArmArch& arch, u32 value) {
  const u32 form = arch.has(ext::Vfp) ? value | kReturnNoFp : value;
  return form == 0xfffffff1 || form == 0xfffffff9 || form == 0xfffffffd;
}

void pop_frame(Vcpu& vcpu, u32 exc_return) {
  ArmState& s = vcpu.state<ArmState>();
  const bool to_thread = (exc_return & kReturnThread) != 0;
  const bool process = (exc_return & kReturnProcessSp) != 0;
  const bool fp = (exc_return & kReturnNoFp) == 0;
  const u32 at = read_sp(s, process);
  u32 frame[8] = {};
  const bool load_fp = fp && (s.fpccr & fpccr::kLspact) == 0;
  const bool loaded = vcpu.read_memory(at, frame, sizeof frame);
  if (loaded && load_fp && !fp_accessible(s)) {
    s.cfsr |= cfsr::kNoCp;
    return bad_return(vcpu, pend_fault(vcpu, exc::kUsageFault), exc_return);
  }
  if (!loaded || (load_fp && !pop_fp_frame(vcpu, at + kFrameBytes)))
    return bad_return(vcpu, stack_fault(vcpu, cfsr::kMunstkErr, cfsr::kUnstkErr), exc_return);
  if (fp) s.fpccr &= ~fpccr::kLspact;  // never stored: the registers still hold it
  const u32 xpsr = frame[7];
  const bool consistent = to_thread == ((xpsr & 0x1ff) == 0);
  const bool align = fp || (s.ccr & ccr::kStkAlign) != 0;
  u32 sp = at + (fp ? kFpFrameBytes : kFrameBytes);
  if (align && (xpsr & kXpsrAligned) != 0) sp |= 4;
  write_sp(s, process, sp);
  for (unsigned i = 0; i < 4; ++i) s.r[i] = frame[i];
  s.r[12] = frame[4];
  s.r[kLr] = frame[5];
  s.pc = frame[6] & ~u32{1};
  write_xpsr(s, xpsr);
  if (to_thread && process) {
    s.control |= control::kSpsel;
    std::swap(s.r[kSp], s.other_sp);
  }
  s.control = fp ? s.control | control::kFpca : s.control & ~control::kFpca;
  if (consistent) return;
  // Stacked again, as what was stacked wrongly.
  u32 ignored = 0;
  push_frame(vcpu, static_cast<u32>(s.pc), &ignored);
  illegal_return(vcpu, exc_return);
}

void exception_return(Vcpu& vcpu) {
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  const u32 value = std::exchange(s.exc_return, 0);
  const unsigned returning = s.ipsr;
  if (!s.active.has(returning)) return illegal_return(vcpu, value);
  const bool to_thread = (value & kReturnThread) != 0;
  const bool only_one = active_count(s) == 1;
  const bool legal =
      is_exc_return(arch, value) && (to_thread ? only_one || (s.ccr & ccr::kNonBaseThread) != 0 : !only_one);
  s.active.set(returning, false);
  if (returning != exc::kNmi) s.faultmask = 0;
  if (s.level.has(returning)) s.pending.set(returning, true);
  update_exceptions(s);
  s.exclusive = 0;
  s.event = 1;
  if (!legal) return illegal_return(vcpu, value);
  // Tail-chaining: what is pending and would preempt at once needs no unstacking in between.
  if (s.pending_exception != 0 && s.pending_priority < execution_priority(s)) {
    return enter_handler(vcpu, s.pending_exception, value);
  }
  pop_frame(vcpu, value);
  if (to_thread && (s.scr & scr::kSleepOnExit) != 0) vcpu.halt();
}

u64 raise_usage(Vcpu& vcpu, u32 status) {
  vcpu.raise({fault_cause(exc::kUsageFault, status), 0});
  return 0;
}

}  // namespace

// ---- priorities
// ------------------------------------------------------------------------------------------------

i32 group_priority(const ArmState& s, i32 priority) {
  if (priority < 0) return priority;
  return priority & ~((2 << s.aircr_prigroup) - 1) & 0xff;
}

i32 exception_priority(const ArmState& s, unsigned exception) {
  switch (exception) {
    case exc::kReset: return kPriorityReset;
    case exc::kNmi: return kPriorityNmi;
    case exc::kHardFault: return kPriorityHardFault;
    default: return group_priority(s, s.priority[exception]);
  }
}

void update_exceptions(ArmState& s) {
  s.active_priority = kPriorityNone;
  s.pending_exception = 0;
  s.pending_priority = kPriorityNone;
  i32 best = kPriorityNone;
  for (unsigned w = 0; w < kExceptionWords; ++w) {
    for (u32 bits = s.active.words[w]; bits != 0; bits &= bits - 1) {
      const unsigned n = 32 * w + static_cast<unsigned>(std::countr_zero(bits));
      s.active_priority = std::min(s.active_priority, exception_priority(s, n));
    }
    for (u32 bits = s.pending.words[w] & s.enabled.words[w]; bits != 0; bits &= bits - 1) {
      const unsigned n = 32 * w + static_cast<unsigned>(std::countr_zero(bits));
      const i32 priority = n <= exc::kHardFault ? exception_priority(s, n) : s.priority[n];
      if (priority >= best) continue;
      best = priority;
      s.pending_exception = n;
      s.pending_priority = exception_priority(s, n);
    }
  }
}

i32 execution_priority(const ArmState& s, bool with_primask) {
  i32 priority = s.active_priority;
  if (s.basepri != 0) priority = std::min(priority, group_priority(s, static_cast<i32>(s.basepri)));
  if (s.primask != 0 && with_primask) priority = std::min(priority, 0);
  if (s.faultmask != 0) priority = std::min(priority, kPriorityHardFault);
  return priority;
}

void set_pending(Vcpu& vcpu, unsigned exception, bool on) {
  ArmState& s = vcpu.state<ArmState>();
  if (on && !s.pending.has(exception) && (s.scr & scr::kSevOnPend) != 0) s.event = 1;
  s.pending.set(exception, on);
  update_exceptions(s);
  if (on) vcpu.request_exit();
}

// ---- what the engine calls
// -------------------------------------------------------------------------------------

void ArmArch::enter_exception(Vcpu& vcpu, const GuestFault& fault) const {
  ArmState& s = vcpu.state<ArmState>();
  const unsigned exception = static_cast<unsigned>(fault.cause & 0xffff);
  const u32 status = static_cast<u32>(fault.cause >> 32);
  if (fault.cause == kTakePending) return enter(vcpu, s.pending_exception, static_cast<u32>(s.pc));
  const bool is_call = exception == exc::kSvc;
  if (!cpu_.v6m()) {
    if (exception >= exc::kMemManage && exception <= exc::kUsageFault) s.cfsr |= status;
    if ((status & cfsr::kMmarValid) != 0) s.mmfar = static_cast<u32>(fault.value);
    if ((status & cfsr::kBfarValid) != 0) s.bfar = static_cast<u32>(fault.value);
  }
  if (is_call && s.it != 0) s.it = (s.it & 7) == 0 ? 0 : (s.it & 0xe0) | (s.it << 1 & 0x1f);
  const Taken taken = escalate(*this, s, exception);
  if (taken.lockup) return lock_up(vcpu);
  enter(vcpu, taken.exception, is_call ? static_cast<u32>(fault.value) : static_cast<u32>(s.pc));
}

GuestFault ArmArch::bus_fault(GuestAddr va, Access access) const {
  if (access == Access::Execute) return {fault_cause(exc::kBusFault, cfsr::kIbusErr), va};
  return {fault_cause(exc::kBusFault, cfsr::kPrecisErr | cfsr::kBfarValid), va};
}

GuestFault ArmArch::misaligned_fault(GuestAddr va, Access) const {
  return {fault_cause(exc::kUsageFault, cfsr::kUnaligned), va};
}

void ArmArch::set_irq(Vcpu& vcpu, unsigned line, bool level) const {
  const unsigned n = line == kNmiLine ? unsigned{exc::kNmi} : line + exc::kFirstIrq;
  if (n >= kExceptions) return;
  ArmState& s = vcpu.state<ArmState>();
  const bool rises = level && !s.level.has(n);
  s.level.set(n, level);
  if (rises && !s.active.has(n)) set_pending(vcpu, n, true);
}

bool ArmArch::interrupt_pending(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  if (s.exc_return != 0) return true;
  return s.pending_exception != 0 && s.pending_priority < execution_priority(s);
}

void ArmArch::enter_interrupt(Vcpu& vcpu) const {
  ArmState& s = vcpu.state<ArmState>();
  if (s.exc_return != 0) return exception_return(vcpu);
  enter(vcpu, s.pending_exception, static_cast<u32>(s.pc));
}

bool ArmArch::wakes(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  if (s.lockup != 0) return interrupt_pending(vcpu);
  if (s.event != 0 && s.waits_for_event != 0) return true;
  // Whether or not PRIMASK lets it be taken.
  return s.exc_return != 0 || (s.pending_exception != 0 && s.pending_priority < execution_priority(s, false));
}

// ---- helpers
// ---------------------------------------------------------------------------------------------------

u64 undefined_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kUndefInstr); }
u64 invalid_state_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kInvState); }
u64 unaligned_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kUnaligned); }
u64 div_by_zero_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kDivByZero); }
u64 no_coprocessor_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kNoCp); }

u64 svc_helper(Vcpu& vcpu, u64 next, u64, u64) {
  vcpu.raise({exc::kSvc, next});
  return 0;
}

}  // namespace hindcast::arm
