#include "targets/riscv/pmp.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/machine.h"

namespace hindcast::riscv {
namespace {

/// Physical addresses have 56 bits on RV64 and 34 on RV32; pmpaddr holds them without the low two.
constexpr u64 kAddressMask64 = (u64{1} << 54) - 1;
u64 address_mask(const RiscvArch& arch) { return arch.xlen() == 32 ? 0xffff'ffff : kAddressMask64; }

/// The bytes of an entry, [first, end). Empty if the entry is off. Cannot overflow: addresses have at most 57
/// bits, also where a saved state that will be refused has set more.
struct Range {
  u64 first = 0, end = 0;
};

Range range_of(const RiscvState& s, unsigned i) {
  const auto address = [&](unsigned n) { return s.pmpaddr[n] & kAddressMask64; };
  const u64 a = address(i);
  switch ((s.pmpcfg[i] & pmp::kMode) >> pmp::kModeShift) {
    case 1: {  // top of range: from the entry before
      const u64 first = i == 0 ? 0 : address(i - 1) << 2;
      return {first, std::max(first, a << 2)};
    }
    case 2: return {a << 2, (a << 2) + 4};
    case 3: {  // naturally aligned power of two: the trailing ones give the size
      const u64 size = u64{8} << std::countr_one(a);
      const u64 first = (a & (a + 1)) << 2;
      return {first, first + size};
    }
    default: return {};
  }
}

bool locked(const RiscvState& s, unsigned i) { return (s.pmpcfg[i] & pmp::kLock) != 0; }

bool machine_lockdown(const RiscvState& s) { return (s.mseccfg & mseccfg::kMml) != 0; }

/// Whether writes leave the entry as it is.
bool frozen(const RiscvState& s, unsigned i) { return locked(s, i) && (s.mseccfg & mseccfg::kRlb) == 0; }

/// What an entry's configuration holds when `value` is written to it.
u8 legal_config(const RiscvState& s, u8 value) {
  value &= pmp::kLock | pmp::kMode | pmp::kAll;
  // Write-only is reserved, but where it stands for shared regions.
  if ((value & pmp::kRead) == 0 && !machine_lockdown(s)) value &= static_cast<u8>(~pmp::kWrite);
  return value;
}

/// Under machine-mode lockdown an entry that lets machine mode execute cannot be made (Smepmp, rule 4b).
bool adds_machine_code(const RiscvState& s, u8 config) {
  if (!machine_lockdown(s) || (s.mseccfg & mseccfg::kRlb) != 0 || (config & pmp::kLock) == 0) return false;
  const u8 rights = config & pmp::kAll;
  return rights != pmp::kAll && ((rights & pmp::kExecute) != 0 || rights == pmp::kWrite);
}

/// What an entry lets the modes do under machine-mode lockdown (Smepmp, "Truth table").
u8 lockdown_permissions(u8 config, bool machine) {
  const bool for_machine = (config & pmp::kLock) != 0;
  const u8 rights = config & pmp::kAll;
  constexpr u8 kWX = pmp::kWrite | pmp::kExecute, kRW = pmp::kRead | pmp::kWrite;
  switch (rights) {
    case pmp::kWrite:  // shared data that supervisor and user mode only read; locked: shared code
      if (for_machine) return pmp::kExecute;
      return machine ? kRW : pmp::kRead;
    case kWX:  // shared data; locked: shared code that machine mode may read
      if (for_machine) return machine ? pmp::kRead | pmp::kExecute : pmp::kExecute;
      return kRW;
    case pmp::kAll:
      if (for_machine) return pmp::kRead;  // shared, for all to read
      break;
    default: break;
  }
  return for_machine == machine ? rights : 0;
}

u8 entry_permissions(const RiscvState& s, unsigned i, bool machine) {
  if (machine_lockdown(s)) return lockdown_permissions(s.pmpcfg[i], machine);
  if (machine && !locked(s, i)) return pmp::kAll;
  return s.pmpcfg[i] & pmp::kAll;
}

/// Where no entry matches.
u8 unmatched_permissions(const RiscvState& s, bool machine) {
  if (!machine || (s.mseccfg & mseccfg::kMmwp) != 0) return 0;
  return machine_lockdown(s) ? pmp::kRead | pmp::kWrite : pmp::kAll;
}

}  // namespace

u8 pmp_permissions(const RiscvArch& arch, const RiscvState& s, u64 privilege, u64 address, u64 size,
                   bool* uniform) {
  if (uniform != nullptr) *uniform = true;
  if (!arch.features().has(ext::Pmp)) return pmp::kAll;
  const u64 last = address + (size - 1);  // wraps only for addresses that no entry can reach
  for (unsigned i = 0; i < kPmpEntries - s.pmp_unused; ++i) {
    const Range r = range_of(s, i);
    if (r.first >= r.end || last < r.first || address >= r.end) continue;
    // The lowest entry that matches any byte decides, and must match all bytes.
    if (address < r.first || last >= r.end) {
      if (uniform != nullptr) *uniform = false;
      return 0;
    }
    return entry_permissions(s, i, privilege == kMachine);
  }
  return unmatched_permissions(s, privilege == kMachine);
}

namespace {

/// Remembers `permissions`, which the whole block has, for all addresses around it that the same entry
/// decides and none before that one reaches.
void remember(RiscvState& s, u64 address, u64 size, u8 permissions) {
  const u64 last = address + (size - 1);
  u64 first = 0, end = ~u64{0};
  for (unsigned i = 0; i < kPmpEntries - s.pmp_unused; ++i) {
    const Range r = range_of(s, i);
    if (r.first >= r.end) continue;
    if (address >= r.first && last < r.end) {
      first = std::max(first, r.first);
      end = std::min(end, r.end);
      break;
    }
    if (r.end <= address)
      first = std::max(first, r.end);
    else
      end = std::min(end, r.first);
  }
  s.pmp_memo = {first, end, permissions};
}

}  // namespace

u8 pmp_permissions(const RiscvArch& arch, const Vcpu& vcpu, u64 privilege, u64 address, u64 size,
                   bool* uniform) {
  RiscvState& s = vcpu.state<RiscvState>();
  if (privilege == kMachine) return pmp_permissions(arch, s, privilege, address, size, uniform);
  if (address >= s.pmp_memo.first && address < s.pmp_memo.end && size <= s.pmp_memo.end - address) {
    if (uniform != nullptr) *uniform = true;
    return static_cast<u8>(s.pmp_memo.permissions);
  }
  bool all = false;
  const u8 permissions = pmp_permissions(arch, s, privilege, address, size, &all);
  if (all) remember(s, address, size, permissions);
  if (uniform != nullptr) *uniform = all;
  return permissions;
}

namespace {

/// Machine mode is refused what a locked entry says, and an access of which an entry matches only a part:
/// none is, if all borders lie where kPmpPart divides accesses anyway.
bool restricts_machine(const RiscvState& s) {
  if ((s.mseccfg & (mseccfg::kMml | mseccfg::kMmwp)) != 0) return true;
  for (unsigned i = 0; i < kPmpEntries; ++i) {
    const Range r = range_of(s, i);
    if (r.first < r.end && (locked(s, i) || (r.first | r.end) % kPmpPart != 0)) return true;
  }
  return false;
}

/// The ranges of bytes that `privilege` may execute: begin, end, begin, end, ..., ascending, none touching
/// the next. Code that lies in them runs the same whatever else the entries say.
std::vector<u64> executable_ranges(const RiscvArch& arch, const RiscvState& s, u64 privilege,
                                   u64 everything) {
  std::vector<u64> borders = {0, everything};
  for (unsigned i = 0; i < kPmpEntries; ++i) {
    const Range r = range_of(s, i);
    if (r.first < everything) borders.push_back(r.first);
    if (r.end < everything) borders.push_back(r.end);
  }
  std::sort(borders.begin(), borders.end());
  std::vector<u64> ranges;
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    const u64 first = borders[i], end = borders[i + 1];
    if (first == end || (pmp_permissions(arch, s, privilege, first, 1, nullptr) & pmp::kExecute) == 0)
      continue;
    if (!ranges.empty() && ranges.back() == first)
      ranges.back() = end;
    else
      ranges.insert(ranges.end(), {first, end});
  }
  return ranges;
}

}  // namespace

const RiscvState::PmpSummary& pmp_summary(const RiscvArch& arch, const Vcpu& vcpu, u64 privilege) {
  RiscvState& s = vcpu.state<RiscvState>();
  RiscvState::PmpSummary& summary = s.pmp_summary[privilege == kMachine ? 1 : 0];
  if (summary.known != 0) return summary;
  s.pmp_unused = 0;
  while (s.pmp_unused < kPmpEntries && (s.pmpcfg[kPmpEntries - 1 - s.pmp_unused] & pmp::kMode) == 0)
    ++s.pmp_unused;
  // All that exists; beyond it every access fails anyway.
  const u64 everything = arch.xlen() == 32 ? u64{1} << 34 : u64{1} << 56;
  bool uniform = false;
  const bool restricts =
      arch.features().has(ext::Pmp) &&
      (privilege == kMachine
           ? restricts_machine(s)
           : pmp_permissions(arch, s, privilege, 0, everything, &uniform) != pmp::kAll || !uniform);
  summary = {.known = 1, .restricts = restricts ? u64{1} : 0, .executable = 0};
  if (restricts)
    summary.executable =
        vcpu.machine().context_numbers().number(executable_ranges(arch, s, privilege, everything));
  return summary;
}

void pmp_changed(Vcpu& vcpu) {
  RiscvState& s = vcpu.state<RiscvState>();
  s.pmp_unused = 0;
  s.pmp_memo = {};
  for (auto& summary : s.pmp_summary) summary.known = 0;
  vcpu.protection_changed();
}

u64 pmpcfg_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const unsigned first = (number & 15) * 4, count = arch.xlen() / 8;
  u64 value = 0;
  for (unsigned i = 0; i < count; ++i) value |= u64{s.pmpcfg[first + i]} << (8 * i);
  return value;
}

