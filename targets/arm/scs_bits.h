// What the files of the system control space share.
#pragma once
#include "engine/types.h"

namespace hindcast::arm {

inline u32 merge(u32 old, u32 value, u32 mask) { return (old & ~mask) | (value & mask); }

}  // namespace hindcast::arm
