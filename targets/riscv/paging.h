// Address translation by page tables (Privileged 1.12, sections 4.3 to 4.6, and chapters 5
// and 6): Sv32, Sv39, Sv48, Sv57; Svnapot, Svpbmt. With the hypervisor extension the second stage too
// (section 8.5): Sv32x4, Sv39x4, Sv48x4, Sv57x4.
#pragma once
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

namespace satp {
inline constexpr u64 kBare = 0, kSv32 = 1, kSv39 = 8, kSv48 = 9, kSv57 = 10;
u64 mode(const RiscvArch& arch, u64 satp);
}  // namespace satp

/// Whether this CPU's satp can hold the value's mode.
bool satp_mode_exists(const RiscvArch& arch, u64 satp);

/// As whom an access is made.
struct Actor {
  u64 privilege = kMachine;
  bool guest = false;     // V=1: through vsatp and hgatp
  bool executes = false;  // a load by the right to execute (HLVX)

  /// For RiscvState::acting.
  u64 encoded() const { return 1 | privilege << 1 | u64{guest} << 3 | u64{executes} << 4; }
  static Actor decoded(u64 code) { return {code >> 1 & 3, (code >> 3 & 1) != 0, (code >> 4 & 1) != 0}; }
};
inline Actor fetch_actor(const RiscvState& s) { return {s.privilege, s.virt != 0, false}; }
/// Of loads and stores: mstatus.MPRV says otherwise than the current mode.
inline Actor data_actor(const RiscvState& s) {
  if (s.acting != 0) return Actor::decoded(s.acting);
  const u64 privilege = data_privilege(s);
  if ((s.mstatus & mstatus::kMprv) == 0) return {privilege, s.virt != 0, false};
  return {privilege, privilege != kMachine && (s.virtual_status & vstatus::kMpv) != 0, false};
}

/// Whether addresses are translated for it.
bool paged(const RiscvArch& arch, const RiscvState& s, const Actor& actor);

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

/// Whether the bits above the page number mean something, where `envcfg` (menvcfg, henvcfg) configures
/// memory types. What memory type they name makes no difference.
bool well_formed(const RiscvArch& arch, u64 envcfg, u64 entry, bool leaf);
/// Svnapot: sixteen pages by one entry that each of them has; other sizes are reserved.
constexpr bool napot_exists(unsigned level, u64 ppn) { return level == 0 && (ppn & 15) == 8; }
/// Which of the sixteen has `va`.
constexpr u64 napot_page(u64 ppn, GuestAddr va) { return (ppn & ~u64{15}) | (va >> 12 & 15); }
}  // namespace pte

inline constexpr unsigned kPageBits = 12;

/// The shape of a mode's tables (satp::mode).
struct Scheme {
  unsigned levels, index_bits, entry_size, address_bits;
  unsigned root_bits = 0;  // more of the index that the root has: 2 in the second stage
  u64 index(GuestAddr va, unsigned level) const {
    const unsigned bits = index_bits + (level + 1 == levels ? root_bits : 0);
    return va >> (12 + level * index_bits) & ((u64{1} << bits) - 1);
  }
};
constexpr Scheme scheme_of(u64 mode) {
  switch (mode) {
    case satp::kSv32: return {2, 10, 4, 32};
    case satp::kSv48: return {4, 9, 8, 48};
    case satp::kSv57: return {5, 9, 8, 57};
    default: return {3, 9, 8, 39};
  }
}

/// That of hgatp's modes, whose addresses are two bits wider.
constexpr Scheme second_stage_scheme_of(u64 mode) {
  Scheme scheme = scheme_of(mode);
  scheme.address_bits += 2;
  scheme.root_bits = 2;
  return scheme;
}
/// Where satp's, vsatp's or hgatp's root table is.
GuestAddr root_table(const RiscvArch& arch, u64 atp);

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

/// Translates `va` for an access by `actor`, for whom addresses are paged().
Walk walk_page_table(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, Access access, const Actor& actor,
                     WalkFor purpose);
/// A guest's physical address for people: through hgatp alone, whatever the permissions.
Walk walk_second_stage(const RiscvArch& arch, Vcpu& vcpu, GuestAddr physical);

/// GuestFault::detail of guest-page faults: the guest's physical address that was not translated, without its
/// two low bits, and what these say: whether that was an access to the guest's own page tables. Of others:
/// kGuestAddress if the value is a guest's virtual address, whatever the mode.
namespace fault_detail {
inline constexpr u64 kTableRead = 1, kTableWrite = 2, kGuestAddress = u64{1} << 63;
}  // namespace fault_detail

GuestFault page_fault(GuestAddr va, Access access);

}  // namespace hindcast::riscv
