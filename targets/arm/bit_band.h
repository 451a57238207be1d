// Bit-banding (DDI 0403, B3.1 and the manuals of Cortex-M3 and M4): a region in which each word stands for
// one bit of the first megabyte of SRAM or of the peripherals.
#pragma once
#include <memory>
#include <vector>

#include "engine/machine.h"

namespace hindcast::arm {

class BitBand final : public Device {
 public:
  BitBand(std::string name, Machine& machine) : Device(std::move(name)), machine_(machine) {}

  void reset() override {}
  void state(Archive&) override {}
  /// Adds the alias of what is at `base`, inside a region. An alias of nothing is nothing: accesses to it are
  /// bus faults.
  void show(GuestAddr base, u64 size);

  static constexpr GuestAddr kSram = 0x20000000, kPeripherals = 0x40000000, kAliasDistance = 0x02000000;
  static constexpr u64 kAliasSize = 0x02000000, kWords = 32;  // bytes of the alias for one of the region

 private:
  /// The alias of memory from `base` on.
  class Window final : public MmioHandler {
   public:
    Window(AddressSpace& memory, GuestAddr base) : memory_(memory), base_(base) {}
    /// The addressed bit, in bit 0.
    u64 mmio_read(u64 offset, unsigned size) override;
    /// Reads, changes and writes the aligned unit of the access's size around the bit, as the CPU does.
    void mmio_write(u64 offset, unsigned size, u64 value) override;

   private:
    /// Where the unit of that size lies, and the bit in it.
    GuestAddr unit(u64 offset, unsigned size, unsigned* bit) const;

    AddressSpace& memory_;
    GuestAddr base_;
  };

  Machine& machine_;
  std::vector<std::unique_ptr<Window>> windows_;
};

/// Both aliases, as far as nothing else has their places. When all else is there.
void add_bit_bands(Machine& machine);

}  // namespace hindcast::arm