void pmpcfg_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = vcpu.state<RiscvState>();
  const unsigned first = (number & 15) * 4, count = arch.xlen() / 8;
  bool changed = false;
  for (unsigned i = 0; i < count; ++i) {
    const u8 cfg = legal_config(s, static_cast<u8>(value >> (8 * i)));
    if (frozen(s, first + i) || adds_machine_code(s, cfg)) continue;
    changed |= std::exchange(s.pmpcfg[first + i], cfg) != cfg;
  }
  if (changed) pmp_changed(vcpu);
}

u64 pmpaddr_read(const RiscvArch&, const Vcpu& vcpu, unsigned number) {
  return vcpu.state<RiscvState>().pmpaddr[number & 15];
}

void pmpaddr_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = vcpu.state<RiscvState>();
  const unsigned i = number & 15;
  if (frozen(s, i)) return;
  // A locked top-of-range entry also locks the address below it.
  if (i + 1 < kPmpEntries && frozen(s, i + 1) && (s.pmpcfg[i + 1] & pmp::kMode) == 1 << pmp::kModeShift)
    return;
  const u64 address = value & address_mask(arch);
  if (std::exchange(s.pmpaddr[i], address) != address) pmp_changed(vcpu);
}

bool pmp_any_locked(const RiscvState& s) {
  for (unsigned i = 0; i < kPmpEntries; ++i)
    if (locked(s, i)) return true;
  return false;
}

bool pmp_keep_legal(const RiscvArch& arch, RiscvState& s) {
  bool legal = true;
  for (unsigned i = 0; i < kPmpEntries; ++i) {
    const u64 address = s.pmpaddr[i] & address_mask(arch);
    const u8 config = legal_config(s, s.pmpcfg[i]);
    legal = legal && address == s.pmpaddr[i] && config == s.pmpcfg[i];
    s.pmpaddr[i] = address;
    s.pmpcfg[i] = config;
  }
  return legal;
}

}  // namespace hindcast::riscv
