#include "targets/arm/exceptions.h"

#include <utility>

#include <fmt/format.h>

#include "engine/machine.h"
#include "targets/arm/fp_state.h"
#include "targets/arm/frames.h"
#include "targets/arm/security.h"
#include "targets/arm/system.h"

namespace hindcast::arm {
namespace {

constexpr u32 kLockupPc = 0xfffffffe;

void lock_up(Vcpu& vcpu) {
  ArmState& s = vcpu.state<ArmState>();
  s.lockup = 1;
  s.pc = kLockupPc;
  s.it = 0;
  s.thumb = 1;
  vcpu.halt();
}

/// EXC_RETURN for an exception taken now, as far as the frame decides it; Armv8-M adds the handler's part.
u32 exc_return_of(const ArmArch& arch, const ArmState& s) {
  using namespace exc_return;
  u32 value = kPrefix | kOnes | kCalleeNotSaved;
  if (!arch.has(ext::V8)) {
    value |= kSecureStack | kSecureHandler | (process_sp_in_use(s) ? kProcessSp : 0);
  } else if (s.secure == kSecure) {
    value |= kSecureStack;
  }
  const bool fp = arch.has(ext::Vfp) && (s.fp_context & control::kFpca) != 0;
  return value | (fp ? 0 : kNoFp) | (is_handler(s) ? 0 : kThread);
}

/// Registers that another security state's handler must not see (DDI 0553, B3.20).
void hide_registers(const ArmArch& arch, ArmState& s, u32 value, u32 handler) {
  if (handler == kSecure && !arch.has(ext::V81)) return;
  const bool callee = handler == kNonSecure && (value & exc_return::kSecureStack) != 0;
  for (unsigned n = 0; n < 13; ++n)
    if (n < 4 || n > 11 || callee) s.r[n] = 0;
  const u32 kept = read_xpsr(s) & (u32{1} << 24 | 0x1ff);
  write_xpsr(s, kept);
}

/// Completes EXC_RETURN for a handler of that security state; stores r4 to r11 if it must not see them.
/// False: that failed.
bool prepare_v8(Vcpu& vcpu, u32 handler, u32* value, bool chained, bool quiet) {
  using namespace exc_return;
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  bool stored = true;
  if (s.has_security != 0 && (*value & kSecureStack) != 0) {
    const bool saved_before = chained && (*value & kSecureHandler) == 0;
    if (handler == kSecure) {
      if (saved_before) *value &= ~kCalleeNotSaved;
    } else {
      if ((*value & kCalleeNotSaved) != 0 && !saved_before)
        stored = push_callee_frame(vcpu, *value, chained, quiet);
      *value |= kCalleeNotSaved;
    }
  }
  *value &= ~(kSecureHandler | kProcessSp);
  if (handler == kSecure) *value |= kSecureHandler;
  if ((s.banks[handler].control & control::kSpsel) != 0) *value |= kProcessSp;
  if (s.has_security != 0) hide_registers(arch, s, *value, handler);
  return stored;
}

/// The handler's address. False: it cannot be read.
bool load_vector(Vcpu& vcpu, unsigned slot, u32* vector) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 secure = security_of(s, slot), at = s.banks[secure].vtor + 4 * number_of(slot);
  GuestAddr physical = at;
  if (!vector_readable(arch_of(vcpu), vcpu, secure, at, &physical)) return false;
  return vcpu.machine().memory().host_read(physical, vector, 4);
}

/// ExceptionTaken(): enters the handler of what is pending. `chained`: no frame was stored for it, it is
/// entered from a return. `quiet`: a fault of stacking has been met already.
void take_pending(Vcpu& vcpu, u32 value, bool chained, bool quiet) {
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  u32 vector = 0;
  bool locked = false;
  for (;;) {
    const unsigned slot = s.pending_exception;
    const bool stored = !arch.has(ext::V8) || prepare_v8(vcpu, security_of(s, slot), &value, chained, quiet);
    if (!stored && !quiet) {
      chained = quiet = true;  // another may be more urgent now
      continue;
    }
    if (load_vector(vcpu, slot, &vector)) break;
    s.hfsr |= hfsr::kVectTbl;
    const unsigned hard =
        slot_of(s, exc::kHardFault, (s.aircr & aircr::kBfhfnmins) != 0 ? security_of(s, slot) : u32{kSecure});
    // It is taken all the same: no other one that cannot be is tried for ever.
    locked = exception_priority(s, slot) <= exception_priority(s, hard);
    if (locked) break;
    if (!arch.has(ext::V8)) s.pending.set(slot, false);
    s.pending.set(hard, true);
    update_exceptions(s);
    chained = quiet = true;
  }
  const unsigned slot = s.pending_exception;
  const u32 handler = security_of(s, slot);
  change_stack(s, [&] {
    s.secure = handler;
    s.ipsr = number_of(slot);
    s.bank().control &= ~control::kSpsel;
  });
  s.fp_context = 0;
  s.r[kLr] = value;
  s.it = 0;
  s.thumb = vector & 1;
  s.pc = vector & ~u32{1};
  s.exclusive = 0;
  s.event = 1;
  s.lockup = 0;
  s.active.set(slot, true);
  s.pending.set(slot, false);
  update_exceptions(s);
  if (locked) lock_up(vcpu);
}

/// Entry of what is pending, with stacking. A fault in it may be more urgent.
void enter(Vcpu& vcpu, u32 return_address) {
  const u32 value = exc_return_of(arch_of(vcpu), vcpu.state<ArmState>());
  const bool stored = push_frame(vcpu, return_address);
  take_pending(vcpu, value, false, !stored);
}

u32 with_prefix(const ArmArch& arch, u32 value) {
  if (!arch.has(ext::V8)) return 0xf0000000 | (value & 0x0fffffff);
  return value | exc_return::kPrefix | (arch.has(ext::Vfp) ? 0 : exc_return::kNoFp);
}

/// A fault of the return itself: the frame stays where it is.
void bad_return(Vcpu& vcpu, u32 value, const GuestFault& fault) {
  if (!pend_guest_fault(vcpu, fault)) return lock_up(vcpu);
  take_pending(vcpu, with_prefix(arch_of(vcpu), value), true, false);
}

GuestFault invalid_pc(const ArmState& s) {
  return {fault_cause(exc::kUsageFault, cfsr::kInvPc) | (s.secure == kSecure ? kCauseSecure : 0), 0};
}

/// Whether an EXC_RETURN value is one of the architecture version's, for where the CPU is.
bool is_legal(const ArmArch& arch, const ArmState& s, u32 value) {
  using namespace exc_return;
  if (arch.has(ext::V8)) {
    const bool secure_bits = (value & (kSecureStack | kSecureHandler)) != 0 || (value & kCalleeNotSaved) == 0;
    return (value & 2) == 0 && (s.has_security != 0 || !secure_bits);
  }
  const u32 form = arch.has(ext::Vfp) ? value | kNoFp : value;
  if (form != 0xfffffff1 && form != 0xfffffff9 && form != 0xfffffffd) return false;
  const bool nested = s.active_priority != kPriorityNone;
  return (value & kThread) == 0 ? nested : !nested || (s.bank().ccr & ccr::kNonBaseThread) != 0;
}

/// Deactivates what returns to the security state `secure`'s caller. False: it was not active there.
bool deactivate(ArmState& s, u32 secure) {
  const i32 before = s.active_priority;
  if (s.ipsr != exc::kNmi && (s.has_security == 0 || before >= 0)) s.banks[secure].faultmask = 0;
  unsigned slot = slot_of(s, s.ipsr, secure);
  const bool was_active = s.active.has(slot) && (s.has_security == 0 || security_of(s, slot) == secure);
  if (s.has_security != 0 && before < 0) {
    // Whatever handler says that it returns, it is this one.
    slot = before == kPriorityNmi ? unsigned{exc::kNmi}
           : before == kPriorityHardFault && (s.aircr & aircr::kBfhfnmins) != 0
               ? unsigned{exc::kHardFault}
               : kSecureSlots + exc::kHardFault;
  } else if (!was_active) {
    return false;
  }
  s.active.set(slot, false);
  if (s.level.has(slot)) s.pending.set(slot, true);
  update_exceptions(s);
  return was_active;
}

/// FPCCR.CLRONRET. The fault that it meets, if any.
GuestFault clear_fp_on_return(ArmState& s) {
  const u32 common = s.banks[fp_common_bank(s)].fpccr;
  if ((common & fpccr::kClrOnRet) == 0 || (s.fp_context & control::kFpca) == 0) return {};
  if ((common & fpccr::kLspact) != 0) return {fault_cause(exc::kSecureFault, sfsr::kLsErr), 0};
  clear_fp_registers(s, kCallerSingles);
  return {};
}

void exception_return(Vcpu& vcpu, u32 value) {
  using namespace exc_return;
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  const bool v8 = arch.has(ext::V8);
  if (v8 && !arch.has(ext::Vfp)) value |= kNoFp;
  GuestFault fault;
  if (s.has_security != 0 && s.secure == kNonSecure &&
      ((value & kSecureHandler) != 0 || (value & kCalleeNotSaved) == 0)) {
    fault = {fault_cause(exc::kSecureFault, sfsr::kInvEr), 0};
    value &= ~kSecureHandler;
  }
  const u32 handler = s.has_security != 0 && (value & kSecureHandler) != 0 ? kSecure : kNonSecure;
  const bool was_active = deactivate(s, handler);
  s.exclusive = 0;
  s.event = 1;
  if (!was_active && !v8) return bad_return(vcpu, value, invalid_pc(s));
  const bool legal = was_active && is_legal(arch, s, value);
  if (legal || v8) {
    u32& control = s.banks[handler].control;
    control = (value & kProcessSp) != 0 ? control | control::kSpsel : control & ~control::kSpsel;
  }
  if (v8) {
    const GuestFault fp_fault = clear_fp_on_return(s);
    if (fp_fault.cause != 0) return bad_return(vcpu, value, fp_fault);
  }
  if (fault.cause != 0) return bad_return(vcpu, value, fault);
  if (!legal) return bad_return(vcpu, value, invalid_pc(s));
  // Tail-chaining: what is pending and would preempt at once needs no unstacking in between.
  if (s.pending_exception != 0 && s.pending_priority < execution_priority(s))
    return take_pending(vcpu, value, true, false);
  if (s.has_security != 0) switch_security(s, (value & kSecureStack) != 0 ? kSecure : kNonSecure);
  switch (pop_frame(vcpu, value)) {
    case Popped::Done: break;
    case Popped::Fault: return take_pending(vcpu, value, true, false);
    case Popped::LockUp: return lock_up(vcpu);
    case Popped::BadMode:  // stacked again, as what was stacked wrongly
      push_frame(vcpu, static_cast<u32>(s.pc));
      return bad_return(vcpu, value, invalid_pc(s));
  }
  const bool last = s.active_priority == kPriorityNone;
  if ((value & kThread) != 0 && last && (s.bank().scr & scr::kSleepOnExit) != 0) {
    s.waits_for_event = 0;
    if (!arch.wakes(vcpu)) vcpu.halt();
  }
}

/// The return of a Non-secure function that Secure code called (BLXNS).
void function_return(Vcpu& vcpu) {
  ArmState& s = vcpu.state<ArmState>();
  const bool process = !is_handler(s) && (s.banks[kSecure].control & control::kSpsel) != 0;
  u32& sp = stack_pointer(s, kSecure, process);
  u32 words[2] = {};
  GuestFault fault = read_stack(vcpu, {kSecure, is_privileged(s, kSecure)}, sp, words, 2);
  const u32 ipsr = words[1] & 0x1ff;
  // In a handler the Non-secure state sees exception number 1.
  if (fault.cause == 0 && (s.ipsr != 0 || ipsr != 0) && (s.ipsr != 1 || ipsr == 0)) fault = invalid_pc(s);
  if (fault.cause != 0) {
    if (!pend_guest_fault(vcpu, fault)) return lock_up(vcpu);
    return enter(vcpu, static_cast<u32>(s.pc));
  }
  sp += 8;
  switch_security(s, kSecure);
  s.ipsr = ipsr & (kExceptions - 1);
  s.fp_context = (s.fp_context & ~control::kSfpa) | ((words[1] >> 20 & 1) != 0 ? control::kSfpa : 0);
  s.it = 0;
  s.thumb = words[0] & 1;
  s.pc = words[0] & ~u32{1};
}

u64 raise_usage(Vcpu& vcpu, u32 status) {
  vcpu.raise({fault_cause(exc::kUsageFault, status), 0});
  return 0;
}

}  // namespace

