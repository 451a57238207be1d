#include "targets/devices/virtio/types.h"

#include <fmt/format.h>

#include "targets/devices/virtio/block.h"
#include "targets/devices/virtio/console.h"
#include "targets/devices/virtio/entropy.h"
#include "targets/devices/virtio/mmio.h"
#include "targets/devices/virtio/network.h"

namespace hindcast::devices {
namespace virtio {
namespace {

VirtioDevice* add_block(const DeviceSite& site) {
  const u32 drive = site.cell(kDriveProperty, 0);
  const std::vector<u32> bytes = site.node.cells(kBytesProperty);
  if (bytes.size() != 2 || drive > 0xff) site.fail("has no drive");
  Disk::Site disk;
  disk.channel = static_cast<Channel>(kDriveChannels + drive);
  disk.drive = drive;
  disk.bytes = u64{bytes[0]} << 32 | bytes[1];
  disk.read_only = site.node.has(kReadOnlyProperty);
  disk.write_through = site.node.has(kWriteThroughProperty);
  return &site.machine.add_device<BlockDevice>(fmt::format("disk{}", drive), site.machine, disk);
}

VirtioDevice* add_entropy(const DeviceSite& site) {
  return &site.machine.add_device<EntropyDevice>("entropy0", site.machine, kEntropyChannels);
}

VirtioDevice* add_console(const DeviceSite& site) {
  return &site.machine.add_device<ConsoleDevice>("console0", site.machine, kConsoleChannel);
}

VirtioDevice* add_network(const DeviceSite& site) {
  const u32 number = site.cell(kNetworkProperty, 0);
  if (number >= site.networks.size()) site.fail("has no network");
  return &site.machine.add_device<NetworkDevice>(fmt::format("network{}", number), site.machine,
                                                 static_cast<Channel>(kNetworkChannels + number),
                                                 site.networks[number].mac);
}

struct Row {
  std::string_view name;
  VirtioDevice* (*add)(const DeviceSite& site);
};
constexpr Row kRows[] = {
    {"block", add_block},
    {"console", add_console},
    {"entropy", add_entropy},
    {kNetworkDevice, add_network},
};

}  // namespace

VirtioDevice* add_virtio_device(const DeviceSite& site) {
  const std::string name = site.node.string(kDeviceProperty);
  if (name.empty()) return nullptr;
  for (const Row& row : kRows)
    if (row.name == name) return row.add(site);
  site.fail(fmt::format("names a virtio device '{}', which is not known", name));
}

}  // namespace virtio

IrqSink* build_virtio_mmio(const DeviceSite& site) {
  virtio::VirtioDevice* device = virtio::add_virtio_device(site);
  return add<virtio::MmioTransport>(site, virtio::MmioTransport::kSize, device, site.irq());
}

}  // namespace hindcast::devices
