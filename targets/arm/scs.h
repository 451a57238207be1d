// The system control space (DDI 0403, B3.2 to B3.5): system control block, SysTick, NVIC, MPU registers. What
// exceptions need of it is in the CPU's state; this is the view through memory, and the timer.
#pragma once
#include "engine/machine.h"
#include "targets/arm/arm.h"

namespace hindcast::devices {
struct DeviceSite;
}

namespace hindcast::arm {

class Scs final : public Device, public MmioHandler, public IrqSink {
 public:
  struct Clocks {
    u64 core_hz = 0;
    u64 reference_hz = 0;  // SysTick's other source; 0: there is none
  };
  Scs(std::string name, Machine& machine, Clocks clocks, unsigned interrupts);

  static constexpr GuestAddr kBase = 0xe000e000;
  static constexpr u64 kSize = 0x1000;

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  void set_irq(unsigned line, bool level) override;

 private:
  ArmState& cpu() const;
  const ArmArch& arch() const;

  u32 read_word(u32 offset);
  /// `mask`: the bits that the access covers.
  void write_word(u32 offset, u32 value, u32 mask);
  u32 read_system(u32 offset);
  bool write_system(u32 offset, u32 value, u32 mask);
  u32 read_icsr() const;
  void write_icsr(u32 value);
  u32 read_shcsr() const;
  void write_shcsr(u32 value);
  u32 read_identification(u32 offset) const;
  u32 read_mpu(u32 offset) const;
  void write_mpu(u32 offset, u32 value);
  u32 read_nvic(u32 offset) const;
  void write_nvic(u32 offset, u32 value, u32 mask);
  u32 read_priorities(unsigned first) const;
  void write_priorities(unsigned first, u32 value, u32 mask);
  bool has_exception(unsigned n) const { return n < exc::kFirstIrq + interrupts_; }

  // SysTick. Counts down from a value at an anchor, in ticks of its clock.
  u64 systick_hz() const;
  u64 now_ticks() const;
  u32 systick_value() const;
  void systick_restart(u32 value);
  void systick_arm();
  void systick_fired();

  Machine& machine_;
  Clocks clocks_;
  unsigned interrupts_;
  VirtualClock::TimerId timer_;
  u32 tick_control_ = 0, tick_reload_ = 0;
  u32 tick_value_ = 0;   // at the anchor
  u64 tick_anchor_ = 0;  // ticks since the machine was switched on
  bool tick_flag_ = false;
  u32 demcr_ = 0, actlr_ = 0;
};

/// "arm,v7m-nvic" and its kin: the whole space, and the sink of the board's interrupts.
IrqSink* build_scs(const devices::DeviceSite& site);

}  // namespace hindcast::arm