// ---- what the engine calls
// -------------------------------------------------------------------------------------

void ArmArch::enter_exception(Vcpu& vcpu, const GuestFault& met) const {
  ArmState& s = vcpu.state<ArmState>();
  GuestFault fault = met;
  if (is_secure_gateway(met)) {
    fault = enter_secure_gateway(vcpu, met);
    if (fault.cause == 0) return;
  }
  const unsigned exception = static_cast<unsigned>(fault.cause & 0xffff);
  const bool is_call = exception == exc::kSvc;
  if (fault.cause == kTakePending) return enter(vcpu, static_cast<u32>(s.pc));
  if (is_call && s.it != 0) s.it = (s.it & 7) == 0 ? 0 : (s.it & 0xe0) | (s.it << 1 & 0x1f);
  if (!pend_guest_fault(vcpu, fault)) return lock_up(vcpu);
  enter(vcpu, is_call ? static_cast<u32>(fault.value) : static_cast<u32>(s.pc));
}

GuestFault ArmArch::bus_fault(GuestAddr va, Access access) const {
  if (access == Access::Execute) return {fault_cause(exc::kBusFault, cfsr::kIbusErr), va};
  return {fault_cause(exc::kBusFault, cfsr::kPrecisErr | cfsr::kBfarValid), va};
}

