#include "targets/arm/bit_band.h"

#include <algorithm>

namespace hindcast::arm {

GuestAddr BitBand::unit(u64 offset, unsigned size, unsigned* bit) const {
  const u64 number = offset / 4;
  const GuestAddr byte = region_ + number / 8, at = byte & ~u64{size - 1};
  *bit = static_cast<unsigned>((byte - at) * 8 + number % 8);
  return at;
}

u64 BitBand::mmio_read(u64 offset, unsigned size) {
  unsigned bit = 0;
  u64 value = 0;
  const unsigned width = std::min(size, 4u);
  if (!machine_.memory().read(unit(offset, width, &bit), width, &value)) return 0;
  return value >> bit & 1;
}

void BitBand::mmio_write(u64 offset, unsigned size, u64 value) {
  unsigned bit = 0;
  u64 old = 0;
  const unsigned width = std::min(size, 4u);
  const GuestAddr at = unit(offset, width, &bit);
  if (!machine_.memory().read(at, width, &old)) return;
  machine_.memory().write(at, width, (old & ~(u64{1} << bit)) | (value & 1) << bit);
}

void add_bit_bands(Machine& machine) {
  AddressSpace& memory = machine.memory();
  for (const GuestAddr region : {BitBand::kSram, BitBand::kPeripherals}) {
    const GuestAddr alias = region + BitBand::kAliasDistance;
    const auto there = [alias](GuestAddr base, u64 size) {
      return base < alias + BitBand::kAliasSize && alias < base + size;
    };
    const bool taken = std::any_of(memory.ram_blocks().begin(), memory.ram_blocks().end(),
                                   [&](const auto& block) { return there(block->base, block->size); }) ||
                       std::any_of(memory.devices().begin(), memory.devices().end(),
                                   [&](const auto& device) { return there(device.base, device.size); });
    if (taken) continue;
    const std::string name = region == BitBand::kSram ? "bitband.sram" : "bitband.peripherals";
    auto& band = machine.add_device<BitBand>(name, machine, region);
    memory.add_device(name, alias, BitBand::kAliasSize, &band);
  }
}

}  // namespace hindcast::arm
