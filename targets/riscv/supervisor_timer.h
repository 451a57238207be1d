// Supervisor mode's own timer (Sstc): its interrupt is pending while time is not below stimecmp. With the
// hypervisor extension VS mode has one too (vstimecmp), by a guest's time.
#pragma once
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

/// Gives the machine's vCPUs their timers. Once, before Machine::finish(), when the board's devices are
/// there; for CPUs without Sstc it does nothing.
void add_supervisor_timers(Machine& machine);
/// stimecmp, or whether it is in use, has changed.
void update_supervisor_timer(Vcpu& vcpu);
/// Bits of RiscvState::supervisor_lines that this CPU can have.
u64 supervisor_line_mask(const RiscvArch& arch);
/// The same of guest_lines.
u64 guest_line_mask(const RiscvArch& arch);

}  // namespace hindcast::riscv
