// The exception model (DDI 0403, B1.5): priorities, entry, return, faults and their escalation, lockup.
#pragma once
#include "targets/arm/arm.h"

namespace hindcast::arm {

/// Recomputes what is derived from the sets of exceptions and their priorities. After every change of them.
void update_exceptions(ArmState& s);

/// The priority below which an exception must be to be taken now.
i32 execution_priority(const ArmState& s, bool with_primask = true);
/// The part of a programmable priority that decides about preemption.
i32 group_priority(const ArmState& s, i32 priority);
i32 exception_priority(const ArmState& s, unsigned exception);

/// Makes an exception pending, or no longer. The run loop is asked to look.
void set_pending(Vcpu& vcpu, unsigned exception, bool on);

/// Whether accesses are checked by the MPU now.
bool mpu_active(const ArmState& s);
/// Whether the MPU allows the access; sets *granule to the aligned block around the address, of at most a
/// page, for which that holds.
bool mpu_allows(const ArmState& s, unsigned regions, u32 address, unsigned size, Access access,
                bool privileged, u64* granule);
/// Whether the default memory map allows execution.
bool default_map_executable(u32 address);

/// The program status registers in one (DDI 0403, B1.4.2).
u32 read_xpsr(const ArmState& s);
void write_xpsr(ArmState& s, u32 value);

/// The two stack pointers, whichever is in use.
u32 read_sp(const ArmState& s, bool process);
void write_sp(ArmState& s, bool process, u32 value);
/// CONTROL.SPSEL, which decides in Thread mode only.
void select_sp(ArmState& s, bool process);

}  // namespace hindcast::arm
