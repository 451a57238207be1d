// Which virtio device is behind which of a board's transports.
#pragma once
#include <vector>

#include "engine/registry.h"
#include "targets/loader/device_tree.h"
#include "targets/machines/options.h"

namespace hindcast::machines {

/// The board's places for virtio devices: nodes that are "virtio,mmio", lowest address first; or the slots of
/// the first PCI bus.
class VirtioPlaces {
 public:
  VirtioPlaces(loader::DeviceTree& tree, bool pci);
  /// The next free place, which gets the device (targets/devices/virtio/types.h); the caller adds what the
  /// device wants to know. `whose`: the option, for the message of the Fatal that is thrown when all are
  /// taken.
  loader::DtNode& take(const char* device, const char* whose);

 private:
  std::vector<loader::DtNode*> free_;  // the next one is the last
  loader::DtNode* bus_ = nullptr;      // or there
};

/// The windows of PCI host bridges where the CPU (of `xlen` bits) can reach them: those beyond it are left
/// out, and one in the way of RAM is moved behind it.
void settle_pci_windows(loader::DeviceTree& tree, unsigned xlen);

/// Gives the firmware configuration device the configuration's files of the role "fw-cfg". Throws Fatal if
/// there is no such device.
void place_fw_cfg_files(loader::DeviceTree& tree, const MachineConfig& config);

/// Puts the configuration's devices there: drives in their order, networks for which the board
/// itself has no adapter, then entropy and a console.
void place_virtio_devices(loader::DeviceTree& tree, const MachineConfig& config, const BoardOptions& options);

}  // namespace hindcast::machines
