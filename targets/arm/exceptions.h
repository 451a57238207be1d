// The exception model (DDI 0403, B1.5; DDI 0553, B3): priorities, entry, return, faults and their escalation,
// lockup.
#pragma once
#include "targets/arm/arm.h"

namespace hindcast::arm {

// ---- slots (ArmState's numbering of exceptions; priorities.cpp)

/// Whether both security states have an exception of this number.
bool is_banked(unsigned exception);
/// The slot of an exception; `secure` matters for banked ones.
unsigned slot_of(const ArmState& s, unsigned exception, u32 secure);
constexpr unsigned number_of(unsigned slot) { return slot >= kSecureSlots ? slot - kSecureSlots : slot; }
/// The security state that handles it.
u32 security_of(const ArmState& s, unsigned slot);
/// Calls fn(slot) for each exception that is in the set.
template <typename Fn>
void for_each_slot(const ExceptionSet& set, Fn fn) {
  for (unsigned w = 0; w < kExceptionWords; ++w)
    for (u32 bits = set.words[w]; bits != 0; bits &= bits - 1)
      fn(32 * w + static_cast<unsigned>(__builtin_ctz(bits)));
}

// ---- priorities

/// Recomputes what is derived from the sets of exceptions and their priorities. After every change of them.
void update_exceptions(ArmState& s);

/// The priority below which an exception must be to be taken now.
i32 execution_priority(const ArmState& s, bool with_primask = true);
/// The part of a security state's programmable priority that decides about preemption.
i32 group_priority(const ArmState& s, i32 priority, u32 secure);
i32 exception_priority(const ArmState& s, unsigned slot);
/// Whether the security state's code runs as a HardFault or NMI handler, or as if it did.
bool negative_priority(const ArmState& s, u32 secure);

/// Makes an exception pending, or no longer. The run loop is asked to look.
void set_pending(Vcpu& vcpu, unsigned slot, bool on);

/// A fault becomes pending, or the HardFault that it escalates to. False: neither can be taken.
bool pend_fault(Vcpu& vcpu, unsigned exception, u32 secure);
/// Whether a fault is one of a data access on behalf of `secure` that CCR.BFHFNMIGN lets HardFault and NMI
/// handlers, and code with FAULTMASK, go on from. Its status is noted then.
bool ignores_bus_fault(Vcpu& vcpu, const GuestFault& fault, u32 secure);
/// What a GuestFault of this architecture says, into the fault status registers; and its exception pending.
bool pend_guest_fault(Vcpu& vcpu, const GuestFault& fault);

// ---- stack pointers and program status (system.cpp)

/// The program status registers in one (DDI 0403, B1.4.2).
u32 read_xpsr(const ArmState& s);
/// Not through this: changes between modes, which use another stack.
void write_xpsr(ArmState& s, u32 value);

/// A stack pointer, whether or not it is in use.
u32& stack_pointer(ArmState& s, u32 secure, bool process);
inline u32 read_sp(const ArmState& s, bool process) {
  return process_sp_in_use(s) == process ? s.r[kSp] : s.bank().sp[process ? 1 : 0];
}
/// CONTROL.SPSEL, which decides in Thread mode only.
void select_sp(ArmState& s, bool process);
/// Whether stack pointers of that security state are held to their limits now (CCR.STKOFHFNMIGN).
inline bool stack_limit_applies(const ArmState& s, u32 secure) {
  return (s.banks[secure].ccr & ccr::kStkOfHfNmiGn) == 0 || !negative_priority(s, secure);
}
/// After a change of what decides about stack pointer in use or its limit.
inline void update_stack_limit(ArmState& s) {
  s.stack_limit = s.bank().sp_limit[process_sp_in_use(s) ? 1 : 0];
}
/// Makes a change after which another stack pointer may be in use.
template <typename Fn>
void change_stack(ArmState& s, Fn change) {
  s.bank().sp[process_sp_in_use(s) ? 1 : 0] = s.r[kSp];
  change();
  s.r[kSp] = s.bank().sp[process_sp_in_use(s) ? 1 : 0];
  update_stack_limit(s);
}
/// The other security state.
void switch_security(ArmState& s, u32 secure);

}  // namespace hindcast::arm
