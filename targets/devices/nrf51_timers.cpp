// The nRF51's TIMER and RTC ("nRF51 Series Reference Manual" 3.0, chapters 18 and 19).
#include <algorithm>
#include <array>
#include <optional>

#include "targets/devices/model_registry.h"
#include "targets/devices/nrf51.h"

namespace hindcast::devices {
namespace {

constexpr unsigned kChannels = 4;
constexpr unsigned kCompareEvent = 16;
constexpr u64 kSecond = 1'000'000'000;

/// A counter that runs on virtual time and compares itself with four values.
class NrfCounter : public NrfPeripheral {
 public:
  NrfCounter(std::string name, Machine& machine, IrqLine irq) : NrfPeripheral(std::move(name), machine, irq) {
    for (unsigned i = 0; i < kChannels; ++i)
      timers_[i] =
          machine.clock().add_timer(this->name() + ".compare" + std::to_string(i), [this] { matched(); });
  }
  void reset() override {
    NrfPeripheral::reset();
    running_ = false;
    base_ = anchor_ = seen_ = 0;
    arm();
  }
  void state(Archive& ar) override {
    NrfPeripheral::state(ar);
    ar.field("running", running_);
    ar.field("base", base_);
    ar.field("anchor", anchor_);
    ar.field("seen", seen_);
  }

 protected:
  static constexpr u32 kCompare = 0x540;
  virtual u64 divisor() const = 0;  // of the source's frequency
  virtual u64 source_hz() const = 0;
  virtual unsigned bits() const = 0;
  virtual void compared(unsigned channel) = 0;

  u64 mask() const { return (u64{1} << bits()) - 1; }
  /// Counter ticks since the machine was switched on; of a match, those when it was due.
  u64 ticks() const {
    if (at_) return *at_;
    return static_cast<u64>(u128{machine_.clock().now()} * source_hz() / kSecond / divisor());
  }
  u64 counter() const { return (running_ ? base_ + (ticks() - anchor_) : base_) & mask(); }
  void set_counter(u64 value) {
    base_ = value & mask();
    anchor_ = seen_ = ticks();
    arm();
  }
  void run(bool on) {
    base_ = counter();
    anchor_ = seen_ = ticks();
    running_ = on;
    arm();
  }
  bool running() const { return running_; }

  /// Each compare's next match, strictly later than what has been seen.
  void arm() {
    for (unsigned i = 0; i < kChannels; ++i) {
      VirtualNs when = kNever;
      if (running_) {
        const u128 due = (u128{seen_} + distance(i)) * divisor() * kSecond;
        when = static_cast<VirtualNs>((due + source_hz() - 1) / source_hz());
      }
      machine_.clock().arm(timers_[i], when);
    }
  }

 private:
  /// An instruction may take longer than a period: more matches than this are not told apart.
  static constexpr unsigned kAtOnce = 64;

  /// From what has been seen to a compare's next match, in ticks.
  u64 distance(unsigned channel) const {
    const u64 to = (stored(kCompare + 4 * channel) - (base_ + (seen_ - anchor_))) & mask();
    return to != 0 ? to : mask() + 1;
  }
  /// The counter has reached a compare's value, which others may have too, or has passed it within one
  /// instruction: what was due is done in its order, each as of its tick.
  void matched() {
    const u64 now = ticks();
    for (unsigned n = 0; running_ && n < kAtOnce; ++n) {
      std::array<u64, kChannels> to;
      for (unsigned i = 0; i < kChannels; ++i) to[i] = distance(i);
      const u64 next = *std::min_element(to.begin(), to.end());
      if (next > now - seen_) break;
      at_ = seen_ += next;
      for (unsigned i = 0; i < kChannels; ++i)
        if (to[i] == next) compared(i);
    }
    at_.reset();
    seen_ = now;
    arm();
  }

  std::array<VirtualClock::TimerId, kChannels> timers_{};
  bool running_ = false;
  u64 base_ = 0, anchor_ = 0;  // the counter's value at a time in ticks
  u64 seen_ = 0;               // the tick up to which matches are done
  std::optional<u64> at_;      // the tick of the match that is being done
};

class NrfTimer final : public NrfCounter {
 public:
  using NrfCounter::NrfCounter;

