// The USART of STM32F2 and F4 (RM0090, chapter 30), asynchronous, without DMA. What is sent leaves at once.
#pragma once
#include "engine/machine.h"
#include "targets/devices/serial_wire.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {

class Stm32Uart final : public Device, public WordRegisters, public InputSink {
 public:
  Stm32Uart(std::string name, Machine& machine, IrqLine irq, Channel channel, u32 clock_hz);

  void reset() override;
  void state(Archive& ar) override;
  std::size_t receivable() const override;
  void receive(InputKind kind, ByteView data) override;

 private:
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  static constexpr std::size_t kSettings = 4;  // CR2, CR3, GTPR and the baud rate, which change nothing here
  void write_control(u32 value);
  void update_irq();
  VirtualNs frame() const;

  Machine& machine_;
  IrqLine irq_;
  Channel channel_;
  u32 clock_hz_;
  SerialWire wire_;
  u32 status_ = 0, control_ = 0;
  std::array<u32, kSettings> settings_{};
  u8 received_ = 0;
};

}  // namespace hindcast::devices
