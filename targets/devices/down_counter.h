// A counter that goes down with a clock, as most timers have one at heart: in virtual time, with nothing to
// do between its zeros.
#pragma once
#include <functional>
#include <string>

#include "engine/machine.h"

namespace hindcast::devices {

class DownCounter {
 public:
  /// `name`: of its timer, unique in the machine. `zero` is called each time that the counter comes to 0 from
  /// above. `hz` is not 0.
  DownCounter(Machine& machine, const std::string& name, u64 hz, std::function<void()> zero);
  DownCounter(const DownCounter&) = delete;
  DownCounter& operator=(const DownCounter&) = delete;

  u32 value() const;
  bool running() const { return running_; }
  /// Goes on from `value`. At 0 the next clock loads `reload`, or without `repeats` it stays there.
  void start(u32 value, u32 reload, bool repeats);
  /// Stands still at `value`.
  void stop(u32 value);
  /// Clocks are divided by this (not 0), from the current value on.
  void divide(u32 divisor);
  /// Divided clocks since the machine was switched on, and when so many are over.
  u64 clocks() const;
  VirtualNs time_of(u128 clocks) const;
  void state(Archive& ar);

 private:
  void arm();

  Machine& machine_;
  u64 hz_;
  std::function<void()> zero_;
  VirtualClock::TimerId timer_;
  u32 value_ = 0;  // at the anchor
  u64 anchor_ = 0;
  u32 reload_ = 0, divisor_ = 1;
  bool running_ = false, repeats_ = false;
};

}  // namespace hindcast::devices
