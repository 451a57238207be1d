// The hypervisor extension (H 1.0; Privileged, chapter 8): V=1, in which a guest's supervisor and user mode
// run. What traps do about it is in traps.cpp, what translation does in paging.h. There are no interrupt
// files for guests (GEILEN is 0).
#pragma once
#include "targets/riscv/csr.h"

namespace hindcast::riscv {

/// What is to be raised where an instruction is not allowed.
enum class Verdict : u8 { Allowed, Illegal, Virtual };

/// The CSR that a number means while V is 1: VS mode's own takes the place of supervisor mode's.
unsigned guest_csr(unsigned number);
/// Whether the instruction may do this while V is 1; `in_hypervisor`: whether HS mode might.
Verdict guest_csr_verdict(const RiscvArch& arch, const RiscvState& s, const CsrAccess& access,
                          bool in_hypervisor);

/// Raises virtual-instruction for `bits`, or illegal-instruction.
u64 refuse(Vcpu& vcpu, Verdict verdict, u64 bits);

/// What htinst and mtinst tell of the instruction that raised `fault`: where it is a load or store, the
/// instruction without its address; 0: nothing.
u64 trap_instruction(const RiscvArch& arch, Vcpu& vcpu, const GuestFault& fault);

/// Bits of the CSRs, by what the CPU has.
u64 henvcfg_mask(const RiscvArch& arch, const RiscvState& s);
/// menvcfg or an mstateen# has changed: what it does not allow is 0 in henvcfg and hstateen#.
void settle_hypervisor_masks(const RiscvArch& arch, RiscvState& s);

/// Parts of keep_legal() and of the vCPU's state.
bool hypervisor_keep_legal(const RiscvArch& arch, RiscvState& s);
void hypervisor_state(const RiscvArch& arch, RiscvState& s, Archive& ar);

// CSRs.
u64 vsstatus_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void vsstatus_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 vsie_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void vsie_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 vsip_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void vsip_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
void vsatp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 hstatus_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void hstatus_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 hie_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void hie_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 hip_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void hip_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
void hgatp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
/// htimedelta, vstimecmp, henvcfg and hstateen#, and RV32's upper halves of them.
u64 htimedelta_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void htimedelta_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 vstimecmp_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void vstimecmp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 henvcfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void henvcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 hstateen_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void hstateen_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);

}  // namespace hindcast::riscv
