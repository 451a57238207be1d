// The timers of the STM32 F2 and F4 (RM0090, chapters 17 to 20): counting up to the reload value, with the
// update event; output compare, with its flags and interrupts. Nothing is connected to the channels' pins.
#include <algorithm>
#include <array>
#include <optional>

#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kControl1 = 0x00, kInterruptEnable = 0x0c, kStatus = 0x10, kEvent = 0x14, kMode1 = 0x18,
              kMode2 = 0x1c, kCount = 0x24, kPrescaler = 0x28, kReload = 0x2c, kCompare1 = 0x34,
              kCompare4 = 0x40, kEnd = 0x54;
constexpr u32 kEnable = 1, kNoUpdates = 2, kOverflowOnly = 4, kOnePulse = 8, kUpdate = 1;
// In SR, DIER and EGR alike: update, four channels, trigger. DIER has requests for DMA too, SR what channels
// missed.
constexpr u32 kCauses = 0x5f, kRequests = 0x5f00, kMissed = 0x1e00, kChannelCauses = 0x1e;
constexpr unsigned kMostChannels = 4;

class Stm32Timer final : public Device, public WordRegisters {
 public:
  struct Lines {
    IrqLine update, channels;
    bool shared = true;  // one line for both
  };
  struct Kind {
    u64 hz;
    u32 most;  // what the counter can hold
    unsigned channels;
  };
  Stm32Timer(std::string name, Machine& machine, Lines lines, const Kind& kind)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Repeat),
        machine_(machine),
        lines_(lines),
        most_(kind.most),
        channels_(kind.channels),
        counter_(machine, this->name() + ".update", kind.hz, [this] { update_event(true); }),
        match_(machine.clock().add_timer(this->name() + ".compare", [this] {
          note_matches();
          settle();
        })) {}

  void reset() override {
    registers_ = {};
    compares_ = {};
    reload_ = most_;
    counter_.divide(1);
    counter_.stop(reload_);
    settle();
  }
  void state(Archive& ar) override {
    for (u32& r : registers_) ar.field("register", r);
    ar.field("reload", reload_);
    ar.field("compares", compares_);
    ar.field("seen_clocks", seen_clocks_);
    ar.field("seen_count", seen_count_);
    counter_.state(ar);
  }

  u32 read_word(u32 at) override {
    if (at >= kEnd || at == kEvent) return 0;
    if (at == kCount) return count();
    if (at == kReload) return reload_;
    if (at == kStatus) {
      note_matches();
      settle();
    }
    return registers_[at / 4];
  }

  void write_word(u32 at, u32 value) override {
    if (at >= kEnd) return;
    note_matches();
    const u32 now = count();
    switch (at) {
      case kControl1:
        registers_[0] = value & 0x3ff;
        go_on(now);
        break;
      case kStatus: registers_[kStatus / 4] &= value & (kCauses | kMissed); break;  // 0 clears
      case kEvent:
        registers_[kStatus / 4] |= value & causes() & ~kUpdate;
        if ((value & kUpdate) != 0) {
          counter_.divide((registers_[kPrescaler / 4] & 0xffff) + 1);
          go_on(0);
          update_event(false);
        }
        break;
      case kInterruptEnable: registers_[kInterruptEnable / 4] = value & (kCauses | kRequests); break;
      case kCount: go_on(value & most_); break;
      case kReload:
        reload_ = value & most_;
        go_on(std::min(now, reload_));
        break;
      case kPrescaler:  // taken over by the next update; at once where the timer stands
        registers_[kPrescaler / 4] = value & 0xffff;
        if ((registers_[0] & kEnable) == 0) counter_.divide((value & 0xffff) + 1);
        break;
      default:
        registers_[at / 4] = value;
        if (at < kCompare1 || at > kCompare4) break;
        registers_[at / 4] &= most_;
        if (const unsigned n = (at - kCompare1) / 4; (mode(n) & kPreload) == 0) compares_[n] = value & most_;
    }
    settle();
  }

 private:
  static constexpr u32 kInput = 3, kPreload = 8;  // of a channel's eight bits in CCMR
  u32 mode(unsigned channel) const {
    return registers_[(channel < 2 ? kMode1 : kMode2) / 4] >> 8 * (channel % 2) & 0xff;
  }
  u32 causes() const { return kUpdate | 0x40u | (((1u << channels_) - 1) << 1); }
  u32 count() const { return reload_ - std::min(counter_.value(), reload_); }
  void go_on(u32 count) {
    const u32 left = reload_ - std::min(count, reload_);
    if ((registers_[0] & kEnable) != 0)
      counter_.start(left, reload_, true);
    else
      counter_.stop(left);
  }
  /// Clocks until a channel's flag rises, from the counter's value at the last look. What is beyond the
  /// reload value rises as the counter overflows. A channel that captures waits for a pin.
  std::optional<u64> until_match(unsigned channel) const {
    if ((registers_[0] & kEnable) == 0 || (mode(channel) & kInput) != 0) return std::nullopt;
    const u64 period = u64{reload_} + 1, at = std::min(compares_[channel], reload_);
    const u64 from = std::min(seen_count_, reload_);
    return (at + period - from - 1) % period + 1;
  }
  /// Flags of the matches since the last look.
  void note_matches() {
    const u64 passed = counter_.clocks() - seen_clocks_;
    for (unsigned n = 0; n < channels_; ++n)
      if (const auto wait = until_match(n); wait && *wait <= passed) registers_[kStatus / 4] |= 2u << n;
    look();
  }
  void look() {
    seen_clocks_ = counter_.clocks();
    seen_count_ = count();
  }
  /// `overflow`: the counter came to its end; else the guest asked for the event.
  void update_event(bool overflow) {
    if (overflow) note_matches();
    if ((registers_[0] & kNoUpdates) == 0) {
      if (overflow || (registers_[0] & kOverflowOnly) == 0) registers_[kStatus / 4] |= kUpdate;
      for (unsigned n = 0; n < channels_; ++n) compares_[n] = registers_[kCompare1 / 4 + n];
      if ((registers_[0] & kOnePulse) != 0) {
        registers_[0] &= ~kEnable;
        go_on(0);
      }
    }
    settle();
  }
  /// Lines, and when the next match interrupts: others are seen when somebody looks.
  void settle() {
    look();
    const u32 wanted = registers_[kInterruptEnable / 4], pending = registers_[kStatus / 4] & wanted;
    const u32 for_update = lines_.shared ? kCauses : kCauses & ~kChannelCauses;
    lines_.update.set((pending & for_update) != 0);
    if (!lines_.shared) lines_.channels.set((pending & kChannelCauses) != 0);
    VirtualNs when = kNever;
    for (unsigned n = 0; n < channels_; ++n)
      if ((wanted & ~registers_[kStatus / 4] & 2u << n) != 0)
        if (const auto wait = until_match(n))
          when = std::min(when, counter_.time_of(u128{seen_clocks_} + *wait));
    machine_.clock().arm(match_, when);
  }

  Machine& machine_;
  Lines lines_;
  u32 most_;
  unsigned channels_;
  DownCounter counter_;
  VirtualClock::TimerId match_;
  std::array<u32, kEnd / 4> registers_{};
  std::array<u32, kMostChannels>
      compares_{};  // what is compared: CCR, or with preload that of the last update
  u32 reload_ = 0;
  u64 seen_clocks_ = 0;  // at the last look
  u32 seen_count_ = 0;
};

}  // namespace

IrqSink* build_stm32_timer(const DeviceSite& site) {
  const u32 hz = site.clock_hz(84'000'000);
  const u32 most = site.cell("hindcast,counter-bits", 16) >= 32 ? ~u32{0} : 0xffff;
  const u32 channels = std::min<u32>(site.cell("hindcast,channels", kMostChannels), kMostChannels);
  // Timers with more than one line name them: "up", "cc" and others.
  Stm32Timer::Lines lines{site.irq(), {}};
  const std::vector<std::string> names = site.node.strings("interrupt-names");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "up") lines.update = site.irq(i);
    if (names[i] != "cc") continue;
    lines.channels = site.irq(i);
    lines.shared = false;
  }
  return add<Stm32Timer>(site, kEnd, site.machine, lines, Stm32Timer::Kind{hz, most, channels});
}

}  // namespace hindcast::devices
