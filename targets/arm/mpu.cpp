// The protected memory system architecture of Armv6-M and v7-M (DDI 0403, B3.5), and the default memory map.
#include <algorithm>

#include "engine/machine.h"
#include "targets/arm/exceptions.h"

namespace hindcast::arm {
namespace {

constexpr u32 kPrivatePeripherals = 0xe0000000, kPrivateEnd = 0xe0100000;

struct Permission {
  bool read = false, write = false, execute = false;
};

/// MPU_RASR.AP and XN.
Permission permission_of(u32 rasr, bool privileged) {
  Permission p;
  switch (rasr >> 24 & 7) {
    case 1: p.read = p.write = privileged; break;
    case 2:
      p.read = true;
      p.write = privileged;
      break;
    case 3: p.read = p.write = true; break;
    case 5: p.read = privileged; break;
    case 6:
    case 7: p.read = true; break;
    default: break;
  }
  p.execute = p.read && (rasr >> 28 & 1) == 0;
  return p;
}

struct Region {
  u32 base, rasr;
  unsigned bits;  // log2 of the size
  bool enabled() const { return (rasr & 1) != 0; }
  /// Without the subregions that are switched off.
  bool contains(u32 address) const {
    if (bits < 32 && (address ^ base) >> bits != 0) return false;
    if (bits < 8) return true;
    return (rasr >> (8 + (address >> (bits - 3) & 7)) & 1) == 0;
  }
  /// Size of the pieces within which contains() is the same everywhere.
  u64 piece() const { return u64{1} << (bits >= 8 && (rasr >> 8 & 0xff) != 0 ? bits - 3 : bits); }
};

Region region(const ArmState& s, unsigned n) {
  const u32 rasr = s.mpu_rasr[n];
  const unsigned bits = std::max(5u, (rasr >> 1 & 31) + 1);
  const u32 mask = bits >= 32 ? 0 : ~((u32{1} << bits) - 1);
  return {s.mpu_rbar[n] & mask, rasr, bits};
}

}  // namespace

bool default_map_executable(u32 address) {
  return address < 0x40000000 || (address >= 0x60000000 && address < 0xa0000000);
}

bool mpu_active(const ArmState& s) {
  if ((s.mpu_ctrl & mpu_ctrl::kEnable) == 0) return false;
  return execution_priority(s) >= 0 || (s.mpu_ctrl & mpu_ctrl::kHfnmiena) != 0;
}

bool mpu_allows(const ArmState& s, unsigned regions, u32 address, unsigned size, Access access,
                bool privileged, u64* granule) {
  const u32 last = address + (size - 1);
  u64 block = AddressSpace::kPage;
  int found = -1, found_last = -1;
  for (unsigned n = 0; n < regions; ++n) {
    const Region r = region(s, n);
    if (!r.enabled()) continue;
    block = std::min(block, r.piece());
    if (r.contains(address)) found = static_cast<int>(n);
    if (r.contains(last)) found_last = static_cast<int>(n);
  }
  *granule = block;
  const auto allows = [&](int n, u32 at) {
    Permission p;
    if (n >= 0) {
      p = permission_of(s.mpu_rasr[n], privileged);
      if (access == Access::Execute && at >= 0xe0000000) p.execute = false;
    } else if (privileged && (s.mpu_ctrl & mpu_ctrl::kPrivdefena) != 0) {
      p = {true, true, default_map_executable(at)};
    }
    return access == Access::Read ? p.read : access == Access::Write ? p.write : p.execute;
  };
  return allows(found, address) && (found == found_last || allows(found_last, last));
}

Translation ArmArch::translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  const ArmState& s = vcpu.state<ArmState>();
  const u32 address = static_cast<u32>(va);
  Translation t;
  t.physical = address;
  t.granule = AddressSpace::kPage;
  const bool privileged = is_privileged(s);
  if (address >= kPrivatePeripherals && address < kPrivateEnd) {
    // Outside the MPU's reach. One register is open to all where CCR says so: the software trigger.
    constexpr u32 kStir = 0xe000ef00;
    const bool open = address == kStir && (s.ccr & ccr::kUserSetMpend) != 0;
    t.ok = access != Access::Execute && (privileged || open);
    if (!privileged) t.granule = 4;
    if (t.ok) return t;
    const GuestFault fault = access == Access::Execute
                                 ? GuestFault{fault_cause(exc::kMemManage, cfsr::kIaccViol), va}
                                 : bus_fault(va, access);
    t.cause = fault.cause;
    t.value = fault.value;
    return t;
  }
  if (mpu_active(s)) {
    t.ok = mpu_allows(s, cpu_.model->mpu_regions, address, size, access, privileged, &t.granule);
  } else {
    t.ok = access != Access::Execute || default_map_executable(address);
  }
  if (t.ok) return t;
  t.cause = fault_cause(exc::kMemManage,
                        access == Access::Execute ? cfsr::kIaccViol : cfsr::kDaccViol | cfsr::kMmarValid);
  t.value = va;
  return t;
}

}  // namespace hindcast::arm
