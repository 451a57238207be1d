// Floating-point state on exception entry and return (DDI 0403, B1.5.7; DDI 0553, B3.25).
#pragma once
#include "targets/arm/fp_helpers.h"
#include "targets/arm/frames.h"
#include "targets/arm/state.h"

namespace hindcast::arm {

/// FPSCR put together from control bits, condition flags and accrued exceptions.
u32 read_fpscr(const ArmState& s);
void write_fpscr(ArmState& s, u32 value);

/// Where the bits of FPCCR are that both security states share.
inline u32 fp_common_bank(const ArmState& s) { return s.has_security != 0 ? kSecure : kNonSecure; }
/// Whether NSACR lets the Non-secure state use floating point.
inline bool fp_allowed_to_non_secure(const ArmState& s) {
  return s.has_security == 0 || (s.nsacr >> 10 & 1) != 0;
}
/// Whether CPACR and NSACR let the current mode use floating point.
bool fp_accessible(const ArmState& s);
/// Whether the registers hold the current code's own floating-point state: it may be used at once.
bool fp_active(const ArmState& s);

/// The fault of using floating point as things are; null cause: none.
GuestFault fp_access_fault(const ArmState& s);
/// Stores state that waits to be stored, whoever's it is. False: what is pending must be taken first.
bool settle_lazy_state(Vcpu& vcpu);

/// S0 to S(singles - 1) and FPSCR become 0.
void clear_fp_registers(ArmState& s, unsigned singles);

/// The part of an extended frame at `at`: registers and FPSCR, now (if `store`) or lazily (FPCCR). False: it
/// could not be stored; the fault is pending.
bool push_fp_frame(Vcpu& vcpu, u32 at, bool store);
/// The fault that unstacking meets, if any.
GuestFault pop_fp_frame(Vcpu& vcpu, const View& view, u32 at);

}  // namespace hindcast::arm
