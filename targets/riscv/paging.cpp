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

/// The tables of a stage, and the rules by which they are read.
struct Stage {
  u64 atp;     // satp, vsatp or hgatp
  u64 envcfg;  // what configures it
  u64 privilege;
  bool sees_user_pages;  // supervisor mode does
  bool reads_code;       // what can be executed can be read
  bool second;           // hgatp's
};

/// One translation on its way down the tables.
class Walker {
 public:
  Walker(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, Access access, const Actor& actor, WalkFor purpose)
      : arch_(arch),
        vcpu_(vcpu),
        s_(vcpu.state<RiscvState>()),
        va_(va),
        access_(access),
        actor_(actor),
        purpose_(purpose) {}

  /// Through satp.
  Walk run();
  /// Through vsatp, and hgatp.
  Walk run_guest();
  /// Through hgatp, `guest_physical` for the access itself (`table` 0) or for an access to a table of
  /// vsatp's.
  Walk second_stage(GuestAddr guest_physical, Access access, u64 table);

 private:
  Walk walk(const Stage& stage, GuestAddr address, Access access, u64 table);
  Walk leaf(const Stage& stage, GuestAddr address, Access access, u64 table, GuestAddr at, u64 entry,
            unsigned level);
  Walk denied(const Stage& stage, GuestAddr address, u64 table) const;
  Walk inaccessible() const { return {.ok = false, .fault = arch_.bus_fault(va_, access_)}; }
  bool pmp_allows(GuestAddr pa, u8 wanted) const;
  bool read_entry(GuestAddr pa, CoveredRange covered, u64& entry) const;
  bool permitted(const Stage& stage, Access access, u64 entry, u64 table) const;
  bool nested(const Stage& stage) const { return actor_.guest && !stage.second; }

  const RiscvArch& arch_;
  Vcpu& vcpu_;
  const RiscvState& s_;
  const GuestAddr va_;
  const Access access_;
  const Actor actor_;
  const WalkFor purpose_;
};

Walk Walker::denied(const Stage& stage, GuestAddr address, u64 table) const {
  GuestFault fault = page_fault(va_, access_);
  if (stage.second) {
    fault.cause += cause::kFetchGuestPage - cause::kFetchPage;
    fault.detail = (address & ~u64{3}) | table;
  }
  return {.ok = false, .fault = fault};
}

/// Accesses to tables are made with supervisor mode's rights.
bool Walker::pmp_allows(GuestAddr pa, u8 wanted) const {
  if (purpose_ == WalkFor::Debugger || pmp_summary(arch_, vcpu_, kSupervisor).restricts == 0) return true;
  return (pmp_permissions(arch_, vcpu_, kSupervisor, pa, arch_.xlen() / 8, nullptr) & wanted) == wanted;
}

bool Walker::read_entry(GuestAddr pa, CoveredRange covered, u64& entry) const {
  AddressSpace& memory = vcpu_.machine().memory();
  const unsigned size = arch_.xlen() / 8;
  const u8* bytes =
      purpose_ == WalkFor::Access ? memory.read_table(pa, size, covered) : memory.peek(pa, size);
  if (bytes == nullptr) return false;
  entry = 0;
  std::memcpy(&entry, bytes, size);
  return true;
}

bool Walker::permitted(const Stage& stage, Access access, u64 entry, u64 table) const {
  if (purpose_ == WalkFor::Debugger) return true;
  if ((entry & pte::kUser) != 0) {
    const bool sees_user_pages = access != Access::Execute && stage.sees_user_pages;
    if (stage.privilege == kSupervisor && !sees_user_pages) return false;
  } else if (stage.privilege == kUser) {
    return false;
  }
  switch (access) {
    case Access::Read: {
      if (actor_.executes && table == 0) return (entry & pte::kExecute) != 0;
      const u64 readable = stage.reads_code ? pte::kRead | pte::kExecute : pte::kRead;
      return (entry & readable) != 0;
    }
    case Access::Write: return (entry & pte::kWrite) != 0;
    case Access::Execute: return (entry & pte::kExecute) != 0;
  }
  return false;
}

