// The identification registers in the last words of a 4 KiB block (Arm IHI 0029, "Peripheral Identification
// Registers"): the part, its revision, that it is Arm's, and what all components have in common.
#pragma once
#include "engine/types.h"

namespace hindcast::devices {

inline constexpr u32 kComponentId = 0xfd0, kComponentIdEnd = 0x1000;

/// The register at `offset`, which may be inside the word; 0 outside 0xfd0 to 0xfff. `part` has 12 bits.
constexpr u32 component_id(u64 offset, u16 part, u8 revision = 1) {
  switch (offset & ~u64{3}) {
    case 0xfd0: return 0x04;
    case 0xfe0: return part & 0xffu;
    case 0xfe4: return 0xb0u | part >> 8;
    case 0xfe8: return u32{revision} << 4 | 0x0b;
    case 0xff0: return 0x0d;
    case 0xff4: return 0xf0;
    case 0xff8: return 0x05;
    case 0xffc: return 0xb1;
    default: return 0;
  }
}

}  // namespace hindcast::devices
