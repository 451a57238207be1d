// Memory protection: what the memory protection unit says about an address.
#pragma once
#include "engine/machine.h"
#include "targets/arm/arm.h"

namespace hindcast::arm {

/// Whether accesses of that security state are checked by its MPU, for handlers of negative priority or
/// others; and whether they are now.
bool mpu_active(const ArmState& s, u32 secure, bool negative);
bool mpu_active(const ArmState& s, u32 secure);
/// Whether the default memory map allows execution.
bool default_map_executable(u32 address);

/// The size of the largest aligned block around `address`, at most `granule`, that first..last has wholly or
/// not at all. Both are borders of blocks of 32.
u64 undivided(u64 granule, u32 address, u32 first, u32 last);

struct Permission {
  bool read = false, write = false, execute = false;
};

/// Regions of Armv6-M and v7-M.
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
Region region(const Bank& bank, unsigned n);
Permission permission_of(u32 rasr, bool privileged);

/// Regions of Armv8-M: from a base to a limit, which belongs to them.
inline bool region_v8_enabled(const Bank& bank, unsigned n) { return (bank.mpu_rasr[n] & 1) != 0; }
inline u32 region_v8_base(const Bank& bank, unsigned n) { return bank.mpu_rbar[n] & ~u32{31}; }
inline u32 region_v8_limit(const Bank& bank, unsigned n) { return bank.mpu_rasr[n] | 31; }
Permission permission_v8(const Bank& bank, unsigned n, bool privileged);

struct MpuAnswer {
  bool read = false, write = false, execute = false;
  int region = -1;                    // the one that decides; -1: none
  u64 granule = AddressSpace::kPage;  // the aligned block around the address for which that holds
};
/// `checked`: mpu_active(), one of them.
MpuAnswer ask_mpu(const ArmArch& arch, const ArmState& s, u32 secure, u32 address, bool privileged,
                  bool checked);

/// For the context of translated code, where mpu_active(): equal numbers have equal rights to execute
/// wherever code has been found (note_code()), in the current security state and mode. Never 0.
u64 executable_number(const ArmArch& arch, const Vcpu& vcpu);
/// Registers of the unit have changed, or all of the state: what translate() answers is forgotten.
void mpu_changed(Vcpu& vcpu);
/// An instruction is about to be translated.
void note_code(Vcpu& vcpu, u32 address);

}  // namespace hindcast::arm
