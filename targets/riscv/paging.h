// Address translation by page tables (Privileged 1.12, sections 4.3 to 4.6, and chapters 5
// and 6): Sv32, Sv39, Sv48, Sv57; Svnapot, Svpbmt.
#pragma once
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

namespace satp {
inline constexpr u64 kBare = 0, kSv32 = 1, kSv39 = 8, kSv48 = 9, kSv57 = 10;
u64 mode(const RiscvArch& arch, u64 satp);
}  // namespace satp

/// Whether this CPU's satp can hold the value's mode.
bool satp_mode_exists(const RiscvArch& arch, u64 satp);
/// Whether addresses are translated at this privilege.
bool paged(const RiscvArch& arch, const RiscvState& s, u64 privilege);

/// Bits of page-table entries.
namespace pte {
inline constexpr u64 kValid = 1, kRead = 2, kWrite = 4, kExecute = 8, kUser = 16, kGlobal = 32,
                     kAccessed = 64, kDirty = 128;
inline constexpr unsigned kPpnShift = 10;
inline constexpr u64 kPpnMask64 = (u64{1} << 44) - 1;
inline constexpr u64 kNapot = u64{1} << 63;
inline constexpr unsigned kMemoryTypeShift = 61;
inline constexpr u64 kMemoryType = u64{3} << kMemoryTypeShift;
inline constexpr u64 kReserved64 = (u64{1} << kMemoryTypeShift) - (u64{1} << 54);

/// Whether the bits above the page number mean something here. What memory type they name makes no
/// difference.
bool well_formed(const RiscvArch& arch, const RiscvState& s, u64 entry, bool leaf);
/// Svnapot: sixteen pages by one entry that each of them has; other sizes are reserved.
constexpr bool napot_exists(unsigned level, u64 ppn) { return level == 0 && (ppn & 15) == 8; }
/// Which of the sixteen has `va`.
constexpr u64 napot_page(u64 ppn, GuestAddr va) { return (ppn & ~u64{15}) | (va >> 12 & 15); }
}  // namespace pte

inline constexpr unsigned kPageBits = 12;

/// The shape of a mode's tables (satp::mode).
struct Scheme {
  unsigned levels, index_bits, entry_size, address_bits;
};
constexpr Scheme scheme_of(u64 mode) {
  switch (mode) {
    case satp::kSv32: return {2, 10, 4, 32};
    case satp::kSv48: return {4, 9, 8, 48};
    case satp::kSv57: return {5, 9, 8, 57};
    default: return {3, 9, 8, 39};
  }
}

/// What a walk does beside finding the page.
enum class WalkFor : u8 {
  Access,    // an access that is about to be made: accessed and dirty bits are set, tables remembered
  Probe,     // what such an access would find, without a trace
  Debugger,  // without a trace, whatever the page's permissions
};

struct Walk {
  bool ok = false;
  GuestAddr physical = 0;
  GuestFault fault;  // when !ok
};

/// Translates `va` for an access at `privilege`, at which addresses are paged().
Walk walk_page_table(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, Access access, u64 privilege,
                     WalkFor purpose);

GuestFault page_fault(GuestAddr va, Access access);

}  // namespace hindcast::riscv
