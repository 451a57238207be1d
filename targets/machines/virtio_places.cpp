#include "targets/machines/virtio_places.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/devices/fw_cfg.h"
#include "targets/devices/virtio/types.h"
#include "targets/machines/board.h"

namespace hindcast::machines {

using loader::DtNode;
namespace virtio = devices::virtio;

namespace {

constexpr const char* kPciHost = "pci-host-ecam-generic";

DtNode* first_compatible(loader::DeviceTree& tree, const char* what) {
  DtNode* found = nullptr;
  tree.for_each([&](DtNode& node) {
    if (found == nullptr && node.enabled() && node.compatible_with(what)) found = &node;
  });
  return found;
}

}  // namespace

VirtioPlaces::VirtioPlaces(loader::DeviceTree& tree, bool pci) {
  if (pci) {
    bus_ = first_compatible(tree, kPciHost);
    if (bus_ == nullptr) throw Fatal("-M virtio=pci: the machine has no PCI bus");
    return;
  }
  tree.for_each([&](DtNode& node) {
    if (node.enabled() && node.compatible_with("virtio,mmio") && !node.reg().empty() &&
        !node.has(virtio::kDeviceProperty))
      free_.push_back(&node);
  });
  std::stable_sort(free_.begin(), free_.end(),
                   [](const DtNode* a, const DtNode* b) { return a->reg()[0].base > b->reg()[0].base; });
}

DtNode& VirtioPlaces::take(const char* device, const char* whose) {
  DtNode* node = nullptr;
  if (bus_ != nullptr) {
    node = &bus_->add_child(fmt::format("hindcast,slot-{}", bus_->children().size() + 1));
    node->set_string("compatible", virtio::kPciCompatible);
  } else {
    if (free_.empty())
      throw Fatal(fmt::format("{}: the machine has no place for another virtio device", whose));
    node = free_.back();
    free_.pop_back();
  }
  node->set_string(virtio::kDeviceProperty, device);
  return *node;
}

void settle_pci_windows(loader::DeviceTree& tree, unsigned xlen) {
  DtNode* host = first_compatible(tree, kPciHost);
  if (host == nullptr) return;
  constexpr std::size_t kCells = 7;  // three of the bus's address, two of the CPU's, two of size
  constexpr u64 kStep = u64{1} << 34;
  u64 end = 0;
  for (const loader::DtRange& range : memory_ranges(tree)) end = std::max(end, range.base + range.size);
  std::vector<u32> cells = host->cells("ranges"), kept;
  for (std::size_t i = 0; i + kCells <= cells.size(); i += kCells) {
    const bool high = cells[i + 3] != 0;
    if (high && xlen == 32) continue;
    const u64 base = u64{cells[i + 3]} << 32 | cells[i + 4];
    if (high && base < end) {
      const u64 moved = (end + kStep - 1) / kStep * kStep;
      cells[i + 1] = cells[i + 3] = static_cast<u32>(moved >> 32);
      cells[i + 2] = cells[i + 4] = static_cast<u32>(moved);
    }
    kept.insert(kept.end(), cells.begin() + i, cells.begin() + i + kCells);
  }
  host->set_cells("ranges", kept);
}

void place_fw_cfg_files(loader::DeviceTree& tree, const MachineConfig& config) {
  DtNode* device = first_compatible(tree, "qemu,fw-cfg-mmio");
  for (const MachineFile& file : config.files) {
    if (file.role != "fw-cfg") continue;
    if (device == nullptr)
      throw Fatal(fmt::format("--fw-cfg: machine '{}' has no such device", config.machine));
    DtNode& node = device->add_child(fmt::format("hindcast,file-{}", device->children().size()));
    node.set_string("compatible", devices::FwCfg::kFileCompatible);
    node.set_string(devices::FwCfg::kFileName, file.name);
    node.set(devices::FwCfg::kFileData, file.data);
  }
}

void place_virtio_devices(loader::DeviceTree& tree, const MachineConfig& config,
                          const BoardOptions& options) {
  VirtioPlaces places(tree, options.pci);
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
  if (options.console) places.take("console", "--virtio-console");
}

}  // namespace hindcast::machines
