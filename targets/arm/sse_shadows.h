// Memory and devices that show at a second address, one for each security state.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/machine.h"

namespace hindcast::arm {

class Shadows {
 public:
  struct Shadow {
    u32 base, at, size;  // what is at `at` shows at `base` too
  };
  explicit Shadows(std::vector<Shadow> shadows) : shadows_(std::move(shadows)) {}

  /// Where what the CPU finds at an address is.
  GuestAddr physical(u32 address) const;
  /// Shows all that is there now, for CPUs without security extension, which translate nothing. It must
  /// outlive the machine's memory.
  void add(AddressSpace& memory, const std::string& name);

 private:
  class View final : public MmioHandler {
   public:
    View(AddressSpace& memory, GuestAddr at) : memory_(memory), at_(at) {}
    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, unsigned size, u64 value) override;

   private:
    AddressSpace& memory_;
    GuestAddr at_;
  };

  std::vector<Shadow> shadows_;
  std::vector<std::unique_ptr<View>> views_;
};

}  // namespace hindcast::arm
