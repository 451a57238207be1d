// A 16550A serial port (Texas Instruments "TL16C550C", chapters "Register selection" to "Scratchpad
// register").
//
// What leaves is sent at once: the transmitter is always empty again when the guest can look. What arrives
// does so when the receiver has room, so nothing is ever overrun. The character time-out of the receive FIFO
// runs on virtual time, from the programmed rate.
#pragma once
#include <deque>

#include "engine/machine.h"

namespace hindcast::devices {

class Uart16550 final : public Device, public MmioHandler, public InputSink {
 public:
  struct Wiring {
    unsigned reg_shift = 0;    // register n is at offset n << reg_shift
    u64 clock_hz = 1'843'200;  // input of the rate generator
    Channel channel = 0;
    IrqLine irq;
  };
  Uart16550(std::string name, Machine& machine, Wiring wiring);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  std::size_t receivable() const override;
  std::size_t wanted() const override;
  void receive(InputKind kind, ByteView data) override;

 private:
  bool fifo_enabled() const;
  bool loopback() const;
  u8 read_register(unsigned n);
  void write_register(unsigned n, u8 value);
  u8 read_receiver();
  u8 line_status() const;
  u8 interrupt_id() const;
  void transmit(u8 byte);
  void take_in(u8 byte);
  void set_fifo_control(u8 value);
  void set_modem_control(u8 value);
  u8 modem_inputs() const;
  std::size_t trigger_level() const;
  VirtualNs character_time() const;
  void restart_timeout();
  void update_irq();
  void tell_room(std::size_t before);
  void note_look(bool look);

  Machine& machine_;
  Wiring wiring_;
  VirtualClock::TimerId timeout_;
  std::deque<u8> received_;  // one place without FIFO, sixteen with
  u8 interrupt_enable_ = 0, fifo_control_ = 0, line_control_ = 0, modem_control_ = 0, scratch_ = 0;
  u8 modem_deltas_ = 0;
  u8 line_errors_ = 0;  // overrun, the only one there is (in loop-back)
  u16 divisor_ = 0;
  bool transmit_interrupt_ = false;  // transmitter became empty and nobody has been told
  bool timed_out_ = false;           // characters wait below the trigger level
  bool in_use_ = false;              // the guest has accessed a register since the reset
  u8 looks_ = 0;                     // reads of LSR in a row, by the guest
  bool looks_for_input_ = false;     // it has polled for input since it set the port up
};

}  // namespace hindcast::devices
