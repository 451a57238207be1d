// Bit-banding (DDI 0403, B3.1 and the manuals of Cortex-M3 and M4): a region in which each word stands for
// one bit of the first megabyte of SRAM or of the peripherals.
#pragma once
#include "engine/machine.h"

namespace hindcast::arm {

class BitBand final : public Device, public MmioHandler {
 public:
  /// `region`: whose bits these are. The alias lies 0x02000000 above it.
  BitBand(std::string name, Machine& machine, GuestAddr region)
      : Device(std::move(name)), machine_(machine), region_(region) {}

  void reset() override {}
  void state(Archive&) override {}
  /// The addressed bit, in bit 0. 0 where nothing is.
  u64 mmio_read(u64 offset, unsigned size) override;
  /// Reads, changes and writes the aligned unit of the access's size around the bit, as the CPU does.
  void mmio_write(u64 offset, unsigned size, u64 value) override;

  static constexpr GuestAddr kSram = 0x20000000, kPeripherals = 0x40000000, kAliasDistance = 0x02000000;
  static constexpr u64 kAliasSize = 0x02000000;

 private:
  /// Where the unit of that size lies, and the bit in it.
  GuestAddr unit(u64 offset, unsigned size, unsigned* bit) const;

  Machine& machine_;
  GuestAddr region_;
};

/// Both aliases, as far as nothing else has their places.
void add_bit_bands(Machine& machine);

}  // namespace hindcast::arm
