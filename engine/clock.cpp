#include "engine/clock.h"

namespace hindcast {

Icount VirtualClock::icount_of(VirtualNs time) const {
  if (time == kNever) return kNever;
  if (time <= warp_) return 0;
  u64 delta = time - warp_;
  u64 unit = u64{1} << shift_;
  return (delta >> shift_) + ((delta & (unit - 1)) != 0 ? 1 : 0);
}

VirtualClock::TimerId VirtualClock::add_timer(std::string name, Callback callback) {
  timers_.push_back({std::move(name), std::move(callback), kNever});
  return static_cast<TimerId>(timers_.size() - 1);
}

void VirtualClock::arm(TimerId timer, VirtualNs when) {
  bool earlier = when < next_deadline();
  timers_[timer].when = when;
  if (earlier && notify_) notify_();
}

VirtualNs VirtualClock::next_deadline() const {
  VirtualNs best = kNever;
  for (const Timer& t : timers_) best = std::min(best, t.when);
  return best;
}

void VirtualClock::fire_due() {
  for (;;) {
    Timer* due = nullptr;
    for (Timer& t : timers_)
      if (t.when <= now() && (due == nullptr || t.when < due->when)) due = &t;
    if (due == nullptr) return;
    due->when = kNever;
    due->callback();
  }
}

void VirtualClock::state(Archive& ar) {
  ar.section("clock");
  ar.field("icount", icount_);
  ar.field("warp", warp_);
  u32 count = static_cast<u32>(timers_.size());
  ar.field("timers", count);
  if (count != timers_.size()) throw Fatal("saved state: another number of timers");
  for (Timer& t : timers_) ar.field(t.name, t.when);
}

}  // namespace hindcast
