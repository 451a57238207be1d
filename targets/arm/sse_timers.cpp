// Time of the SSE-300: a counter that all of the subsystem shares, and the timers that compare themselves
// with it (DDI 101370 of the SSE-123, which has the same blocks: "System counter", "System timer").
#include <algorithm>
#include <functional>
#include <vector>

#include "targets/arm/sse.h"
#include "targets/devices/component_id.h"
#include "targets/devices/word_registers.h"

namespace hindcast::arm {
namespace {

using devices::component_id;
using devices::DeviceSite;
using devices::NarrowWrites;
using devices::WordRegisters;

constexpr u64 kSecond = 1'000'000'000;
constexpr unsigned kScaleBits = 24;  // of the counter's fraction
constexpr const char* kCounter = "arm.sse-counter";

/// What registers of half a 64-bit value show, and how one is written.
u32 half_of(u64 value, bool high) { return static_cast<u32>(value >> (high ? 32 : 0)); }
u64 with_half(u64 value, bool high, u32 half) {
  return high ? u64{half} << 32 | static_cast<u32>(value) : (value >> 32 << 32) | half;
}

/// Counts its clock by a scale of 8.24 bits. Only changes of its registers are kept: the value follows from
/// time.
class Counter final : public Device, public WordRegisters {
 public:
  Counter(std::string name, Machine& machine, u64 hz)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Ignore),
        machine_(machine),
        hz_(hz),
        status_(*this) {}

  void reset() override {
    control_ = 0;
    scale_ = 1 << kScaleBits;
    value_ = 0;
    anchor_ = clocks();
    changed();
  }
  void state(Archive& ar) override {
    ar.field("control", control_);
    ar.field("scale", scale_);
    ar.field("value", value_);
    ar.field("anchor", anchor_);
  }

  MmioHandler* status_frame() { return &status_; }
  void on_change(std::function<void()> callback) { users_.push_back(std::move(callback)); }
  u64 value() const {
    if (!enabled()) return value_;
    return value_ + static_cast<u64>(u128{clocks() - anchor_} * scale() >> kScaleBits);
  }
  /// When it comes to `target`, counted from its last change on and round its end; kNever: it stands still,
  /// or virtual time ends before. Later than now.
  VirtualNs time_of(u64 target) const {
    if (!enabled() || scale() == 0) return kNever;
    const u128 steps = ((u128{target - value_} << kScaleBits) + scale() - 1) / scale();
    const u128 ns = ((steps + anchor_) * kSecond + hz_ - 1) / hz_;
    return ns < kNever ? std::max(static_cast<VirtualNs>(ns), machine_.clock().now() + 1) : kNever;
  }

  void write_word(u32 at, u32 value) override {
    const u64 now = this->value();
    switch (at) {
      case kControl: control_ = value & kControlMask; return restart(now);
      case kValueLow: return restart(with_half(now, false, value));
      case kValueHigh: return restart(with_half(now, true, value));
      // While it counts, its value is unknown afterwards: here it goes on from where it was.
      case kScale:
      case kScale0: scale_ = value; return restart(now);
      default: return;
    }
  }

 private:
  /// What the Non-secure state sees.
  class Status final : public WordRegisters {
   public:
    explicit Status(const Counter& counter) : counter_(counter) {}
    u32 read_word(u32 at) override {
      return at < 8 ? half_of(counter_.value(), at == 4) : component_id(at, 0x0bb, 0);
    }
    void write_word(u32, u32) override {}

   private:
    const Counter& counter_;
  };

  static constexpr u32 kControl = 0x00, kValueLow = 0x08, kValueHigh = 0x0c, kScale = 0x10, kFeatures = 0x1c,
                       kScale0 = 0xd0;
  static constexpr u32 kEnable = 1, kScaled = 1 << 2, kControlMask = 0x1f;
  static constexpr u32 kCanScale = 1, kFirstClock = 1 << 17;

  bool enabled() const { return (control_ & kEnable) != 0; }
  u32 scale() const { return (control_ & kScaled) != 0 ? scale_ : 1 << kScaleBits; }
  u64 clocks() const { return static_cast<u64>(u128{machine_.clock().now()} * hz_ / kSecond); }
  u32 read_word(u32 at) override {
    switch (at) {
      case kControl: return control_;
      case kValueLow:
      case kValueHigh: return half_of(value(), at == kValueHigh);
      case kFeatures: return kCanScale | kFirstClock;
      case kScale:
      case kScale0: return scale_;
      default: return component_id(at, 0x0ba, 0);
    }
  }
  void restart(u64 value) {
    value_ = value;
    anchor_ = clocks();
    changed();
  }
  void changed() {
    for (const auto& user : users_) user();
  }

