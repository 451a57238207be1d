// The mask ROM of RISC-V boards: what the harts run first.
#pragma once
#include "engine/types.h"

namespace hindcast::machines {

inline constexpr GuestAddr kResetVector = 0x1000;
inline constexpr u64 kMaskRomSize = 0xf000;

/// The ROM's first bytes: code that jumps to `start` with a0 = hart, a1 = device tree, a2 = OpenSBI's
/// fw_dynamic_info (version 2), which names `next`. Position-dependent on nothing.
Bytes reset_vector(unsigned xlen, GuestAddr start, GuestAddr device_tree, GuestAddr next);

}  // namespace hindcast::machines
