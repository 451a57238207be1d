#include "replay/pacer.h"

#include <algorithm>

namespace hindcast::replay {
namespace {

/// A machine that is this far behind the wall clock does not hurry to catch up.
constexpr u64 kMaxBehindNs = 50'000'000;
/// Running ahead by less than this is not worth a sleep.
constexpr u64 kMinSleepNs = 1'000'000;
/// Oversleeping is made up for in later sleeps, but not more than this.
constexpr u64 kMaxOversleptNs = 5'000'000;

u64 saturating_add(u64 a, u64 b) { return a + b < a ? kNever : a + b; }

}  // namespace

u64 Pacer::host_time(VirtualNs when, VirtualNs now, u64 host_now) {
  if (!tied_ || saturating_add(host_base_, now - virtual_base_) + kMaxBehindNs < host_now) {
    tied_ = true;
    host_base_ = host_now;
    virtual_base_ = now;
  }
  return saturating_add(host_base_, when - virtual_base_);
}

u64 Pacer::may_go_on_at(VirtualNs now, u64 host_now) {
  if (pace_ == Pace::Max) return 0;
  const u64 at = host_time(now, now, host_now);
  return at > host_now + kMinSleepNs ? at : 0;
}

u64 Pacer::idle_until(VirtualNs now, VirtualNs deadline, u64 host_now, bool waits) {
  if (deadline == kNever) return kNever;
  if (pace_ == Pace::Real) return host_time(deadline, now, host_now);
  if (!waits) return 0;
  const u64 length = deadline - now;
  const u64 less = std::min(overslept_, length);
  overslept_ -= less;
  return saturating_add(host_now, length - less);
}

void Pacer::slept(u64 planned, u64 host_now) {
  if (pace_ == Pace::Max && planned != kNever && host_now > planned)
    overslept_ = std::min(overslept_ + (host_now - planned), kMaxOversleptNs);
}

}  // namespace hindcast::replay
