#include "targets/riscv/pmp.h"

#include <bit>

#include "engine/machine.h"

namespace hindcast::riscv {
namespace {

/// Physical addresses have 56 bits on RV64 and 34 on RV32; pmpaddr holds them without the low two.
u64 address_mask(const RiscvArch& arch) { return arch.xlen() == 32 ? 0xffff'ffff : (u64{1} << 54) - 1; }

/// The bytes of an entry, [first, end). Empty if the entry is off. Cannot overflow: addresses have at most 57
/// bits.
struct Range {
  u64 first = 0, end = 0;
};

Range range_of(const RiscvState& s, unsigned i) {
  const u64 a = s.pmpaddr[i];
  switch ((s.pmpcfg[i] & pmp::kMode) >> pmp::kModeShift) {
    case 1: {  // top of range: from the entry before
      const u64 first = i == 0 ? 0 : s.pmpaddr[i - 1] << 2;
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

}  // namespace

u8 pmp_permissions(const RiscvArch& arch, const RiscvState& s, u64 privilege, u64 address, u64 size,
                   bool* uniform) {
  if (uniform != nullptr) *uniform = true;
  if (!arch.features().has(ext::Pmp)) return pmp::kAll;
  const u64 last = address + (size - 1);  // wraps only for addresses that no entry can reach
  for (unsigned i = 0; i < kPmpEntries; ++i) {
    const Range r = range_of(s, i);
    if (r.first >= r.end || last < r.first || address >= r.end) continue;
    // The lowest entry that matches any byte decides, and must match all bytes.
    if (address < r.first || last >= r.end) {
      if (uniform != nullptr) *uniform = false;
      return 0;
    }
    if (privilege == kMachine && !locked(s, i)) return pmp::kAll;
    return s.pmpcfg[i] & pmp::kAll;
  }
  return privilege == kMachine ? pmp::kAll : 0;
}

bool pmp_restricts(const RiscvArch& arch, const RiscvState& s, u64 privilege) {
  bool uniform = false;
  // All that exists; beyond it every access fails anyway.
  const u64 everything = arch.xlen() == 32 ? u64{1} << 34 : u64{1} << 56;
  return pmp_permissions(arch, s, privilege, 0, everything, &uniform) != pmp::kAll || !uniform;
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
  for (unsigned i = 0; i < count; ++i) {
    if (locked(s, first + i)) continue;
    u8 cfg = static_cast<u8>(value >> (8 * i)) & (pmp::kLock | pmp::kMode | pmp::kAll);
    if ((cfg & pmp::kRead) == 0) cfg &= static_cast<u8>(~pmp::kWrite);  // write-only is reserved
    s.pmpcfg[first + i] = cfg;
  }
  vcpu.machine().flush_translations();
}

u64 pmpaddr_read(const RiscvArch&, const Vcpu& vcpu, unsigned number) {
  return vcpu.state<RiscvState>().pmpaddr[number & 15];
}

void pmpaddr_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = vcpu.state<RiscvState>();
  const unsigned i = number & 15;
  if (locked(s, i)) return;
  // A locked top-of-range entry also locks the address below it.
  if (i + 1 < kPmpEntries && locked(s, i + 1) && (s.pmpcfg[i + 1] & pmp::kMode) == 1 << pmp::kModeShift)
    return;
  s.pmpaddr[i] = value & address_mask(arch);
  vcpu.machine().flush_translations();
}

}  // namespace hindcast::riscv
