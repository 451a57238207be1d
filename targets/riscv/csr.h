// Control and status registers: one row each, in csrs.inc.
#pragma once
#include <string>

#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

/// Reads a CSR's value as this CPU shows it; no side effects.
using CsrRead = u64 (*)(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
/// Writes what is writable (WARL); the rest of `value` is dropped.
using CsrWrite = void (*)(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);

struct CsrRow {
  u16 number;  // of the first
  u16 count;   // consecutive CSRs; names get consecutive numbers, from `first`, in place of '#'
  u16 first;
  const char* name;
  u64 needs;  // ext:: bits
  Xlen xlen;
  bool ends_block;  // a write may change the context or make an interrupt deliverable; it asks for the run
                    // loop then
  u16 offset;       // of its storage in RiscvState, which makes it a register row; 0: none of its own
  CsrRead read;
  CsrWrite write;  // null: writes are ignored (the number says whether they are illegal)
};

/// The row of a CSR number, whatever the CPU; null if there is none.
const CsrRow* find_csr(unsigned number);
/// find_csr, if this CPU has it.
const CsrRow* find_csr(const RiscvArch& arch, unsigned number);
/// "mstatus"; null if there is no such CSR. The text lives as long as the process.
const char* csr_name(unsigned number);
std::span<const CsrRow> all_csrs();

bool csr_write_ends_block(unsigned number);

/// What a Zicsr instruction does.
struct CsrAccess {
  u16 number;
  bool reads, writes;
};
CsrAccess csr_access(u32 bits);

/// Leaves in the privilege, the pc and the CSRs only what a guest could have brought about. False: there was
/// something else, which can only come from a saved state of somebody else's making.
bool keep_legal(const RiscvArch& arch, RiscvState& s);

/// Helper of the Zicsr instructions (helpers.h).
u64 csr_helper(Vcpu& vcpu, u64 bits, u64 operand, u64);

/// RISC-V's fflags bits from and to the engine's fp::Flag bits.
u32 fflags_of(u32 fp_flags);
u32 fp_flags_of(u32 fflags);

// What configures other modes, and its consequences (csr_config.cpp).
u64 menvcfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void menvcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
void senvcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 mstateen_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void mstateen_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 mseccfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void mseccfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 stimecmp_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void stimecmp_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
/// Whether the CSRs that configure let this access happen at a privilege.
bool csr_configured(const RiscvArch& arch, const RiscvState& s, const CsrAccess& access, u64 privilege);
/// Part of keep_legal().
bool keep_configuration(const RiscvArch& arch, RiscvState& s);
/// The CSR whose every read is an answer from outside: 16 random bits, and that they are ready.
inline constexpr unsigned kSeed = 0x015;
u64 seed_read(Vcpu& vcpu);

// Counters (csr_counters.cpp).
u64 counter_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void counter_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 inhibit_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void inhibit_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
/// Virtual time in ticks, exact at the current instruction, and how long a tick is: that of kTimebaseHz,
/// unless the board says otherwise.
u64 time_ticks(const Vcpu& vcpu);
VirtualNs time_tick_ns(const Machine& machine);
inline constexpr u64 kTimebaseHz = 10'000'000;
inline constexpr u64 kInhibitable = 5;  // bits of mcountinhibit that all have: mcycle, minstret

}  // namespace hindcast::riscv
