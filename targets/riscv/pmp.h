// Physical memory protection (Privileged 1.12, section 3.7; Smepmp 1.0): 16 entries, granularity 4 bytes.
#pragma once
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

namespace pmp {
inline constexpr u8 kRead = 1, kWrite = 2, kExecute = 4, kAll = 7;
inline constexpr unsigned kModeShift = 3;
inline constexpr u8 kMode = 3 << kModeShift;  // off, TOR, NA4, NAPOT
inline constexpr u8 kLock = 0x80;
}  // namespace pmp

/// The manual leaves open whether a misaligned access is checked as a whole; here it is made in parts that do
/// not cross a multiple of this. The largest aligned access is one part.
inline constexpr u64 kPmpPart = 8;

/// What `privilege` may do with the bytes [address, address + size): kRead | kWrite |
/// kExecute bits. `uniform`, if not null: whether that holds for each part of the block (no entry's border
/// inside).
u8 pmp_permissions(const RiscvArch& arch, const RiscvState& s, u64 privilege, u64 address, u64 size,
                   bool* uniform);

/// The same for what a hart accesses: mostly in one range of addresses, whose answer is remembered.
u8 pmp_permissions(const RiscvArch& arch, const Vcpu& vcpu, u64 privilege, u64 address, u64 size,
                   bool* uniform);

/// Whether anything at all can be refused to `privilege` now, and the number of what it may execute.
const RiscvState::PmpSummary& pmp_summary(const RiscvArch& arch, const Vcpu& vcpu, u64 privilege);
/// The entries are, or may be, others than they were.
void pmp_changed(Vcpu& vcpu);

u64 pmpcfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void pmpcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 pmpaddr_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void pmpaddr_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);

bool pmp_any_locked(const RiscvState& s);

/// Leaves in the entries only what a guest could have written. False: there was something else.
bool pmp_keep_legal(const RiscvArch& arch, RiscvState& s);

}  // namespace hindcast::riscv
