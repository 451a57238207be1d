// Arm's watchdog (CMSDK, DDI 0479, section 4.3; the SP805, and the one of the Stellaris parts, are the same
// to software): the first time that the counter comes to 0 it interrupts, the second time it resets the
// machine.
#include <algorithm>

#include "targets/devices/down_counter.h"
#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kLoad = 0x00, kValue = 0x04, kControl = 0x08, kClear = 0x0c, kRaw = 0x10, kMasked = 0x14,
              kLock = 0xc00, kIdentification = 0xfd0;
constexpr u32 kInterrupt = 1, kReset = 2, kKey = 0x1acce551;
constexpr u8 kIds[] = {0x04, 0, 0, 0, 0x24, 0xb8, 0x1b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

class Watchdog final : public Device, public MmioHandler {
 public:
  Watchdog(std::string name, Machine& machine, IrqLine irq, u64 hz)
      : Device(std::move(name)),
        machine_(machine),
        irq_(irq),
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

  u64 mmio_read(u64 offset, unsigned size) override {
    u32 value = 0;
    const u32 at = static_cast<u32>(offset) & ~u32{3};
    switch (at) {
      case kLoad: value = load_; break;
      case kValue: value = counter_.value(); break;
      case kControl: value = control_; break;
      case kRaw: value = raw_ ? 1 : 0; break;
      case kMasked: value = raw_ && (control_ & kInterrupt) != 0 ? 1 : 0; break;
      case kLock: value = locked_ ? 1 : 0; break;
      default:
        if (at >= kIdentification) value = kIds[std::min<u32>((at - kIdentification) / 4, 11)];
    }
    return value >> (8 * (offset & 3)) & low_mask(size);
  }

  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 at = static_cast<u32>(offset) & ~u32{3}, value = static_cast<u32>(value64);
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
    if (raw_ && (control_ & kReset) != 0) machine_.request_reset();
    raw_ = true;
    update();
  }
  void update() { irq_.set(raw_ && (control_ & kInterrupt) != 0); }

  Machine& machine_;
  IrqLine irq_;
  DownCounter counter_;
  u32 load_ = ~u32{0}, control_ = 0;
  bool raw_ = false, locked_ = false;
};

}  // namespace

IrqSink* build_sp805(const DeviceSite& site) {
  const loader::DtRange& reg = site.reg(0, kLock + 4);
  const u32 hz = site.cell("clock-frequency", 25'000'000);
  if (hz == 0) site.fail("has a clock that stands still");
  auto& dog = site.machine.add_device<Watchdog>(site.name, site.machine, site.irq(), hz);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &dog);
  return nullptr;
}

}  // namespace hindcast::devices
