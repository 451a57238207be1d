// Floating-point state on exception entry and return (DDI 0403, B1.5.7).
#pragma once
#include "targets/arm/state.h"

namespace hindcast::arm {

/// FPSCR put together from control bits, condition flags and accrued exceptions.
u32 read_fpscr(const ArmState& s);
void write_fpscr(ArmState& s, u32 value);

/// Whether CPACR lets the current mode use floating point.
bool fp_accessible(const ArmState& s);

/// The part of an extended frame at `at`, S0 to S15 and FPSCR, stored now or loaded. False: it is not
/// accessible.
bool push_fp_frame(Vcpu& vcpu, u32 at);
bool pop_fp_frame(Vcpu& vcpu, u32 at);
/// Leaves room for it, to be stored by the first floating-point instruction.
void reserve_fp_frame(ArmState& s, u32 at);

}  // namespace hindcast::arm
