// The walk through the page tables, told to a user.
#include <fmt/format.h>

#include <cstring>

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

/// What every walk over the entry ends with; empty: none does.
std::string reserved_text(const RiscvArch& arch, const RiscvState& s, u64 entry) {
  const bool leaf = (entry & kRights) != 0;
  if ((entry & (pte::kRead | pte::kWrite)) == pte::kWrite) return "writable but not readable: page fault\n";
  if (!pte::well_formed(arch, s, entry, leaf)) return "reserved bits are set: page fault\n";
  if (!leaf && (entry & (pte::kUser | pte::kAccessed | pte::kDirty)) != 0)
    return "a table with rights of a page: page fault\n";
  return {};
}

/// The page that `entry` of `level` gives to `va`; its bits are well formed.
std::string leaf_text(const AddressSpace& memory, GuestAddr va, u64 entry, u64 ppn, unsigned level,
                      const Scheme& scheme) {
  const unsigned bits = kPageBits + level * scheme.index_bits;
  const u64 page = u64{1} << bits;
  u64 size = page;
  if (scheme.entry_size == 8 && (entry & pte::kNapot) != 0) {
    if (!pte::napot_exists(level, ppn)) return "sixteen pages (Svnapot) of a reserved form: page fault\n";
    ppn = pte::napot_page(ppn, va);
    size *= 16;
  }
  const GuestAddr at = ppn << kPageBits, begin = at & ~(size - 1);
  std::string out =
      fmt::format("page of {}{} at {:#x}, {}\n", size_text(size), size != page ? " (Svnapot)" : "",
                  size != page ? begin : at, rights_text(scheme.entry_size == 8 ? entry : entry & 0x3ff));
  if ((at & (page - 1)) != 0) return out + "a page of this size may not begin there: page fault\n";
  const GuestAddr physical = at | (va & (page - 1));
  const std::string name = memory.name_at(physical);
  return out + fmt::format("{:#x} is at {:#x} in physical memory: {}\n", va, physical,
                           name.empty() ? "nothing there" : name);
}

}  // namespace

std::string RiscvArch::describe_translation(Vcpu& vcpu, GuestAddr address) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  const GuestAddr va = truncate(address);
  const u64 privilege = data_privilege(s);
  const std::string of = privilege == kMachine ? "machine" : privilege == kSupervisor ? "supervisor" : "user";
  if (satp::mode(*this, s.satp) == satp::kBare) return "no paging: satp's mode is Bare\n";
  const Scheme scheme = scheme_of(satp::mode(*this, s.satp));
  AddressSpace& memory = vcpu.machine().memory();
  GuestAddr table = (xlen() == 32 ? s.satp & 0x3f'ffff : s.satp & pte::kPpnMask64) << kPageBits;
  std::string out =
      fmt::format("{}, satp {:#x}, root table at {:#x}; loads and stores now are those of {} mode{}\n",
                  mode_name(scheme.address_bits), s.satp, table, of,
                  privilege == kMachine ? ", which does not page" : "");
  const i64 top = static_cast<i64>(va) >> (scheme.address_bits - 1);
  if (xlen() == 64 && top != 0 && top != -1)
    return out + fmt::format("{:#x} is no address of {} bits\n", va, scheme.address_bits);
  for (unsigned level = scheme.levels; level-- > 0;) {
    const unsigned bits = kPageBits + level * scheme.index_bits;
    const u64 index = va >> bits & ((u64{1} << scheme.index_bits) - 1);
    const GuestAddr at = table + index * scheme.entry_size;
    const u8* bytes = memory.peek(at, scheme.entry_size);
    if (bytes == nullptr) return out + fmt::format("level {}: no memory at {:#x}\n", level, at);
    u64 entry = 0;
    std::memcpy(&entry, bytes, scheme.entry_size);
    out += fmt::format("level {}: entry {} at {:#x} is {:#x}: ", level, index, at, entry);
    if ((entry & pte::kValid) == 0) return out + fmt::format("not valid\n{:#x} is not mapped\n", va);
    if (const std::string why = reserved_text(*this, s, entry); !why.empty()) return out + why;
    const u64 ppn =
        scheme.entry_size == 4 ? entry >> pte::kPpnShift : entry >> pte::kPpnShift & pte::kPpnMask64;
    if ((entry & kRights) != 0) return out + leaf_text(memory, va, entry, ppn, level, scheme);
    table = ppn << kPageBits;
    out += fmt::format("table at {:#x}\n", table);
  }
  return out + "the last level has no page: page fault\n";
}

}  // namespace hindcast::riscv
