#include "targets/riscv/paging.h"

#include <cstring>

#include "engine/machine.h"
#include "targets/riscv/pmp.h"

namespace hindcast::riscv {
namespace {

/// The upper bits of a virtual address repeat the highest one that is translated.
bool canonical(GuestAddr va, unsigned bits) {
  const i64 top = static_cast<i64>(va) >> (bits - 1);
  return top == 0 || top == -1;
}

/// One translation on its way down the tables.
class Walker {
 public:
  Walker(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, Access access, u64 privilege, WalkFor purpose)
      : arch_(arch),
        vcpu_(vcpu),
        s_(vcpu.state<RiscvState>()),
        va_(va),
        access_(access),
        privilege_(privilege),
        purpose_(purpose) {}

  Walk run();

 private:
  Walk denied() const { return {.ok = false, .fault = page_fault(va_, access_)}; }
  Walk inaccessible() const { return {.ok = false, .fault = arch_.bus_fault(va_, access_)}; }
  bool pmp_allows(GuestAddr pa, u8 wanted) const;
  bool read_entry(GuestAddr pa, unsigned level, u64& entry) const;
  bool permitted(u64 entry) const;
  Walk leaf(GuestAddr at, u64 entry, unsigned level);

  const RiscvArch& arch_;
  Vcpu& vcpu_;
  const RiscvState& s_;
  const GuestAddr va_;
  const Access access_;
  const u64 privilege_;
  const WalkFor purpose_;
  Scheme scheme_{};
};

/// Accesses to tables are made with supervisor mode's rights.
bool Walker::pmp_allows(GuestAddr pa, u8 wanted) const {
  if (purpose_ == WalkFor::Debugger || pmp_summary(arch_, vcpu_, kSupervisor).restricts == 0) return true;
  return (pmp_permissions(arch_, s_, kSupervisor, pa, scheme_.entry_size, nullptr) & wanted) == wanted;
}

bool Walker::read_entry(GuestAddr pa, unsigned level, u64& entry) const {
  AddressSpace& memory = vcpu_.machine().memory();
  const unsigned bits = kPageBits + level * scheme_.index_bits;
  const u8* bytes =
      purpose_ == WalkFor::Access
          ? memory.read_table(pa, scheme_.entry_size, {.first = va_ >> bits << bits, .bits = bits})
          : memory.peek(pa, scheme_.entry_size);
  if (bytes == nullptr) return false;
  entry = 0;
  std::memcpy(&entry, bytes, scheme_.entry_size);
  return true;
}

bool Walker::permitted(u64 entry) const {
  if (purpose_ == WalkFor::Debugger) return true;
  if ((entry & pte::kUser) != 0) {
    const bool sees_user_pages = access_ != Access::Execute && (s_.mstatus & mstatus::kSum) != 0;
    if (privilege_ == kSupervisor && !sees_user_pages) return false;
  } else if (privilege_ == kUser) {
    return false;
  }
  switch (access_) {
    case Access::Read: {
      const u64 readable = (s_.mstatus & mstatus::kMxr) != 0 ? pte::kRead | pte::kExecute : pte::kRead;
      return (entry & readable) != 0;
    }
    case Access::Write: return (entry & pte::kWrite) != 0;
    case Access::Execute: return (entry & pte::kExecute) != 0;
  }
  return false;
}

Walk Walker::leaf(GuestAddr at, u64 entry, unsigned level) {
  u64 ppn = scheme_.entry_size == 4 ? entry >> pte::kPpnShift : entry >> pte::kPpnShift & pte::kPpnMask64;
  if (scheme_.entry_size == 8 && (entry & pte::kNapot) != 0) {
    if (!pte::napot_exists(level, ppn)) return denied();
    ppn = pte::napot_page(ppn, va_);
  }
  const unsigned shift = level * scheme_.index_bits;
  const u64 inside = (u64{1} << shift) - 1;  // page numbers within the superpage
  if (!permitted(entry) || (ppn & inside) != 0) return denied();
  const u64 wanted = pte::kAccessed | (access_ == Access::Write ? pte::kDirty : 0);
  if ((entry & wanted) != wanted && purpose_ != WalkFor::Debugger) {
    if ((s_.menvcfg & envcfg::kAdue) == 0) return denied();
    if (!pmp_allows(at, pmp::kWrite)) return inaccessible();
    const RamBlock* ram = vcpu_.machine().memory().find_ram(at);
    if (ram->rom) return inaccessible();
    if (purpose_ == WalkFor::Access)
      vcpu_.machine().memory().update_table(at, scheme_.entry_size, entry | wanted);
  }
  const GuestAddr offset = va_ & ((u64{1} << (kPageBits + shift)) - 1);
  return {.ok = true, .physical = ppn << kPageBits | offset, .fault = {}};
}

Walk Walker::run() {
  scheme_ = scheme_of(satp::mode(arch_, s_.satp));
  if (scheme_.entry_size == 8 && !canonical(va_, scheme_.address_bits)) return denied();
  GuestAddr table = (arch_.xlen() == 32 ? s_.satp & 0x3f'ffff : s_.satp & pte::kPpnMask64) << kPageBits;
  for (unsigned level = scheme_.levels; level-- > 0;) {
    const u64 index = va_ >> (kPageBits + level * scheme_.index_bits) & ((u64{1} << scheme_.index_bits) - 1);
    const GuestAddr at = table + index * scheme_.entry_size;
    u64 entry = 0;
    if (!pmp_allows(at, pmp::kRead) || !read_entry(at, level, entry)) return inaccessible();
    constexpr u64 kRights = pte::kRead | pte::kWrite | pte::kExecute;
    const u64 rights = entry & kRights;
    if ((entry & pte::kValid) == 0 || (rights & (pte::kRead | pte::kWrite)) == pte::kWrite) return denied();
    if (!pte::well_formed(arch_, s_, entry, rights != 0)) return denied();
    if (rights != 0) return leaf(at, entry, level);
    if ((entry & (pte::kUser | pte::kAccessed | pte::kDirty)) != 0) return denied();
    table = (entry >> pte::kPpnShift & pte::kPpnMask64) << kPageBits;
  }
  return denied();
}

}  // namespace

bool pte::well_formed(const RiscvArch& arch, const RiscvState& s, u64 entry, bool leaf) {
  if (arch.xlen() == 32) return true;
  u64 reserved = kReserved64;
  if (!leaf || !arch.features().has(ext::Svnapot)) reserved |= kNapot;
  if (!leaf || (s.menvcfg & envcfg::kPbmte) == 0) reserved |= kMemoryType;
  return (entry & reserved) == 0 && (entry & kMemoryType) != kMemoryType;
}

u64 satp::mode(const RiscvArch& arch, u64 satp) { return arch.xlen() == 32 ? satp >> 31 & 1 : satp >> 60; }

bool satp_mode_exists(const RiscvArch& arch, u64 value) {
  const u64 mode = satp::mode(arch, value);
  if (mode == satp::kBare || arch.xlen() == 32) return true;
  switch (mode) {
    case satp::kSv39: return true;
    case satp::kSv48: return arch.features().has(ext::Sv48);
    case satp::kSv57: return arch.features().has(ext::Sv57);
    default: return false;
  }
}

bool paged(const RiscvArch& arch, const RiscvState& s, u64 privilege) {
  return privilege != kMachine && satp::mode(arch, s.satp) != satp::kBare;
}

GuestFault page_fault(GuestAddr va, Access access) {
  switch (access) {
    case Access::Read: return {cause::kLoadPage, va};
    case Access::Write: return {cause::kStorePage, va};
    case Access::Execute: return {cause::kFetchPage, va};
  }
  return {};
}

Walk walk_page_table(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, Access access, u64 privilege,
                     WalkFor purpose) {
  return Walker(arch, vcpu, va, access, privilege, purpose).run();
}

// ---- what the engine asks

namespace {

/// The root and mode of the tables, then the bits given.
u64 space_number(const RiscvArch& arch, const RiscvState& s, u64 bits) {
  const u64 root = arch.xlen() == 32 ? s.satp & 0x3f'ffff : s.satp & pte::kPpnMask64;
  return satp::mode(arch, s.satp) << 60 | root << 8 | bits;
}

constexpr u64 kUnpaged = u64{1} << 7;  // of a space's number

/// Checks an access of `size` bytes that begins at `va` and whose first byte is at `pa`.
Translation check_physical(const RiscvArch& arch, const Vcpu& vcpu, GuestAddr va, GuestAddr pa, unsigned size,
                           Access access, u64 privilege) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const u8 wanted = access == Access::Read    ? pmp::kRead
                    : access == Access::Write ? pmp::kWrite
                                              : pmp::kExecute;
  Translation t;
  t.physical = pa;
  const u64 page = u64{1} << kPageBits;
  if (pmp_summary(arch, vcpu, privilege).restricts == 0) {
    t.ok = true;
    t.granule = page;
    return t;
  }
  // Mostly one permission holds for the page.
  bool uniform = false;
  const u8 all = pmp_permissions(arch, s, privilege, pa & ~(page - 1), page, &uniform);
  if (uniform && (all & wanted) != 0 && pa % page + size <= page) {
    t.ok = true;
    t.granule = page;
    return t;
  }
  for (u64 done = 0; done < size;) {
    const u64 part = std::min<u64>(size - done, kPmpPart - (pa + done) % kPmpPart);
    if ((pmp_permissions(arch, s, privilege, pa + done, part, nullptr) & wanted) == 0) {
      const GuestFault fault = arch.bus_fault(va + done, access);
      t.cause = fault.cause;
      t.value = fault.value;
      return t;
    }
    done += part;
  }
  t.ok = true;
  // The page, if one permission holds for all of it; else the largest aligned block around the address that
  // has one.
  for (u64 block = page; block > 1; block >>= 1) {
    const u8 allowed = pmp_permissions(arch, s, privilege, pa & ~(block - 1), block, &uniform);
    if (!uniform || (allowed & wanted) == 0) continue;
    t.granule = block;
    break;
  }
  return t;
}

Translation translate_for(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, unsigned size, Access access,
                          WalkFor purpose) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const u64 privilege = access == Access::Execute ? s.privilege : data_privilege(s);
  GuestAddr pa = va;
  if (paged(arch, s, privilege)) {
    const Walk walk = walk_page_table(arch, vcpu, va, access, privilege, purpose);
    if (!walk.ok) return {.cause = walk.fault.cause, .value = walk.fault.value};
    pa = walk.physical;
  }
  return check_physical(arch, vcpu, va, pa, size, access, privilege);
}

}  // namespace