bool ArmArch::ignores_fault(Vcpu& vcpu, const GuestFault& fault) const {
  return ignores_bus_fault(vcpu, fault, vcpu.state<ArmState>().secure);
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
  // Also while it is handled: the handler may have looked already, and runs again.
  if (rises) set_pending(vcpu, n, true);
}

bool ArmArch::interrupt_pending(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  if (s.exc_return != 0) return true;
  return s.pending_exception != 0 && s.pending_priority < execution_priority(s);
}

void ArmArch::enter_interrupt(Vcpu& vcpu) const {
  ArmState& s = vcpu.state<ArmState>();
  if (s.exc_return != 0) {
    const u32 value = std::exchange(s.exc_return, 0);
    // Without the Security Extension all that begins with ones is an exception's, if a damaged one.
    const bool function = s.has_security != 0 && (value | 1) == (kFunctionReturn | 1);
    return function ? function_return(vcpu) : exception_return(vcpu, value);
  }
  enter(vcpu, static_cast<u32>(s.pc));
}

bool ArmArch::wakes(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  if (s.lockup != 0) return interrupt_pending(vcpu);
  if (s.event != 0 && s.waits_for_event != 0) return true;
  // A WFI ends whether or not PRIMASK lets it be taken, a WFE only with what is taken.
  const bool with_primask = s.waits_for_event != 0;
  return s.exc_return != 0 ||
         (s.pending_exception != 0 && s.pending_priority < execution_priority(s, with_primask));
}

