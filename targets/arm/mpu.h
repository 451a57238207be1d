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

struct MpuAnswer {
  bool read = false, write = false, execute = false;
  int region = -1;                    // the one that decides; -1: none
  u64 granule = AddressSpace::kPage;  // the aligned block around the address for which that holds
};
/// `checked`: mpu_active(), one of them.
MpuAnswer ask_mpu(const ArmArch& arch, const ArmState& s, u32 secure, u32 address, bool privileged,
                  bool checked);

}  // namespace hindcast::arm
