// Virtual time is a function of icount: now = (icount << shift) + warp. Timers are deadlines on it.
#pragma once
#include <functional>
#include <map>
#include <vector>

#include "engine/archive.h"
#include "engine/types.h"

namespace hindcast {

class VirtualClock {
 public:
  /// One timer of a device. At most one pending deadline; armed and cancelled by its owner. The pending
  /// deadline is saved by the clock, so owners only recreate their timers, in the same order, before state is
  /// loaded.
  using TimerId = u32;
  using Callback = std::function<void()>;

  explicit VirtualClock(unsigned icount_shift = 3) : shift_(icount_shift) {}

  VirtualNs now() const { return time_at(icount()); }
  /// Time ends one before kNever: a guest may park its timers nearly that far and wait for them.
  VirtualNs time_at(Icount icount) const {
    const u128 time = (u128{icount} << shift_) + warp_;
    return time < kNever ? static_cast<VirtualNs>(time) : kNever - 1;
  }
  /// First icount at which `time` has been reached; kNever for kNever.
  Icount icount_of(VirtualNs time) const;
  /// Attempts completed; exact also in the middle of a slice.
  Icount icount() const { return live_ ? live_() : icount_; }
  unsigned shift() const { return shift_; }
  VirtualNs warp() const { return warp_; }

  TimerId add_timer(std::string name, Callback callback);
  /// `when` in virtual ns; a time already reached fires at the next instruction boundary. kNever cancels.
  void arm(TimerId timer, VirtualNs when);
  VirtualNs deadline_of(TimerId timer) const { return timers_[timer].when; }

  /// Earliest pending deadline in virtual ns, or kNever.
  VirtualNs next_deadline() const;

  // For the machine's run loop only.
  void set_icount(Icount icount) { icount_ = icount; }
  /// While a slice runs, icount is what `source` says; an empty function goes back to the stored one.
  void set_live(std::function<Icount()> source) { live_ = std::move(source); }
  /// Jumps forward by `ns` while every vCPU is idle.
  void add_warp(VirtualNs ns) { warp_ += ns; }
  /// Fires every timer whose deadline is at or before now, in order of (deadline, timer id).
  void fire_due();

  /// Told whenever an earlier deadline was armed, so that running code can be stopped in time.
  void on_earlier_deadline(std::function<void()> notify) { notify_ = std::move(notify); }
  void state(Archive& ar);

 private:
  struct Timer {
    std::string name;
    Callback callback;
    VirtualNs when = kNever;
  };
  unsigned shift_;
  Icount icount_ = 0;
  VirtualNs warp_ = 0;
  std::vector<Timer> timers_;
  std::function<Icount()> live_;
  std::function<void()> notify_;
};

}  // namespace hindcast