Walk Walker::leaf(const Stage& stage, GuestAddr address, Access access, u64 table, GuestAddr at, u64 entry,
                  unsigned level) {
  const bool wide = arch_.xlen() == 64;
  u64 ppn = wide ? entry >> pte::kPpnShift & pte::kPpnMask64 : entry >> pte::kPpnShift;
  if (wide && (entry & pte::kNapot) != 0) {
    if (!pte::napot_exists(level, ppn)) return denied(stage, address, table);
    ppn = pte::napot_page(ppn, address);
  }
  const unsigned shift = level * (wide ? 9 : 10);
  const u64 inside = (u64{1} << shift) - 1;  // page numbers within the superpage
  if (!permitted(stage, access, entry, table) || (ppn & inside) != 0) return denied(stage, address, table);
  const u64 wanted = pte::kAccessed | (access == Access::Write ? pte::kDirty : 0);
  if ((entry & wanted) != wanted && purpose_ != WalkFor::Debugger) {
    if ((stage.envcfg & envcfg::kAdue) == 0) return denied(stage, address, table);
    if (nested(stage)) {
      const Walk writable = second_stage(at, Access::Write, fault_detail::kTableWrite);
      if (!writable.ok) return writable;
      at = writable.physical;
    }
    if (!pmp_allows(at, pmp::kWrite)) return inaccessible();
    const RamBlock* ram = vcpu_.machine().memory().find_ram(at);
    if (ram == nullptr || ram->rom) return inaccessible();
    if (purpose_ == WalkFor::Access)
      vcpu_.machine().memory().update_table(at, arch_.xlen() / 8, entry | wanted);
  }
  const GuestAddr offset = address & ((u64{1} << (kPageBits + shift)) - 1);
  return {.ok = true, .physical = ppn << kPageBits | offset, .fault = {}};
}

Walk Walker::walk(const Stage& stage, GuestAddr address, Access access, u64 table_access) {
  const u64 mode = satp::mode(arch_, stage.atp);
  const Scheme scheme = stage.second ? second_stage_scheme_of(mode) : scheme_of(mode);
  const bool in_range = stage.second             ? address >> scheme.address_bits == 0
                        : scheme.entry_size == 8 ? canonical(address, scheme.address_bits)
                                                 : true;
  if (!in_range) return denied(stage, address, table_access);
  GuestAddr table = root_table(arch_, stage.atp);
  for (unsigned level = scheme.levels; level-- > 0;) {
    const GuestAddr entry_address = table + scheme.index(address, level) * scheme.entry_size;
    GuestAddr at = entry_address;
    if (nested(stage)) {
      const Walk readable = second_stage(at, Access::Read, fault_detail::kTableRead);
      if (!readable.ok) return readable;
      at = readable.physical;
    }
    // What a guest's addresses have to do with an entry of its hypervisor's only the whole walk knows.
    const unsigned bits = kPageBits + level * scheme.index_bits;
    const CoveredRange covered =
        stage.second ? CoveredRange{} : CoveredRange{.first = address >> bits << bits, .bits = bits};
    u64 entry = 0;
    if (!pmp_allows(at, pmp::kRead) || !read_entry(at, covered, entry)) return inaccessible();
    constexpr u64 kRights = pte::kRead | pte::kWrite | pte::kExecute;
    const u64 rights = entry & kRights;
    if ((entry & pte::kValid) == 0 || (rights & (pte::kRead | pte::kWrite)) == pte::kWrite)
      return denied(stage, address, table_access);
    if (!pte::well_formed(arch_, stage.envcfg, entry, rights != 0))
      return denied(stage, address, table_access);
    if (rights != 0)
      return leaf(stage, address, access, table_access, nested(stage) ? entry_address : at, entry, level);
    if ((entry & (pte::kUser | pte::kAccessed | pte::kDirty)) != 0)
      return denied(stage, address, table_access);
    table = (entry >> pte::kPpnShift & pte::kPpnMask64) << kPageBits;
  }
  return denied(stage, address, table_access);
}