std::string ArmArch::why_halted(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  if (s.lockup == 0) return Architecture::why_halted(vcpu);
  return fmt::format("is locked up (a fault where none can be taken: CFSR {:#x}, HFSR {:#x})",
                     s.banks[0].cfsr | s.banks[1].cfsr, s.hfsr);
}

// ---- helpers
// ---------------------------------------------------------------------------------------------------

u64 undefined_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kUndefInstr); }
u64 invalid_state_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kInvState); }
u64 unaligned_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kUnaligned); }
u64 div_by_zero_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kDivByZero); }
u64 stack_limit_helper(Vcpu& vcpu, u64, u64, u64) { return raise_usage(vcpu, cfsr::kStkOf); }
u64 no_coprocessor_helper(Vcpu& vcpu, u64 floating, u64, u64) {
  if (floating == 0) return raise_usage(vcpu, cfsr::kNoCp);
  const GuestFault fault = fp_access_fault(vcpu.state<ArmState>());
  if (fault.cause == 0) return raise_usage(vcpu, cfsr::kUndefInstr);
  vcpu.raise(fault);
  return 0;
}

u64 svc_helper(Vcpu& vcpu, u64 next, u64, u64) {
  vcpu.raise({exc::kSvc, next});
  return 0;
}

}  // namespace hindcast::arm
