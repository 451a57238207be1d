#include "targets/devices/down_counter.h"

#include <algorithm>

namespace hindcast::devices {
namespace {
constexpr u64 kSecond = 1'000'000'000;
}

DownCounter::DownCounter(Machine& machine, const std::string& name, u64 hz, std::function<void()> zero)
    : machine_(machine), hz_(hz), zero_(std::move(zero)) {
  timer_ = machine.clock().add_timer(name, [this] {
    zero_();
    arm();
  });
}

u64 DownCounter::clocks() const {
  return static_cast<u64>(u128{machine_.clock().now()} * hz_ / (u128{kSecond} * divisor_));
}

VirtualNs DownCounter::time_of(u128 clocks) const {
  const u128 ns = (clocks * kSecond * divisor_ + hz_ - 1) / hz_;
  // A made-up state has an anchor beyond all time: then it never comes.
  return ns < kNever ? static_cast<VirtualNs>(ns) : kNever;
}

u32 DownCounter::value() const {
  if (!running_) return value_;
  const u64 elapsed = clocks() - anchor_;
  if (elapsed <= value_) return value_ - static_cast<u32>(elapsed);
  if (!repeats_) return 0;
  return reload_ - static_cast<u32>((elapsed - value_ - 1) % (u64{reload_} + 1));
}

void DownCounter::start(u32 value, u32 reload, bool repeats) {
  value_ = value;
  reload_ = reload;
  repeats_ = repeats;
  running_ = true;
  anchor_ = clocks();
  arm();
}

void DownCounter::stop(u32 value) {
  value_ = value;
  running_ = false;
  arm();
}

void DownCounter::divide(u32 divisor) {
  const u32 now = value();
  divisor_ = divisor;
  if (running_)
    start(now, reload_, repeats_);
  else
    value_ = now;
}

void DownCounter::arm() {
  VirtualNs when = kNever;
  const u64 elapsed = clocks() - anchor_, period = u64{reload_} + 1;
  if (running_ && (elapsed < value_ || (repeats_ && reload_ != 0))) {
    const u64 rounds = elapsed < value_ ? 0 : (elapsed - value_) / period + 1;
    when = time_of(u128{anchor_} + value_ + u128{rounds} * period);
  }
  machine_.clock().arm(timer_, when);
}

void DownCounter::state(Archive& ar) {
  ar.field("value", value_);
  ar.field("anchor", anchor_);
  ar.field("reload", reload_);
  ar.field("divisor", divisor_);
  ar.field("running", running_);
  ar.field("repeats", repeats_);
  divisor_ = std::max(divisor_, 1u);
}

}  // namespace hindcast::devices
