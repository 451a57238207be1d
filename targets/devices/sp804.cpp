// Arm's dual timer (CMSDK, DDI 0479, section 4.2; the SP804 is the same to software).
#include <algorithm>

#include "targets/devices/component_id.h"
#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kLoad = 0x00, kValue = 0x04, kControl = 0x08, kClear = 0x0c, kRaw = 0x10, kMasked = 0x14,
              kBackgroundLoad = 0x18, kTimerSize = 0x20;
constexpr u16 kPart = 0x823;
constexpr u32 kOneShot = 1, kWide = 2, kInterrupt = 0x20, kPeriodic = 0x40, kEnable = 0x80,
              kControlMask = 0xef;
constexpr u32 kControlReset = kInterrupt;

class DualTimer final : public Device, public WordRegisters {
 public:
  DualTimer(std::string name, Machine& machine, IrqLine irq, u64 hz)
      : Device(std::move(name)),
        irq_(irq),
        timers_{{DownCounter(machine, this->name() + ".1", hz, [this] { fired(0); })},
                {DownCounter(machine, this->name() + ".2", hz, [this] { fired(1); })}} {}

  void reset() override {
    for (Timer& t : timers_) {
      t.control = kControlReset;
      t.load = 0;
      t.raw = false;
      t.counter.divide(1);
      t.counter.stop(~u32{0});
    }
    update();
  }
  void state(Archive& ar) override {
    for (Timer& t : timers_) {
      ar.field("control", t.control);
      ar.field("load", t.load);
      ar.field("raw", t.raw);
      t.counter.state(ar);
    }
  }

  u32 read_word(u32 at) override {
    if (at >= 2 * kTimerSize) return component_id(at, kPart);
    const Timer& t = timers_[at / kTimerSize];
    switch (at % kTimerSize) {
      case kLoad:
      case kBackgroundLoad: return t.load;
      case kValue: return t.counter.value();
      case kControl: return t.control;
      case kRaw: return t.raw ? 1 : 0;
      case kMasked: return t.raw && (t.control & kInterrupt) != 0 ? 1 : 0;
      default: return 0;
    }
  }

  void write_word(u32 at, u32 value) override {
    if (at >= 2 * kTimerSize) return;
    Timer& t = timers_[at / kTimerSize];
    switch (at % kTimerSize) {
      case kLoad:
        t.load = value;
        go_on(t, value);
        break;
      case kBackgroundLoad:
        t.load = value;
        go_on(t, t.counter.value());
        break;
      case kControl: {
        constexpr u32 kDivisors[] = {1, 16, 256, 256};
        t.control = value & kControlMask;
        t.counter.divide(kDivisors[value >> 2 & 3]);
        go_on(t, t.counter.value());
        break;
      }
      case kClear: t.raw = false; break;
      default: break;
    }
    update();
  }

 private:
  struct Timer {
    DownCounter counter;
    u32 control = kControlReset, load = 0;
    bool raw = false;
  };

  void go_on(Timer& t, u32 from) {
    const u32 most = (t.control & kWide) != 0 ? ~u32{0} : 0xffff;
    if ((t.control & kEnable) == 0) return t.counter.stop(from & most);
    const bool periodic = (t.control & kPeriodic) != 0;
    t.counter.start(from & most, periodic ? t.load & most : most, (t.control & kOneShot) == 0);
  }
  void fired(unsigned n) {
    timers_[n].raw = true;
    update();
  }
  void update() {
    const auto asks = [](const Timer& t) { return t.raw && (t.control & kInterrupt) != 0; };
    irq_.set(std::any_of(std::begin(timers_), std::end(timers_), asks));
  }

  IrqLine irq_;
  Timer timers_[2];
};

}  // namespace

IrqSink* build_sp804(const DeviceSite& site) {
  const u32 hz = site.clock_hz(25'000'000);
  return add<DualTimer>(site, 2 * kTimerSize, site.machine, site.irq(), hz);
}

}  // namespace hindcast::devices
