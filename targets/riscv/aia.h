// The Advanced Interrupt Architecture inside the hart ("RISC-V Advanced Interrupt Architecture" 1.0, chapters
// 2, 3 and 5; extensions Smaia and Ssaia): priorities of major interrupts, the top interrupt of each level,
// interrupts that machine mode makes for supervisor mode, and the window to the hart's interrupt files.
#pragma once
#include "targets/riscv/csr.h"

namespace hindcast::riscv {

/// The interrupts that are pending and enabled for a level, whether it takes interrupts now or not. Without
/// Smaia the virtual ones are never there.
u64 machine_interrupts(const RiscvState& s);
u64 supervisor_interrupts(const RiscvState& s);
/// The same for a guest's supervisor mode: what hideleg leaves to it, as bits of hip.
u64 guest_interrupts(const RiscvState& s);
/// Which of `pending`, not 0, comes first at the level (`machine` or supervisor).
unsigned first_interrupt(const RiscvArch& arch, const Vcpu& vcpu, bool machine, u64 pending);

/// sip and sie as they read, and with them the interrupts that are in hip and hie.
u64 supervisor_pending(const RiscvState& s);
u64 supervisor_enabled(const RiscvState& s);
/// What a write to them changes beside mip and mie.
void write_virtual_pending(RiscvState& s, u64 value);
void write_virtual_enabled(RiscvState& s, u64 value);

/// Whether the access is there at all: interrupt files exist with an IMSIC only, and some numbers of indirect
/// registers stand for nothing.
bool aia_permits(const RiscvArch& arch, const Vcpu& vcpu, const CsrAccess& access);
/// The bits of mstateen0 that AIA adds to this hart's; null: those that it can add.
u64 aia_stateen(const RiscvArch& arch, const Vcpu* vcpu);

/// Parts of keep_legal() and of the vCPU's state.
bool aia_keep_legal(const RiscvArch& arch, RiscvState& s);
void aia_state(const RiscvArch& arch, RiscvState& s, Archive& ar);

// CSRs.
u64 top_interrupt_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
u64 top_external_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void top_external_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 indirect_select_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void indirect_select_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 indirect_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void indirect_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 mvien_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void mvien_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 mvip_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void mvip_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
/// The upper halves of sip and sie.
u64 supervisor_high_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void supervisor_high_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);

}  // namespace hindcast::riscv
