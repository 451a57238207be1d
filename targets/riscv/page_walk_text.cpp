// The walk through the page tables, told to a user.
#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "engine/machine.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {
namespace {

constexpr u64 kRights = pte::kRead | pte::kWrite | pte::kExecute;

const char* mode_name(unsigned address_bits) {
  switch (address_bits) {
    case 32: return "Sv32";
    case 48: return "Sv48";
    case 57: return "Sv57";
    default: return "Sv39";
  }
}

std::string size_text(u64 bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  unsigned unit = 0;
  for (; bytes >= 1024; bytes /= 1024) ++unit;
  return fmt::format("{} {}", bytes, kUnits[unit]);
}

std::string rights_text(u64 entry) {
  std::string text;
  text += (entry & pte::kRead) != 0 ? 'r' : '-';
  text += (entry & pte::kWrite) != 0 ? 'w' : '-';
  text += (entry & pte::kExecute) != 0 ? 'x' : '-';
  text += (entry & pte::kUser) != 0 ? " user" : " supervisor";
  if ((entry & pte::kGlobal) != 0) text += " global";
  if ((entry & pte::kAccessed) != 0) text += " accessed";
  if ((entry & pte::kDirty) != 0) text += " dirty";
  switch ((entry & pte::kMemoryType) >> pte::kMemoryTypeShift) {
    case 1: text += ", memory type NC"; break;
    case 2: text += ", memory type IO"; break;
    default: break;
  }
  return text;
}

/// A stage of a walk.
struct Stage {
  u64 atp;
  u64 envcfg;
  Scheme scheme;
  bool nested;  // its addresses are a guest's, which hgatp translates
};

/// What every walk over the entry ends with; empty: none does.
std::string reserved_text(const RiscvArch& arch, const Stage& stage, u64 entry) {
  const bool leaf = (entry & kRights) != 0;
  if ((entry & (pte::kRead | pte::kWrite)) == pte::kWrite) return "writable but not readable: page fault\n";
  if (!pte::well_formed(arch, stage.envcfg, entry, leaf)) return "reserved bits are set: page fault\n";
  if (!leaf && (entry & (pte::kUser | pte::kAccessed | pte::kDirty)) != 0)
    return "a table with rights of a page: page fault\n";
  return {};
}

/// The page that `entry` of `level` gives to `va`; its bits are well formed. `physical` receives where that
/// is.
std::string leaf_text(const AddressSpace& memory, GuestAddr va, u64 entry, u64 ppn, unsigned level,
                      const Stage& stage, std::optional<GuestAddr>* physical) {
  const unsigned bits = kPageBits + level * stage.scheme.index_bits;
  const bool wide = stage.scheme.entry_size == 8;
  const u64 page = u64{1} << bits;
  u64 size = page;
  if (wide && (entry & pte::kNapot) != 0) {
    if (!pte::napot_exists(level, ppn)) return "sixteen pages (Svnapot) of a reserved form: page fault\n";
    ppn = pte::napot_page(ppn, va);
    size *= 16;
  }
  const GuestAddr at = ppn << kPageBits, begin = at & ~(size - 1);
  std::string out =
      fmt::format("page of {}{} at {:#x}, {}\n", size_text(size), size != page ? " (Svnapot)" : "",
                  size != page ? begin : at, rights_text(wide ? entry : entry & 0x3ff));
  if ((at & (page - 1)) != 0) return out + "a page of this size may not begin there: page fault\n";
  *physical = at | (va & (page - 1));
  if (stage.nested) return out + fmt::format("{:#x} is at {:#x} of the guest's memory\n", va, **physical);
  const std::string name = memory.name_at(**physical);
  return out + fmt::format("{:#x} is at {:#x} in physical memory: {}\n", va, **physical,
                           name.empty() ? "nothing there" : name);
}

/// The entries on the way to `va`.
std::string walk_text(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, const Stage& stage,
                      std::optional<GuestAddr>* physical) {
  const Scheme& scheme = stage.scheme;
  AddressSpace& memory = vcpu.machine().memory();
  GuestAddr table = root_table(arch, stage.atp);
  std::string out;
  const i64 top = static_cast<i64>(va) >> (scheme.address_bits - 1);
  const bool in_range = scheme.root_bits != 0    ? va >> scheme.address_bits == 0
                        : scheme.entry_size == 8 ? top == 0 || top == -1
                                                 : true;
  if (!in_range) return fmt::format("{:#x} is no address of {} bits\n", va, scheme.address_bits);
  for (unsigned level = scheme.levels; level-- > 0;) {
    const u64 index = scheme.index(va, level);
    const GuestAddr at = table + index * scheme.entry_size;
    const Walk place =
        stage.nested ? walk_second_stage(arch, vcpu, at) : Walk{.ok = true, .physical = at, .fault = {}};
    const u8* bytes = place.ok ? memory.peek(place.physical, scheme.entry_size) : nullptr;
    if (bytes == nullptr) return out + fmt::format("level {}: no memory at {:#x}\n", level, at);
    u64 entry = 0;
    std::memcpy(&entry, bytes, scheme.entry_size);
    out += fmt::format("level {}: entry {} at {:#x} is {:#x}: ", level, index, at, entry);
    if ((entry & pte::kValid) == 0) return out + fmt::format("not valid\n{:#x} is not mapped\n", va);
    if (const std::string why = reserved_text(arch, stage, entry); !why.empty()) return out + why;
    const u64 ppn =
        scheme.entry_size == 4 ? entry >> pte::kPpnShift : entry >> pte::kPpnShift & pte::kPpnMask64;
    if ((entry & kRights) != 0) return out + leaf_text(memory, va, entry, ppn, level, stage, physical);
    table = ppn << kPageBits;
    out += fmt::format("table at {:#x}\n", table);
  }
  return out + "the last level has no page: page fault\n";
}

const char* privilege_name(u64 privilege) {
  return privilege == kMachine ? "machine" : privilege == kSupervisor ? "supervisor" : "user";
}

std::string guest_text(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, u64 privilege) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const u64 first_mode = satp::mode(arch, s.vsatp), second_mode = satp::mode(arch, s.hgatp);
  std::string out = fmt::format("in a guest (V is 1); loads and stores now are those of its {} mode\n",
                                privilege_name(privilege));
  std::optional<GuestAddr> physical = va;
  if (first_mode == satp::kBare) {
    out += "no paging by the guest: vsatp's mode is Bare\n";
  } else {
    const Stage stage{s.vsatp, s.henvcfg, scheme_of(first_mode), second_mode != satp::kBare};
    out += fmt::format("{}, vsatp {:#x}, root table at {:#x}\n", mode_name(stage.scheme.address_bits),
                       s.vsatp, root_table(arch, s.vsatp));
    physical.reset();
    out += walk_text(arch, vcpu, va, stage, &physical);
  }
  if (!physical.has_value()) return out;
  if (second_mode == satp::kBare) return out + "no second stage: hgatp's mode is Bare\n";
  const Stage stage{s.hgatp, s.menvcfg, second_stage_scheme_of(second_mode), false};
  out += fmt::format("{}x4, hgatp {:#x}, root table at {:#x}\n", mode_name(stage.scheme.address_bits - 2),
                     s.hgatp, root_table(arch, s.hgatp));
  const GuestAddr guest_physical = *physical;
  return out + walk_text(arch, vcpu, guest_physical, stage, &physical);
}

}  // namespace

std::string RiscvArch::describe_translation(Vcpu& vcpu, GuestAddr address) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  const GuestAddr va = truncate(address);
  const Actor actor = data_actor(s);
  if (actor.guest) return guest_text(*this, vcpu, va, actor.privilege);
  if (satp::mode(*this, s.satp) == satp::kBare) return "no paging: satp's mode is Bare\n";
  const Stage stage{s.satp, s.menvcfg, scheme_of(satp::mode(*this, s.satp)), false};
  std::optional<GuestAddr> physical;
  return fmt::format("{}, satp {:#x}, root table at {:#x}; loads and stores now are those of {} mode{}\n",
                     mode_name(stage.scheme.address_bits), s.satp, root_table(*this, s.satp),
                     privilege_name(actor.privilege),
                     actor.privilege == kMachine ? ", which does not page" : "") +
         walk_text(*this, vcpu, va, stage, &physical);
}

}  // namespace hindcast::riscv
