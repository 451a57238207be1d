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
