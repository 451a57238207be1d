// The APB timer of Arm's Cortex-M System Design Kit (DDI 0479, section 4.1): a 32-bit counter that goes down,
// and begins again at its reload value.
#include <algorithm>

#include "targets/devices/down_counter.h"
#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kControl = 0x00, kValue = 0x04, kReload = 0x08, kInterrupt = 0x0c, kIdentification = 0xfd0;
constexpr u32 kOn = 1, kInterruptOn = 8, kControlMask = 15;
constexpr u8 kIds[] = {0x04, 0, 0, 0, 0x22, 0xb8, 0x1b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

class CmsdkTimer final : public Device, public MmioHandler {
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

  u64 mmio_read(u64 offset, unsigned size) override {
    u32 value = 0;
    switch (offset & ~u64{3}) {
      case kControl: value = control_; break;
      case kValue: value = counter_.value(); break;
      case kReload: value = reload_; break;
      case kInterrupt: value = pending_ ? 1 : 0; break;
      default:
        if (offset >= kIdentification) value = kIds[std::min<u64>((offset - kIdentification) / 4, 11)];
    }
    return value >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 value = static_cast<u32>(value64), now = counter_.value();
    switch (offset & ~u64{3}) {
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
  const loader::DtRange& reg = site.reg(0, 0x10);
  const u32 hz = site.cell("clock-frequency", 25'000'000);
  if (hz == 0) site.fail("has a clock that stands still");
  auto& timer = site.machine.add_device<CmsdkTimer>(site.name, site.machine, site.irq(), hz);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &timer);
  return nullptr;
}

}  // namespace hindcast::devices
