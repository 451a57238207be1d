// The Goldfish real-time clock (Android emulator, "Goldfish virtual hardware": RTC): nanoseconds since 1970
// in two halves, and an alarm. The outside is asked once, at the first look at the time; from there virtual
// time counts.
#pragma once
#include "engine/machine.h"

namespace hindcast::devices {

class GoldfishRtc final : public Device, public MmioHandler {
 public:
  static constexpr u64 kSize = 0x20;

  GoldfishRtc(std::string name, Machine& machine, Channel channel, IrqLine irq);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

 private:
  u64 time();
  void set_time(u64 time);
  void arm_alarm();
  void update_irq();

  Machine& machine_;
  Channel channel_;
  IrqLine irq_;
  VirtualClock::TimerId alarm_timer_;
  bool started_ = false;  // offset_ is known
  u64 offset_ = 0;        // time - virtual time
  u32 latched_high_ = 0;  // of the last read of the low half
  u64 alarm_ = 0;
  bool alarm_running_ = false, irq_pending_ = false, irq_enabled_ = false;
};

}  // namespace hindcast::devices
