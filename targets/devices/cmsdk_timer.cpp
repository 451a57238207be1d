// The APB timer of Arm's Cortex-M System Design Kit (DDI 0479, section 4.1): a 32-bit counter that goes down,
// and begins again at its reload value.
#include "targets/devices/component_id.h"
#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kControl = 0x00, kValue = 0x04, kReload = 0x08, kInterrupt = 0x0c;
constexpr u16 kPart = 0x822;
constexpr u32 kOn = 1, kInterruptOn = 8, kControlMask = 15;

class CmsdkTimer final : public Device, public WordRegisters {
 public:
  CmsdkTimer(std::string name, Machine& machine, IrqLine irq, u64 hz)
      : Device(std::move(name)),
        irq_(irq),
        counter_(machine, this->name() + ".zero", hz, [this] { fired(); }) {}

  void reset() override {
    control_ = reload_ = 0;
    pending_ = false;
    irq_.set(false);
    start_at(0);
  }
  void state(Archive& ar) override {
    ar.field("control", control_);
    ar.field("reload", reload_);
    ar.field("pending", pending_);
    counter_.state(ar);
  }

  u32 read_word(u32 at) override {
    switch (at) {
      case kControl: return control_;
      case kValue: return counter_.value();
      case kReload: return reload_;
      case kInterrupt: return pending_ ? 1 : 0;
      default: return component_id(at, kPart);
    }
  }
  void write_word(u32 at, u32 value) override {
    const u32 now = counter_.value();
    switch (at) {
      case kControl:
        control_ = value & kControlMask;
        start_at(now);
        break;
      case kValue: start_at(value); break;
      case kReload:
        reload_ = value;
        start_at(value);  // QEMU's does too: software sets no value of its own
        break;
      case kInterrupt:
        if ((value & 1) != 0) pending_ = false;
        break;
      default: break;
    }
    irq_.set(pending_);
  }

 private:
  void start_at(u32 value) {
    if ((control_ & kOn) != 0)
      counter_.start(value, reload_, true);
    else
      counter_.stop(value);
  }
  void fired() {
    if ((control_ & kInterruptOn) != 0) pending_ = true;
    irq_.set(pending_);
  }

  IrqLine irq_;
  DownCounter counter_;
  u32 control_ = 0, reload_ = 0;
  bool pending_ = false;
};

}  // namespace

IrqSink* build_cmsdk_timer(const DeviceSite& site) {
  const u32 hz = site.clock_hz(25'000'000);
  return add<CmsdkTimer>(site, 0x10, site.machine, site.irq(), hz);
}

}  // namespace hindcast::devices
