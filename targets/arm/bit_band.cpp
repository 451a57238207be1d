#include "targets/arm/bit_band.h"

#include <algorithm>

#include "targets/devices/occupied.h"

namespace hindcast::arm {

GuestAddr BitBand::Window::unit(u64 offset, unsigned size, unsigned* bit) const {
  const u64 number = offset / 4;
  const GuestAddr byte = base_ + number / 8, at = byte & ~u64{size - 1};
  *bit = static_cast<unsigned>((byte - at) * 8 + number % 8);
  return at;
}

u64 BitBand::Window::mmio_read(u64 offset, unsigned size) {
  unsigned bit = 0;
  u64 value = 0;
  const unsigned width = std::min(size, 4u);
  if (!memory_.read(unit(offset, width, &bit), width, &value)) return 0;
  return value >> bit & 1;
}

void BitBand::Window::mmio_write(u64 offset, unsigned size, u64 value) {
  unsigned bit = 0;
  u64 old = 0;
  const unsigned width = std::min(size, 4u);
  const GuestAddr at = unit(offset, width, &bit);
  if (!memory_.read(at, width, &old)) return;
  memory_.write(at, width, (old & ~(u64{1} << bit)) | (value & 1) << bit);
}

void BitBand::show(GuestAddr base, u64 size) {
  const GuestAddr region = base & ~u64{0xfffff};
  windows_.push_back(std::make_unique<Window>(machine_.memory(), base));
  const std::string number = windows_.size() == 1 ? "" : std::to_string(windows_.size());
  machine_.memory().add_device(name() + number, region + kAliasDistance + (base - region) * kWords,
                               size * kWords, windows_.back().get());
}

void add_bit_bands(Machine& machine) {
  const std::vector<devices::Occupied> there = devices::occupied(machine.memory());
  for (const GuestAddr region : {BitBand::kSram, BitBand::kPeripherals}) {
    const GuestAddr alias = region + BitBand::kAliasDistance;
    if (std::any_of(there.begin(), there.end(),
                    [alias](const auto& r) { return r.overlaps(alias, BitBand::kAliasSize); }))
      continue;
    const std::string name = region == BitBand::kSram ? "bitband.sram" : "bitband.peripherals";
    auto& band = machine.add_device<BitBand>(name, machine);
    const GuestAddr end = region + BitBand::kAliasSize / BitBand::kWords;
    for (const devices::Occupied& r : there) {
      const GuestAddr from = std::max(r.base, region), to = std::min(r.base + r.size, end);
      if (from < to) band.show(from, to - from);
    }
  }
}

}  // namespace hindcast::arm