Walk Walker::run() {
  const Stage stage{.atp = s_.satp,
                    .envcfg = s_.menvcfg,
                    .privilege = actor_.privilege,
                    .sees_user_pages = (s_.mstatus & mstatus::kSum) != 0,
                    .reads_code = (s_.mstatus & mstatus::kMxr) != 0,
                    .second = false};
  return walk(stage, va_, access_, 0);
}

Walk Walker::second_stage(GuestAddr guest_physical, Access access, u64 table) {
  if (satp::mode(arch_, s_.hgatp) == satp::kBare)
    return {.ok = true, .physical = guest_physical, .fault = {}};
  // All of a guest is user mode here.
  const Stage stage{.atp = s_.hgatp,
                    .envcfg = s_.menvcfg,
                    .privilege = kUser,
                    .sees_user_pages = true,
                    .reads_code = (s_.mstatus & mstatus::kMxr) != 0,
                    .second = true};
  return walk(stage, guest_physical, access, table);
}

Walk Walker::run_guest() {
  GuestAddr guest_physical = va_;
  if (satp::mode(arch_, s_.vsatp) != satp::kBare) {
    const Stage stage{.atp = s_.vsatp,
                      .envcfg = s_.henvcfg,
                      .privilege = actor_.privilege,
                      .sees_user_pages = (s_.vsstatus & mstatus::kSum) != 0,
                      .reads_code = ((s_.vsstatus | s_.mstatus) & mstatus::kMxr) != 0,
                      .second = false};
    const Walk first = walk(stage, va_, access_, 0);
    if (!first.ok) return first;
    guest_physical = first.physical;
  }
  return second_stage(guest_physical, access_, 0);
}

}  // namespace

bool pte::well_formed(const RiscvArch& arch, u64 envcfg, u64 entry, bool leaf) {
  if (arch.xlen() == 32) return true;
  u64 reserved = kReserved64;
  if (!leaf || !arch.features().has(ext::Svnapot)) reserved |= kNapot;
  if (!leaf || (envcfg & envcfg::kPbmte) == 0) reserved |= kMemoryType;
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

GuestAddr root_table(const RiscvArch& arch, u64 atp) {
  return (arch.xlen() == 32 ? atp & 0x3f'ffff : atp & pte::kPpnMask64) << kPageBits;
}

bool paged(const RiscvArch& arch, const RiscvState& s, const Actor& actor) {
  if (actor.guest)
    return satp::mode(arch, s.vsatp) != satp::kBare || satp::mode(arch, s.hgatp) != satp::kBare;
  return actor.privilege != kMachine && satp::mode(arch, s.satp) != satp::kBare;
}

GuestFault page_fault(GuestAddr va, Access access) {
  switch (access) {
    case Access::Read: return {cause::kLoadPage, va};
    case Access::Write: return {cause::kStorePage, va};
    case Access::Execute: return {cause::kFetchPage, va};
  }
  return {};
}

Walk walk_page_table(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, Access access, const Actor& actor,
                     WalkFor purpose) {
  Walker walker(arch, vcpu, va, access, actor, purpose);
  return actor.guest ? walker.run_guest() : walker.run();
}

Walk walk_second_stage(const RiscvArch& arch, Vcpu& vcpu, GuestAddr physical) {
  const Actor guest{.privilege = kSupervisor, .guest = true};
  return Walker(arch, vcpu, physical, Access::Read, guest, WalkFor::Debugger)
      .second_stage(physical, Access::Read, 0);
}

}  // namespace hindcast::riscv
