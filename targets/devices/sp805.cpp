// Arm's watchdog (CMSDK, DDI 0479, section 4.3; the SP805, and the one of the Stellaris parts, are the same
// to software): the first time that the counter comes to 0 it interrupts, the second time it resets the
// machine.
#include "targets/devices/component_id.h"
#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/reset_control.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kLoad = 0x00, kValue = 0x04, kControl = 0x08, kClear = 0x0c, kRaw = 0x10, kMasked = 0x14,
              kLock = 0xc00;
constexpr u32 kInterrupt = 1, kReset = 2, kKey = 0x1acce551;
constexpr u16 kPart = 0x824;

class Watchdog final : public Device, public WordRegisters {
 public:
  Watchdog(std::string name, Machine& machine, IrqLine irq, u64 hz, ResetCause cause)
      : Device(std::move(name)),
        machine_(machine),
        irq_(irq),
        cause_(cause),
        counter_(machine, this->name() + ".zero", hz, [this] { fired(); }) {}

  void reset() override {
    load_ = ~u32{0};
    control_ = 0;
    raw_ = locked_ = false;
    counter_.stop(load_);
    update();
  }
  void state(Archive& ar) override {
    ar.field("load", load_);
    ar.field("control", control_);
    ar.field("raw", raw_);
    ar.field("locked", locked_);
    counter_.state(ar);
  }

  u32 read_word(u32 at) override {
    switch (at) {
      case kLoad: return load_;
      case kValue: return counter_.value();
      case kControl: return control_;
      case kRaw: return raw_ ? 1 : 0;
      case kMasked: return raw_ && (control_ & kInterrupt) != 0 ? 1 : 0;
      case kLock: return locked_ ? 1 : 0;
      default: return component_id(at, kPart);
    }
  }

  void write_word(u32 at, u32 value) override {
    if (at == kLock) {
      locked_ = value != kKey;
      return;
    }
    if (locked_) return;
    switch (at) {
      case kLoad:
        load_ = value;
        if ((control_ & kInterrupt) != 0) counter_.start(load_, load_, true);
        break;
      case kControl: {
        const bool was_on = (control_ & kInterrupt) != 0;
        control_ = value & (kInterrupt | kReset);
        if ((control_ & kInterrupt) == 0)
          counter_.stop(counter_.value());
        else if (!was_on)
          counter_.start(load_, load_, true);
        break;
      }
      case kClear:
        raw_ = false;
        if ((control_ & kInterrupt) != 0) counter_.start(load_, load_, true);
        break;
      default: break;
    }
    update();
  }

 private:
  void fired() {
    if (raw_ && (control_ & kReset) != 0) request_reset(machine_, cause_);
    raw_ = true;
    update();
  }
  void update() { irq_.set(raw_ && (control_ & kInterrupt) != 0); }

  Machine& machine_;
  IrqLine irq_;
  ResetCause cause_;
  DownCounter counter_;
  u32 load_ = ~u32{0}, control_ = 0;
  bool raw_ = false, locked_ = false;
};

}  // namespace

IrqSink* build_sp805(const DeviceSite& site) {
  const u32 hz = site.clock_hz(25'000'000);
  const u32 cause = site.cell("hindcast,reset-cause", static_cast<u32>(ResetCause::SecureWatchdog));
  if (cause < static_cast<u32>(ResetCause::NonSecureWatchdog) ||
      cause > static_cast<u32>(ResetCause::SlowWatchdog))
    site.fail("has a hindcast,reset-cause that is no watchdog");
  return add<Watchdog>(site, kLock + 4, site.machine, site.irq(), hz, static_cast<ResetCause>(cause));
}

}  // namespace hindcast::devices
