// The PL011 serial port (PrimeCell UART (PL011) Technical Reference Manual, DDI 0183, chapter 3), and
// the Stellaris variant of it.
//
// What leaves is sent at once; what arrives waits outside until there is room. The receive interrupt is
// raised by every character, which drivers for any trigger level cope with; there is no receive timeout then.
#pragma once
#include <deque>

#include "engine/machine.h"
#include "targets/devices/serial_wire.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {

class Pl011 final : public Device, public WordRegisters, public InputSink {
 public:
  struct Wiring {
    Channel channel = 0;
    IrqLine irq;
    bool luminary = false;  // identification registers
    u32 clock_hz = 24'000'000;
  };
  Pl011(std::string name, Machine& machine, Wiring wiring);

  void reset() override;
  void state(Archive& ar) override;
  std::size_t receivable() const override;
  void receive(InputKind kind, ByteView data) override;

 private:
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  std::size_t places() const;
  VirtualNs frame() const;
  u32 flags() const;
  u32 read_data();
  void write_data(u8 byte);
  void take_in(u8 byte);
  void update_irq();
  void take_into_use();
  void tell_room(std::size_t before);

  Machine& machine_;
  Wiring wiring_;
  SerialWire wire_;
  std::deque<u8> received_;
  u32 line_control_ = 0, control_ = 0, fifo_levels_ = 0, mask_ = 0, raw_ = 0;
  u32 integer_divisor_ = 0, fraction_divisor_ = 0, low_power_ = 0, dma_control_ = 0;
  bool in_use_ = false;  // the guest has accessed a register since the reset
};

}  // namespace hindcast::devices
