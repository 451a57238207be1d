// Which virtio devices there are, and how a board says which one is behind a transport: properties of the
// transport's node that the guest does not see.
//
//   hindcast,device    "block", "entropy", ...: a row of the table in types.cpp
//   and what the row's device wants to know (below)
#pragma once
#include "targets/devices/model_registry.h"
#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

/// A node of this kind below a PCI host bridge is a virtio device on its bus; the guest finds it by itself.
inline constexpr const char* kPciCompatible = "hindcast,virtio-pci";
inline constexpr const char* kDeviceProperty = "hindcast,device";
/// "block": the number of the drive in the configuration; its size in bytes (two cells); flags.
inline constexpr const char* kDriveProperty = "hindcast,drive";
inline constexpr const char* kBytesProperty = "hindcast,bytes";
inline constexpr const char* kReadOnlyProperty = "hindcast,read-only";
/// "network": the number of the cable in the configuration.
inline constexpr const char* kNetworkDevice = "network";
inline constexpr const char* kNetworkProperty = "hindcast,network";
inline constexpr const char* kWriteThroughProperty = "hindcast,write-through";

/// Adds the device that the node names to the machine; null if it names none. Throws Fatal for a name that is
/// not known.
VirtioDevice* add_virtio_device(const DeviceSite& site);

}  // namespace hindcast::devices::virtio