 private:
  static constexpr u32 kMode = 0x504, kBitMode = 0x508, kPrescaler = 0x510;
  u64 source_hz() const override { return 16'000'000; }
  u64 divisor() const override { return u64{1} << std::min<u32>(stored(kPrescaler) & 15, 9); }
  unsigned bits() const override {
    constexpr unsigned kBits[] = {16, 8, 24, 32};
    return kBits[stored(kBitMode) & 3];
  }
  bool counts_tasks() const { return (stored(kMode) & 1) != 0; }
  void compared(unsigned channel) override {
    event(kCompareEvent + channel);
    if (shortcut(channel)) set_counter(0);
    if (shortcut(8 + channel)) run(false);
  }
  void task(u32 offset) override {
    switch (offset) {
      case 0x00: started_ = true; break;
      case 0x04:
      case 0x10: started_ = false; break;
      case 0x08:
        if (!counts_tasks() || !started_) break;
        set_counter(counter() + 1);
        for (unsigned i = 0; i < kChannels; ++i)
          if ((stored(kCompare + 4 * i) & mask()) == counter()) compared(i);
        break;
      case 0x0c: set_counter(0); break;
      default:
        if (offset >= 0x40 && offset < 0x40 + 4 * kChannels)
          stored(kCompare + offset - 0x40) = static_cast<u32>(counter());
    }
    if (running() != (started_ && !counts_tasks())) run(started_ && !counts_tasks());
  }
  void write_register(u32 offset, u32 value) override {
    const u64 now = counter();
    NrfCounter::write_register(offset, value);
    set_counter(now);  // prescaler, width or a compare may have changed
  }
  void reset() override {
    started_ = false;
    NrfCounter::reset();
  }
  void state(Archive& ar) override {
    NrfCounter::state(ar);
    ar.field("started", started_);
  }
  bool started_ = false;
};

class NrfRtc final : public NrfCounter {
 public:
  NrfRtc(std::string name, Machine& machine, IrqLine irq) : NrfCounter(std::move(name), machine, irq) {
    tick_ = machine.clock().add_timer(this->name() + ".tick", [this] {
      event(0);
      arm_tick();
    });
    overflow_ = machine.clock().add_timer(this->name() + ".overflow", [this] {
      event(1);
      arm_tick();
    });
  }
  void reset() override {
    event_enable_ = 0;
    NrfCounter::reset();
    arm_tick();
  }
  void state(Archive& ar) override {
    NrfCounter::state(ar);
    ar.field("event_enable", event_enable_);
  }

 private:
  static constexpr u32 kPrescaler = 0x508, kCounter = 0x504;
  u64 source_hz() const override { return 32'768; }
  u64 divisor() const override { return u64{stored(kPrescaler) & 0xfff} + 1; }
  unsigned bits() const override { return 24; }
  void compared(unsigned channel) override { event(kCompareEvent + channel); }
  void task(u32 offset) override {
    switch (offset) {
      case 0x00: run(true); break;
      case 0x04: run(false); break;
      case 0x08: set_counter(0); break;
      case 0x0c: set_counter(0xfffff0); break;
      default: break;
    }
    arm_tick();
  }
  u32 read_register(u32 offset) override {
    if (offset == kCounter) return static_cast<u32>(counter());
    if (offset == 0x340 || offset == 0x344 || offset == 0x348) return event_enable_;
    return NrfCounter::read_register(offset);
  }
  void interrupts_changed() override { arm_tick(); }
  void write_register(u32 offset, u32 value) override {
    if (offset == kCounter) return;
    if (offset == 0x340) event_enable_ = value;
    if (offset == 0x344) event_enable_ |= value;
    if (offset == 0x348) event_enable_ &= ~value;
    const u64 now = counter();
    NrfCounter::write_register(offset, value);
    set_counter(now);
    arm_tick();
  }
  /// A tick's event is generated only while somebody is told of it: nobody polls it.
  void arm_tick() {
    VirtualNs tick = kNever, overflow = kNever;
    const auto time_of = [&](u64 t) {
      return static_cast<VirtualNs>((u128{t} * divisor() * kSecond + source_hz() - 1) / source_hz());
    };
    if (running()) {
      if ((event_enable_ & 1) != 0 || (interrupts_enabled() & 1) != 0) tick = time_of(ticks() + 1);
      overflow = time_of(ticks() + (mask() + 1 - counter()));
    }
    machine_.clock().arm(tick_, tick);
    machine_.clock().arm(overflow_, overflow);
  }
  VirtualClock::TimerId tick_, overflow_;
  u32 event_enable_ = 0;
};

}  // namespace

IrqSink* build_nrf_timer(const DeviceSite& site) { return add_nrf<NrfTimer>(site, site.irq()); }
IrqSink* build_nrf_rtc(const DeviceSite& site) { return add_nrf<NrfRtc>(site, site.irq()); }

}  // namespace hindcast::devices
