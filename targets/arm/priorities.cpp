// Priorities of exceptions, what is pending, and the escalation of faults (DDI 0403, B1.5.4; DDI 0553, B3.9
// to B3.14).
#include <algorithm>
#include <tuple>

#include "engine/machine.h"
#include "targets/arm/exceptions.h"

namespace hindcast::arm {
namespace {

/// Where the lower half of the Non-secure state's priorities begins under AIRCR.PRIS.
constexpr i32 kLowerHalf = 0x80;

i32 group_mask(const ArmState& s, u32 secure) { return ~((2 << s.banks[secure].prigroup) - 1) & 0xff; }

}  // namespace

bool is_banked(unsigned exception) {
  switch (exception) {
    case exc::kHardFault:
    case exc::kMemManage:
    case exc::kUsageFault:
    case exc::kSvc:
    case exc::kPendSv:
    case exc::kSysTick: return true;
    default: return false;
  }
}

unsigned slot_of(const ArmState& s, unsigned exception, u32 secure) {
  return s.has_security != 0 && secure == kSecure && is_banked(exception) ? kSecureSlots + exception
                                                                          : exception;
}

u32 security_of(const ArmState& s, unsigned slot) {
  if (s.has_security == 0) return kNonSecure;
  if (slot >= kSecureSlots) return kSecure;
  switch (slot) {
    case exc::kReset:
    case exc::kSecureFault: return kSecure;
    case exc::kNmi:
    case exc::kBusFault: return (s.aircr & aircr::kBfhfnmins) != 0 ? kNonSecure : kSecure;
    default:
      if (slot < exc::kFirstIrq) return kNonSecure;
      return s.targets_non_secure.has(slot) ? kNonSecure : kSecure;
  }
}

i32 group_priority(const ArmState& s, i32 priority, u32 secure) {
  if (priority < 0) return priority;
  const i32 group = priority & group_mask(s, secure);
  const bool lowered = s.has_security != 0 && secure == kNonSecure && (s.aircr & aircr::kPris) != 0;
  return lowered ? (group >> 1) + kLowerHalf : group;
}

i32 exception_priority(const ArmState& s, unsigned slot) {
  switch (slot) {
    case exc::kReset: return kPriorityReset;
    case exc::kNmi: return kPriorityNmi;
    case exc::kHardFault: return kPriorityHardFault;
    case kSecureSlots + exc::kHardFault:
      return (s.aircr & aircr::kBfhfnmins) != 0 ? kPrioritySecureHardFault : kPriorityHardFault;
    default: return group_priority(s, s.priority[slot], security_of(s, slot));
  }
}

void update_exceptions(ArmState& s) {
  s.active_priority = kPriorityNone;
  s.pending_exception = 0;
  s.pending_priority = kPriorityNone;
  for_each_slot(s.active, [&](unsigned slot) {
    s.active_priority = std::min(s.active_priority, exception_priority(s, slot));
  });
  // Equal ones are taken in the order of their numbers.
  using Key = std::tuple<i32, i32, unsigned>;
  Key best{kPriorityNone, 0, 0};
  for_each_slot(s.pending, [&](unsigned slot) {
    if (!s.enabled.has(slot)) return;
    const i32 priority = exception_priority(s, slot);
    const u32 secure = security_of(s, slot);
    const i32 within = priority < 0 ? 0 : s.priority[slot] & ~group_mask(s, secure);
    const Key key{priority, within, 2 * number_of(slot) + (1 - secure)};
    if (key >= best) return;
    best = key;
    s.pending_exception = slot;
    s.pending_priority = priority;
  });
}

i32 execution_priority(const ArmState& s, bool with_primask) {
  const Bank& ns = s.banks[kNonSecure];
  const bool lowered = s.has_security != 0 && (s.aircr & aircr::kPris) != 0;
  const bool own_hard_fault = s.has_security == 0 || (s.aircr & aircr::kBfhfnmins) != 0;
  i32 priority = s.active_priority;
  const auto at_most = [&](i32 limit) { priority = std::min(priority, limit); };
  if (ns.basepri != 0) at_most(group_priority(s, static_cast<i32>(ns.basepri), kNonSecure));
  if (ns.primask != 0 && with_primask) at_most(lowered ? kLowerHalf : 0);
  if (ns.faultmask != 0) at_most(own_hard_fault ? kPriorityHardFault : lowered ? kLowerHalf : 0);
  if (s.has_security == 0) return priority;
  const Bank& secure = s.banks[kSecure];
  if (secure.basepri != 0) at_most(group_priority(s, static_cast<i32>(secure.basepri), kSecure));
  if (secure.primask != 0 && with_primask) at_most(0);
  if (secure.faultmask != 0) at_most(own_hard_fault ? kPrioritySecureHardFault : kPriorityHardFault);
  return priority;
}

bool negative_priority(const ArmState& s, u32 secure) {
  if (s.banks[secure].faultmask != 0 || s.active.has(slot_of(s, exc::kHardFault, secure))) return true;
  return s.active.has(exc::kNmi) && security_of(s, exc::kNmi) == secure;
}

void set_pending(Vcpu& vcpu, unsigned slot, bool on) {
  ArmState& s = vcpu.state<ArmState>();
  const bool wakes = (s.banks[security_of(s, slot)].scr & scr::kSevOnPend) != 0;
  if (on && !s.pending.has(slot) && wakes) s.event = 1;
  s.pending.set(slot, on);
  update_exceptions(s);
  if (on) vcpu.request_exit();
}

bool pend_fault(Vcpu& vcpu, unsigned exception, u32 secure) {
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  const i32 now = execution_priority(s);
  unsigned slot = slot_of(s, exception, secure);
  const bool fits = s.enabled.has(slot) && exception_priority(s, slot) < now;
  if (!fits) {
    const bool hard_already = exception == exc::kHardFault || exception == exc::kNmi;
    if (hard_already) return false;
    if (!arch.features().baseline()) {
      s.hfsr |= exception == exc::kDebugMonitor ? hfsr::kDebugEvt : hfsr::kForced;
    }
    // The HardFault of the security state that the fault is of, if that one has its own.
    const bool own = (s.aircr & aircr::kBfhfnmins) != 0;
    slot = slot_of(s, exc::kHardFault, own ? security_of(s, slot) : kSecure);
    if (exception_priority(s, slot) >= now) return false;
  }
  s.pending.set(slot, true);
  update_exceptions(s);
  return true;
}

namespace {

/// The status that a fault leaves.
void note_fault(ArmState& s, const GuestFault& fault, u32 secure) {
  const u32 status = static_cast<u32>(fault.cause >> 32), address = static_cast<u32>(fault.value);
  switch (fault.cause & 0xffff) {
    case exc::kMemManage:
      s.banks[secure].cfsr |= status;
      if ((status & cfsr::kMmarValid) != 0) s.banks[secure].mmfar = address;
      break;
    case exc::kBusFault:
      s.banks[kNonSecure].cfsr |= status;
      if ((status & cfsr::kBfarValid) != 0) s.bfar = address;
      break;
    case exc::kUsageFault: s.banks[secure].cfsr |= status; break;
    case exc::kSecureFault:
      s.sfsr |= status;
      if ((status & sfsr::kSfarValid) != 0) s.sfar = address;
      break;
    case exc::kDebugMonitor: s.dfsr |= status; break;
    default: break;
  }
}

}  // namespace

bool ignores_bus_fault(Vcpu& vcpu, const GuestFault& fault, u32 secure) {
  ArmState& s = vcpu.state<ArmState>();
  // The bit is there once, and never set in Armv6-M and v8-M Baseline.
  if ((fault.cause & 0xffff) != exc::kBusFault || (s.banks[kNonSecure].ccr & ccr::kBfhfnmign) == 0)
    return false;
  if (!negative_priority(s, secure)) return false;
  note_fault(s, fault, secure);
  return true;
}

bool pend_guest_fault(Vcpu& vcpu, const GuestFault& fault) {
  ArmState& s = vcpu.state<ArmState>();
  const unsigned exception = static_cast<unsigned>(fault.cause & 0xffff);
  const u32 secure = (fault.cause & kCauseSecure) != 0 ? kSecure : s.secure;
  if (!arch_of(vcpu).features().baseline()) note_fault(s, fault, secure);
  return pend_fault(vcpu, exception, secure);
}

}  // namespace hindcast::arm
