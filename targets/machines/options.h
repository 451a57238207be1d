// What -M NAME,option=value says.
#pragma once
#include "engine/registry.h"

namespace hindcast::machines {

/// Options that are on or off; off if not given.
struct BoardOptions {
  bool rng_seed = false;  // /chosen/rng-seed
  bool rng = false;       // a virtio entropy device
};

/// Fatal for an option that no board has, and for one that is neither on nor off.
BoardOptions take_options(const MachineConfig& config);

}  // namespace hindcast::machines
