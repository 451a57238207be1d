// The APB UART of Arm's Cortex-M System Design Kit (DDI 0479, section 4.3): one byte each way.
#pragma once
#include <optional>

#include "engine/machine.h"
#include "targets/devices/serial_wire.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {

class CmsdkUart final : public Device, public WordRegisters, public InputSink {
 public:
  struct Wiring {
    Channel channel = 0;
    IrqLine transmitted, received;
  };
  CmsdkUart(std::string name, Machine& machine, Wiring wiring);

  void reset() override;
  void state(Archive& ar) override;
  std::size_t receivable() const override;
  void receive(InputKind kind, ByteView data) override;

 private:
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  void update_irq();
  void take_into_use();

  Machine& machine_;
  Wiring wiring_;
  u32 control_ = 0, interrupts_ = 0, divisor_ = 0;
  u8 received_ = 0;
  bool full_ = false;
  SerialWire wire_;
  bool in_use_ = false;  // the guest has accessed a register since the reset
};

}  // namespace hindcast::devices
