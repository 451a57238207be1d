// The general-purpose timers of the STM32 F2 and F4 (RM0090, chapter 18): counting up to the reload value,
// with the update event and its interrupt. Channels can be set up and read back; nothing is connected to
// them.
#include <array>

#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kControl1 = 0x00, kInterruptEnable = 0x0c, kStatus = 0x10, kEvent = 0x14, kCount = 0x24,
              kPrescaler = 0x28, kReload = 0x2c, kEnd = 0x54;
constexpr u32 kEnable = 1, kNoUpdates = 2, kOverflowOnly = 4, kOnePulse = 8, kUpdate = 1;
// In SR, DIER and EGR alike: update, four channels, trigger. DIER has requests for DMA too, SR what channels
// missed.
constexpr u32 kCauses = 0x5f, kRequests = 0x5f00, kMissed = 0x1e00;

class Stm32Timer final : public Device, public WordRegisters {
 public:
  Stm32Timer(std::string name, Machine& machine, IrqLine irq, u64 hz, u32 most)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Repeat),
        irq_(irq),
        most_(most),
        counter_(machine, this->name() + ".update", hz, [this] { update_event(true); }) {}

  void reset() override {
    registers_ = {};
    reload_ = most_;
    counter_.divide(1);
    counter_.stop(reload_);
    irq_.set(false);
  }
  void state(Archive& ar) override {
    for (u32& r : registers_) ar.field("register", r);
    ar.field("reload", reload_);
    counter_.state(ar);
  }

  u32 read_word(u32 at) override {
    u32 value = 0;
    if (at == kCount) {
      value = reload_ - std::min(counter_.value(), reload_);
    } else if (at == kReload) {
      value = reload_;
    } else if (at < kEnd && at != kEvent) {
      value = registers_[at / 4];
    }
    return value;
  }

  void write_word(u32 at, u32 value) override {
    if (at >= kEnd) return;
    const u32 count = reload_ - std::min(counter_.value(), reload_);
    switch (at) {
      case kControl1:
        registers_[0] = value & 0x3ff;
        go_on(count);
        break;
      case kStatus: registers_[kStatus / 4] &= value & (kCauses | kMissed); break;  // 0 clears
      case kEvent:
        registers_[kStatus / 4] |= value & kCauses & ~kUpdate;
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
        go_on(std::min(count, reload_));
        break;
      case kPrescaler:  // taken over by the next update; at once where the timer stands
        registers_[kPrescaler / 4] = value & 0xffff;
        if ((registers_[0] & kEnable) == 0) counter_.divide((value & 0xffff) + 1);
        break;
      default: registers_[at / 4] = value; break;
    }
    settle();
  }

 private:
  void go_on(u32 count) {
    const u32 left = reload_ - std::min(count, reload_);
    if ((registers_[0] & kEnable) != 0)
      counter_.start(left, reload_, true);
    else
      counter_.stop(left);
  }
  /// `overflow`: the counter came to its end; else the guest asked for the event.
  void update_event(bool overflow) {
    if ((registers_[0] & kNoUpdates) == 0) {
      if (overflow || (registers_[0] & kOverflowOnly) == 0) registers_[kStatus / 4] |= kUpdate;
      if ((registers_[0] & kOnePulse) != 0) {
        registers_[0] &= ~kEnable;
        go_on(0);
      }
    }
    settle();
  }
  void settle() { irq_.set((registers_[kStatus / 4] & registers_[kInterruptEnable / 4] & kCauses) != 0); }

  IrqLine irq_;
  u32 most_;
  DownCounter counter_;
  std::array<u32, kEnd / 4> registers_{};
  u32 reload_ = 0;
};

}  // namespace

IrqSink* build_stm32_timer(const DeviceSite& site) {
  const u32 hz = site.clock_hz(84'000'000);
  const u32 most = site.cell("hindcast,counter-bits", 16) >= 32 ? ~u32{0} : 0xffff;
  return add<Stm32Timer>(site, kEnd, site.machine, site.irq(), hz, most);
}

}  // namespace hindcast::devices
