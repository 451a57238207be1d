// Which virtio device is behind which of a board's transports.
#pragma once
#include <vector>

#include "engine/registry.h"
#include "targets/loader/device_tree.h"
#include "targets/machines/options.h"

namespace hindcast::machines {

/// The board's places for virtio devices (nodes that are "virtio,mmio"), lowest address first.
class VirtioPlaces {
 public:
  explicit VirtioPlaces(loader::DeviceTree& tree);
  /// The next free place, which gets the device (targets/devices/virtio/types.h); the caller adds what the
  /// device wants to know. `whose`: the option, for the message of the Fatal that is thrown when all are
  /// taken.
  loader::DtNode& take(const char* device, const char* whose);

 private:
  std::vector<loader::DtNode*> free_;  // the next one is the last
};

/// Puts the configuration's devices there: drives in their order, networks for which the board
/// itself has no adapter, then entropy.
void place_virtio_devices(loader::DeviceTree& tree, const MachineConfig& config, const BoardOptions& options);

}  // namespace hindcast::machines