Translation RiscvArch::translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  return translate_for(*this, vcpu, va, size, access, WalkFor::Access);
}

Translation RiscvArch::probe(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  return translate_for(*this, vcpu, va, size, access, WalkFor::Probe);
}

bool RiscvArch::debug_translate(Vcpu& vcpu, GuestAddr va, GuestAddr* physical) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  *physical = truncate(va);
  const u64 privilege = data_privilege(s);
  if (!paged(*this, s, privilege)) return true;
  const Walk walk = walk_page_table(*this, vcpu, truncate(va), Access::Read, privilege, WalkFor::Debugger);
  *physical = walk.physical;
  return walk.ok;
}

u64 RiscvArch::data_space(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  const u64 privilege = data_privilege(s);
  if (!paged(*this, s, privilege)) return kUnpaged | privilege;
  const u64 sum = (s.mstatus & mstatus::kSum) != 0 ? 4 : 0, mxr = (s.mstatus & mstatus::kMxr) != 0 ? 8 : 0;
  return space_number(*this, s, privilege | sum | mxr);
}

u64 RiscvArch::fetch_space(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  return space_number(*this, s, s.privilege);
}

bool RiscvArch::table_entries_used(ByteView entries) const {
  const std::size_t size = xlen() / 8;
  for (std::size_t at = 0; at < entries.size(); at += size)
    if ((entries[at] & pte::kValid) != 0) return true;
  return false;
}

}  // namespace hindcast::riscv
