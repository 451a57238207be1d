// Small helpers for register models.
#pragma once
#include "engine/types.h"

namespace hindcast::devices {

/// All ones in the low `size` bytes; `size` is 1 to 8.
inline u64 low_mask(unsigned size) { return size >= 8 ? ~u64{0} : (u64{1} << (8 * size)) - 1; }

}  // namespace hindcast::devices
