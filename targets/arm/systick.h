// SysTick (DDI 0403, B3.3): counts down from a value at an anchor, in ticks of its clock.
#pragma once
#include <functional>
#include <string>

#include "engine/machine.h"

namespace hindcast::arm {

struct Clocks {
  u64 core_hz = 0;
  u64 reference_hz = 0;  // SysTick's other source; 0: there is none
};

class SysTick {
 public:
  /// `on_interrupt` is called when the counter reaches 0 with interrupts enabled.
  SysTick(Machine& machine, const std::string& name, Clocks clocks, std::function<void()> on_interrupt);

  void reset();
  /// `prefix` begins the names of the fields.
  void state(Archive& ar, const std::string& prefix);
  /// Registers by their offset from SYST_CSR: 0, 4, 8, 12. `mask`: the bits that the access covers.
  u32 read(u32 offset);
  /// The same, leaving COUNTFLAG, which reading SYST_CSR clears.
  u32 peek(u32 offset) const;
  void write(u32 offset, u32 value, u32 mask);

 private:
  u32 calibration() const;
  u32 only_core_clock() const;
  u64 hz() const;
  u64 now_ticks() const;
  u32 value() const;
  void restart(u32 value);
  void arm();
  void fired();

  Machine& machine_;
  Clocks clocks_;
  std::function<void()> on_interrupt_;
  VirtualClock::TimerId timer_;
  u32 control_ = 0, reload_ = 0;
  u32 value_ = 0;   // at the anchor
  u64 anchor_ = 0;  // ticks since the machine was switched on
  bool flag_ = false;
};

}  // namespace hindcast::arm
