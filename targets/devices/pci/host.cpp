#include "targets/devices/pci/host.h"

#include <fmt/format.h>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/msi.h"
#include "targets/devices/virtio/pci.h"
#include "targets/devices/virtio/types.h"

namespace hindcast::devices {
namespace pci {
namespace {

// What software for the board expects in slot 0.
constexpr Function::Identity kBridge{0x1b36, 0x0008, 0x060000, 0, 0x1af4, 0x1100};

}  // namespace

Host::Bridge::Bridge() : Function(kBridge) {}

Host::Host(std::string name, std::vector<IrqLine> lines) : Device(std::move(name)), lines_(std::move(lines)) {
  lines_.resize(kPins);
  functions_.push_back(&bridge_);
}

void Host::add(Function& function) {
  if (functions_.size() >= kSlots) throw Fatal(fmt::format("{}: the bus has {} slots", name(), kSlots));
  function.connect(IrqLine(this, static_cast<unsigned>(functions_.size())));
  functions_.push_back(&function);
}

MmioHandler& Host::add_window(u64 pci_base) {
  windows_.push_back(std::make_unique<Window>(*this, pci_base));
  return *windows_.back();
}

void Host::reset() {
  bridge_.reset();
  levels_ = 0;
  for (const IrqLine& line : lines_) line.set(false);
}

void Host::state(Archive& ar) {
  bridge_.state(ar);
  ar.field("levels", levels_);
}

void Host::set_irq(unsigned slot, bool level) {
  levels_ = (levels_ & ~(u32{1} << slot)) | u32{level} << slot;
  u32 together = 0;
  for (unsigned i = slot % kPins; i < kSlots; i += kPins) together |= levels_ >> i & 1;
  lines_[slot % kPins].set(together != 0);
}

Function* Host::function_at(u64 offset) {
  // Bus, device, function: 8, 5 and 3 bits above the 12 of a function's space.
  const u64 device = offset >> 15;
  return (offset >> 12 & 7) == 0 && device < functions_.size() ? functions_[device] : nullptr;
}

u64 Host::mmio_read(u64 offset, unsigned size) {
  if (size == 8) return mmio_read(offset, 4) | mmio_read(offset + 4, 4) << 32;
  Function* function = function_at(offset);
  if (function == nullptr) return low_mask(size);
  const unsigned within = offset & 0xfff;
  return within < Function::kConfigSize ? function->config_read(within, size) : 0;
}

void Host::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size == 8) {
    mmio_write(offset, 4, value & 0xffffffff);
    mmio_write(offset + 4, 4, value >> 32);
    return;
  }
  Function* function = function_at(offset);
  const unsigned within = offset & 0xfff;
  if (function != nullptr && within < Function::kConfigSize)
    function->config_write(within, size, static_cast<u32>(value));
}

u64 Host::Window::mmio_read(u64 offset, unsigned size) {
  for (Function* function : host_.functions_)
    if (const Function::Place place = function->claims(base_ + offset); place.bar != Function::kBars)
      return function->bar_read(place.bar, place.offset, size);
  return low_mask(size);
}

void Host::Window::mmio_write(u64 offset, unsigned size, u64 value) {
  for (Function* function : host_.functions_)
    if (const Function::Place place = function->claims(base_ + offset); place.bar != Function::kBars)
      return function->bar_write(place.bar, place.offset, size, value);
}

}  // namespace pci

namespace {

/// Windows from `ranges`: three cells of bus address, whose first says what kind, then the CPU's address and
/// the size.
void add_windows(const DeviceSite& site, pci::Host& host) {
  const std::vector<u32> cells = site.node.cells("ranges");
  constexpr std::size_t kCells = 7;
  if (cells.size() % kCells != 0) site.fail("has windows of an unknown form");
  for (std::size_t i = 0; i < cells.size(); i += kCells) {
    auto wide = [&](std::size_t at) { return u64{cells[i + at]} << 32 | cells[i + at + 1]; };
    const u32 kind = cells[i] >> 24 & 3;  // 1: ports, 2 and 3: memory
    // No function has ports: what is in that window is nobody's, at whatever address.
    const u64 base = kind == 1 ? kNever - 0xffffffff : wide(1);
    site.machine.memory().add_device(fmt::format("{}.{}", site.name, kind == 1 ? "ports" : "memory"), wide(3),
                                     wide(5), &host.add_window(base));
  }
}

}  // namespace

IrqSink* build_pci_host(const DeviceSite& site) {
  auto& host = place<pci::Host>(site, u64{1} << 20, site.interrupts);
  add_windows(site, host);
  unsigned slot = 1;
  for (const auto& child : site.node.children()) {
    if (!child->compatible_with(virtio::kPciCompatible)) continue;
    DeviceSite place{site.machine, *child, fmt::format("{}.{}", site.name, slot++), kNoChannel, {}, {}};
    place.networks = site.networks;
    virtio::VirtioDevice* device = virtio::add_virtio_device(place);
    if (device == nullptr) place.fail("names no virtio device");
    // Messages need somebody who takes them.
    pci::Msix::Send send;
    if (site.node.has("msi-parent"))
      send = [&machine = site.machine](u64 address, u32 data) { send_msi(machine, address, data); };
    host.add(site.machine.add_device<virtio::PciTransport>(place.name, *device, std::move(send)));
  }
  return nullptr;
}

}  // namespace hindcast::devices
