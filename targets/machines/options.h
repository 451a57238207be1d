// What -M NAME,option=value says.
#pragma once
#include "engine/registry.h"
#include "targets/machines/aia.h"

namespace hindcast::machines {

/// Options that are one of a few words; the first of them if not given.
struct BoardOptions {
  bool rng_seed = false;  // /chosen/rng-seed
  bool rng = false;       // a virtio entropy device
  bool console = false;   // a virtio console
  bool pci = false;       // virtio devices are on the PCI bus, not behind MMIO
  Aia aia = Aia::None;    // the interrupt controllers
};

/// Fatal for an option that no board has, and for a value that it does not have.
BoardOptions take_options(const MachineConfig& config);

}  // namespace hindcast::machines
