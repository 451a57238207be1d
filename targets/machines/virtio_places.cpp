#include "targets/machines/virtio_places.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/devices/virtio/types.h"
#include "targets/machines/board.h"

namespace hindcast::machines {

using loader::DtNode;
namespace virtio = devices::virtio;

VirtioPlaces::VirtioPlaces(loader::DeviceTree& tree) {
  tree.for_each([&](DtNode& node) {
    if (node.enabled() && node.compatible_with("virtio,mmio") && !node.reg().empty() &&
        !node.has(virtio::kDeviceProperty))
      free_.push_back(&node);
  });
  std::stable_sort(free_.begin(), free_.end(),
                   [](const DtNode* a, const DtNode* b) { return a->reg()[0].base > b->reg()[0].base; });
}

DtNode& VirtioPlaces::take(const char* device, const char* whose) {
  if (free_.empty())
    throw Fatal(fmt::format("{}: the machine has no place for another virtio device", whose));
  DtNode& node = *free_.back();
  free_.pop_back();
  node.set_string(virtio::kDeviceProperty, device);
  return node;
}

void place_virtio_devices(loader::DeviceTree& tree, const MachineConfig& config,
                          const BoardOptions& options) {
  VirtioPlaces places(tree);
  for (u32 i = 0; i < config.drives.size(); ++i) {
    const MachineDrive& drive = config.drives[i];
    DtNode& node = places.take("block", "--drive");
    node.set_cells(virtio::kDriveProperty, {i});
    node.set_u64(virtio::kBytesProperty, drive.bytes);
    if (drive.read_only) node.set_empty(virtio::kReadOnlyProperty);
    if (drive.write_through) node.set_empty(virtio::kWriteThroughProperty);
  }
  for (std::size_t i = wired_adapters(tree); i < config.networks.size(); ++i)
    places.take(virtio::kNetworkDevice, "--net").set_cells(virtio::kNetworkProperty, {static_cast<u32>(i)});
  if (options.rng) places.take("entropy", "-M rng=on");
}

}  // namespace hindcast::machines
