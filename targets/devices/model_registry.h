// Device models by what a device tree calls them. A board is a tree; this is how its nodes become devices.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/machine.h"
#include "engine/registry.h"
#include "targets/loader/device_tree.h"

namespace hindcast::devices {

/// Everything that a model gets to know about its place on the board.
struct DeviceSite {
  Machine& machine;
  const loader::DtNode& node;
  std::string name;     // unique, by model and tree order ("uart0"): in messages and recordings
  Channel channel = 0;  // the device's way outside
  std::vector<loader::DtRange> regs;
  std::vector<IrqLine> interrupts;  // in the order of the node's interrupts; unconnected entries included
  const NetworkAdapter* network = nullptr;     // of a network adapter; null: no cable
  std::span<const NetworkAdapter> networks{};  // all cables, for a virtio device whose node names one

  /// The n-th register range. Fatal if the tree has none, or one of fewer than `least` bytes.
  const loader::DtRange& reg(std::size_t n, u64 least) const;
  IrqLine irq(std::size_t n = 0) const { return n < interrupts.size() ? interrupts[n] : IrqLine(); }
  /// A one-cell property with its default.
  u32 cell(const char* property, u32 otherwise) const { return node.cell(property).value_or(otherwise); }
  /// The node's clock-frequency with its default. Fatal if it is 0.
  u32 clock_hz(u32 otherwise) const;
  [[noreturn]] void fail(const std::string& what) const;
};

/// Adds a T, made of its name and `args`, at the site's first register range of at least `least` bytes.
template <typename T, typename... Args>
T& place(const DeviceSite& site, u64 least, Args&&... args) {
  const loader::DtRange& reg = site.reg(0, least);
  auto& device = site.machine.add_device<T>(site.name, std::forward<Args>(args)...);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &device);
  return device;
}
/// All that DeviceModel::build has to do for many a T.
template <typename T, typename... Args>
IrqSink* add(const DeviceSite& site, u64 least, Args&&... args) {
  place<T>(site, least, std::forward<Args>(args)...);
  return nullptr;
}

struct DeviceModel {
  const char* stem;                               // of device names: "uart"
  const char* description;                        // for `list devices`
  std::initializer_list<const char*> compatible;  // any of them
  Channel first_channel;                          // the model's first device has this one, the next the next
  /// Adds the device(s) to the machine. Returns the sink of an interrupt controller, null otherwise. Throws
  /// Fatal if the node makes no sense.
  IrqSink* (*build)(const DeviceSite& site);
};

/// All models, in the order of the table in model_registry.cpp. A new model is a row there.
std::span<const DeviceModel> device_models();
/// The model for a node: its `compatible` list is searched in order, most specific first. Null if there is
/// none.
const DeviceModel* find_model(const loader::DtNode& node);
/// Lists the models in the process's registry.
void register_models();

/// Channels by what is connected there. The first serial port is 0, whatever the board.
inline constexpr Channel kSerialChannels = 0;
inline constexpr Channel kClockChannels = 0x100;
inline constexpr Channel kEntropyChannels = 0x200;
inline constexpr Channel kDriveChannels = 0x400;
inline constexpr Channel kNetworkChannels = 0x500;
inline constexpr Channel kNoChannel = 0xffff;
inline constexpr Channel kBoardChannel = 0x300;       // of the board itself: its tree's random seed
inline constexpr Channel kCpuEntropyChannel = 0x301;  // of instructions that give random bits

// The builders of the table's rows, each beside its model.
IrqSink* build_uart16550(const DeviceSite& site);
IrqSink* build_clint(const DeviceSite& site);
IrqSink* build_plic(const DeviceSite& site);
IrqSink* build_aplic(const DeviceSite& site);
IrqSink* build_imsic(const DeviceSite& site);
IrqSink* build_finisher(const DeviceSite& site);
IrqSink* build_goldfish_rtc(const DeviceSite& site);
IrqSink* build_cfi_flash(const DeviceSite& site);
IrqSink* build_virtio_mmio(const DeviceSite& site);
IrqSink* build_pci_host(const DeviceSite& site);
IrqSink* build_fw_cfg(const DeviceSite& site);
IrqSink* build_pl011(const DeviceSite& site);
IrqSink* build_cmsdk_uart(const DeviceSite& site);
IrqSink* build_cmsdk_timer(const DeviceSite& site);
IrqSink* build_stm32_uart(const DeviceSite& site);

}  // namespace hindcast::devices