  Machine& machine_;
  u64 hz_;
  Status status_;
  std::vector<std::function<void()>> users_;
  u32 control_ = 0, scale_ = 1 << kScaleBits;
  u64 value_ = 0, anchor_ = 0;  // the value that it had at that clock
};

/// Due when the counter has reached the compare value; or, incrementing by itself, each time that it has gone
/// on by the reload value.
class SystemTimer final : public Device, public WordRegisters {
 public:
  SystemTimer(std::string name, Machine& machine, Counter& counter, IrqLine irq)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Ignore),
        machine_(machine),
        counter_(counter),
        irq_(irq) {
    timer_ = machine.clock().add_timer(this->name() + ".due", [this] { fired(); });
    counter.on_change([this] { update(); });
  }

  void reset() override {
    frequency_ = control_ = increment_control_ = reload_ = 0;
    compare_ = next_ = 0;
    update();
  }
  void state(Archive& ar) override {
    ar.field("frequency", frequency_);
    ar.field("control", control_);
    ar.field("compare", compare_);
    ar.field("next", next_);
    ar.field("increment", increment_control_);
    ar.field("reload", reload_);
  }

  void write_word(u32 at, u32 value) override {
    const bool was_incrementing = enabled() && increments();
    switch (at) {
      case kFrequency: frequency_ = value; return;  // what software finds out, for software
      case kCompareLow: compare_ = with_half(compare_, false, value); break;
      case kCompareHigh: compare_ = with_half(compare_, true, value); break;
      case kTimer: compare_ = counter_.value() + static_cast<u64>(i64{static_cast<i32>(value)}); break;
      case kControl: control_ = value & (kEnable | kMasked); break;
      case kReload: reload_ = value; return;
      case kIncrement:  // a 1 leaves the interrupt as it is
        increment_control_ = (value & kIncrementOn) | (increment_control_ & value & kIncrementDue);
        break;
      default: return;
    }
    if (!was_incrementing && enabled() && increments()) next_ = counter_.value() + reload_;
    update();
  }

 private:
  static constexpr u32 kCountLow = 0x00, kCountHigh = 0x04, kFrequency = 0x10, kCompareLow = 0x20,
                       kCompareHigh = 0x24, kTimer = 0x28, kControl = 0x2c, kNextLow = 0x40, kNextHigh = 0x44,
                       kReload = 0x48, kIncrement = 0x4c, kFeatures = 0x50;
  static constexpr u32 kEnable = 1, kMasked = 2, kDue = 4;
  static constexpr u32 kIncrementOn = 1, kIncrementDue = 2;

  bool enabled() const { return (control_ & kEnable) != 0; }
  bool increments() const { return (increment_control_ & kIncrementOn) != 0; }
  bool due() const {
    if (!enabled()) return false;
    return increments() ? (increment_control_ & kIncrementDue) != 0 : counter_.value() >= compare_;
  }
  u32 read_word(u32 at) override {
    switch (at) {
      case kCountLow:
      case kCountHigh: return half_of(counter_.value(), at == kCountHigh);
      case kFrequency: return frequency_;
      case kCompareLow:
      case kCompareHigh: return half_of(compare_, at == kCompareHigh);
      case kTimer: return half_of(compare_ - counter_.value(), false);
      case kControl: return control_ | (due() ? kDue : 0);
      case kNextLow:
      case kNextHigh: return half_of(next_, at == kNextHigh);
      case kReload: return reload_;
      case kIncrement: return increment_control_;
      case kFeatures: return 1;  // it increments by itself
      default: return component_id(at, 0x0b7, 0);
    }
  }
  void fired() {
    const u64 now = counter_.value();
    // How far it has gone is a difference: the counter may have come round.
    if (enabled() && increments() && static_cast<i64>(now - next_) >= 0) {
      increment_control_ |= kIncrementDue;
      next_ = now + std::max(reload_, u32{1});
    }
    update();
  }
  void update() {
    VirtualNs when = kNever;
    if (enabled() && increments())
      when = counter_.time_of(next_);
    else if (enabled() && !due())
      when = counter_.time_of(compare_);
    machine_.clock().arm(timer_, when);
    irq_.set(due() && (control_ & kMasked) == 0);
  }

  Machine& machine_;
  Counter& counter_;
  IrqLine irq_;
  VirtualClock::TimerId timer_;
  u32 frequency_ = 0, control_ = 0, increment_control_ = 0, reload_ = 0;
  u64 compare_ = 0, next_ = 0;
};

}  // namespace

IrqSink* build_sse_counter(const DeviceSite& site) {
  const loader::DtRange& status = site.reg(1, 0x1000);
  const u32 hz = site.clock_hz(32'000'000);
  auto& counter = devices::place<Counter>(site, 0x1000, site.machine, hz);
  site.machine.memory().add_device(site.name + ".status", status.base, status.size, counter.status_frame());
  site.machine.set_extension(kCounter, std::shared_ptr<void>(std::shared_ptr<void>(), &counter));
  return nullptr;
}

IrqSink* build_sse_timer(const DeviceSite& site) {
  auto* counter = site.machine.extension<Counter>(kCounter);
  if (counter == nullptr) site.fail("needs an arm,sse-counter before it in the tree");
  return devices::add<SystemTimer>(site, 0x1000, site.machine, *counter, site.irq());
}

}  // namespace hindcast::arm
