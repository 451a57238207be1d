// Floating-point state on exception entry and return (DDI 0403, B1.5.7).
#pragma once
#include "targets/arm/state.h"

namespace hindcast::arm {

/// FPSCR put together from control bits, condition flags and accrued exceptions.
u32 read_fpscr(const ArmState& s);
void write_fpscr(ArmState& s, u32 value);

/// Whether CPACR lets the current mode use floating point.
bool fp_accessible(const ArmState& s);

/// S0 to S15 and FPSCR to memory. False: not all of it is accessible.
bool store_fp_registers(Vcpu& vcpu, u32 at);

/// The part of an extended frame at `at`: S0 to S15 and FPSCR, now or lazily (FPCCR). False: not storable.
bool push_fp_frame(Vcpu& vcpu, u32 at);
bool pop_fp_frame(Vcpu& vcpu, u32 at);

}  // namespace hindcast::arm
