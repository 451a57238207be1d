// An interrupt input that several devices drive: it is active while any of them drives it.
#pragma once
#include <vector>

#include "engine/device.h"

namespace hindcast::devices {

class SharedLine final : public Device, public IrqSink {
 public:
  /// `out`: the input that the devices share.
  SharedLine(std::string name, IrqLine out) : Device(std::move(name)), out_(out) {}

  /// One more device's wire. Before the machine runs.
  IrqLine add_wire();

  /// Nothing: the levels are those of the devices, which drive their wires anew.
  void reset() override {}
  void state(Archive& ar) override;
  void set_irq(unsigned line, bool level) override;

 private:
  IrqLine out_;
  std::vector<u8> levels_;  // of each wire
};

}  // namespace hindcast::devices
