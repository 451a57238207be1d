// SiFive's test finisher: one register through which firmware ends the run or resets the machine. The status
// is in the low half, an exit code in the high one.
#pragma once
#include "engine/machine.h"

namespace hindcast::devices {

class Finisher final : public Device, public MmioHandler {
 public:
  Finisher(std::string name, Machine& machine) : Device(std::move(name)), machine_(machine) {}

  void reset() override {}
  void state(Archive&) override {}
  u64 mmio_read(u64, unsigned) override { return 0; }
  void mmio_write(u64 offset, unsigned size, u64 value) override;

 private:
  Machine& machine_;
};

}  // namespace hindcast::devices
