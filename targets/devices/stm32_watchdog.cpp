// The independent watchdog of STM32 parts (RM0090, chapter 21): it counts down by a clock of its own and,
// once begun, resets the machine unless it is told in time that all is well.
#include "targets/devices/arm_peripherals.h"
#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/reset_control.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kKey = 0x00, kPrescaler = 0x04, kReload = 0x08, kEnd = 0x10;
constexpr u32 kUnlock = 0x5555, kFeed = 0xaaaa, kBegin = 0xcccc;
constexpr u64 kHz = 32'000;
constexpr u32 kMost = 0xfff;

class Stm32Watchdog final : public Device, public WordRegisters {
 public:
  Stm32Watchdog(std::string name, Machine& machine)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Repeat),
        counter_(machine, this->name() + ".zero", kHz,
                 [&machine] { request_reset(machine, ResetCause::SecureWatchdog); }) {}

  void reset() override {
    prescaler_ = 0;
    reload_ = kMost;
    unlocked_ = false;
    counter_.divide(4);
    counter_.stop(kMost + 1);
  }
  void state(Archive& ar) override {
    ar.field("prescaler", prescaler_);
    ar.field("reload", reload_);
    ar.field("unlocked", unlocked_);
    counter_.state(ar);
  }

 private:
  /// The reset comes a clock after 0.
  void feed() {
    if (counter_.running())
      counter_.start(reload_ + 1, 0, false);
    else
      counter_.stop(reload_ + 1);
  }
  u32 read_word(u32 at) override {
    switch (at) {
      case kPrescaler: return prescaler_;
      case kReload: return reload_;
      default: return 0;  // of the status too: new values are there at once
    }
  }
  void write_word(u32 at, u32 value) override {
    switch (at) {
      case kKey:
        value &= 0xffff;
        unlocked_ = value == kUnlock;
        if (value == kFeed) feed();
        // It begins with what was loaded before, the most after a reset.
        if (value == kBegin && !counter_.running()) counter_.start(counter_.value(), 0, false);
        break;
      case kPrescaler:
        if (!unlocked_) break;
        prescaler_ = value & 7;
        counter_.divide(4u << (prescaler_ < 6 ? prescaler_ : 6));
        break;
      case kReload:
        if (unlocked_) reload_ = value & kMost;
        break;
      default: break;
    }
  }

  DownCounter counter_;
  u32 prescaler_ = 0, reload_ = kMost;
  bool unlocked_ = false;
};

}  // namespace

IrqSink* build_stm32_watchdog(const DeviceSite& site) { return add<Stm32Watchdog>(site, kEnd, site.machine); }

}  // namespace hindcast::devices
