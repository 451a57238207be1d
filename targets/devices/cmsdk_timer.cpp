// The APB timer of Arm's Cortex-M System Design Kit (DDI 0479, section 4.1): a 32-bit counter that goes down,
// and begins again at its reload value.
#include <algorithm>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kControl = 0x00, kValue = 0x04, kReload = 0x08, kInterrupt = 0x0c, kIdentification = 0xfd0;
constexpr u32 kOn = 1, kInterruptOn = 8, kControlMask = 15;
constexpr u8 kIds[] = {0x04, 0, 0, 0, 0x22, 0xb8, 0x1b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
constexpr u64 kSecond = 1'000'000'000;

class CmsdkTimer final : public Device, public MmioHandler {
 public:
  CmsdkTimer(std::string name, Machine& machine, IrqLine irq, u64 hz)
      : Device(std::move(name)), machine_(machine), irq_(irq), hz_(hz) {
    timer_ = machine.clock().add_timer(this->name() + ".zero", [this] { fired(); });
  }

  void reset() override {
    control_ = reload_ = 0;
    pending_ = false;
    irq_.set(false);
    start_at(0);
  }
  void state(Archive& ar) override {
    ar.field("control", control_);
    ar.field("reload", reload_);
    ar.field("value", value_);
    ar.field("anchor", anchor_);
    ar.field("pending", pending_);
  }

  u64 mmio_read(u64 offset, unsigned size) override {
    u32 value = 0;
    switch (offset & ~u64{3}) {
      case kControl: value = control_; break;
      case kValue: value = counter(); break;
      case kReload: value = reload_; break;
      case kInterrupt: value = pending_ ? 1 : 0; break;
      default:
        if (offset >= kIdentification) value = kIds[std::min<u64>((offset - kIdentification) / 4, 11)];
    }
    return value >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 value = static_cast<u32>(value64), now = counter();
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
  bool on() const { return (control_ & kOn) != 0; }
  /// Clocks since the machine was switched on.
  u64 clocks() const { return static_cast<u64>(u128{machine_.clock().now()} * hz_ / kSecond); }
  u32 counter() const {
    if (!on()) return value_;
    const u64 elapsed = clocks() - anchor_;
    if (elapsed <= value_) return value_ - static_cast<u32>(elapsed);
    return reload_ - static_cast<u32>((elapsed - value_ - 1) % (u64{reload_} + 1));
  }
  void start_at(u32 value) {
    value_ = value;
    anchor_ = clocks();
    arm();
  }
  /// The next time that the counter comes to 0.
  void arm() {
    VirtualNs when = kNever;
    const u64 elapsed = clocks() - anchor_, period = u64{reload_} + 1;
    if (on() && (elapsed < value_ || reload_ != 0)) {
      const u64 rounds = elapsed < value_ ? 0 : (elapsed - value_) / period + 1;
      const u128 due = u128{anchor_} + value_ + u128{rounds} * period;
      when = static_cast<VirtualNs>((due * kSecond + hz_ - 1) / hz_);
    }
    machine_.clock().arm(timer_, when);
  }
  void fired() {
    if ((control_ & kInterruptOn) != 0) pending_ = true;
    irq_.set(pending_);
    arm();
  }

  Machine& machine_;
  IrqLine irq_;
  u64 hz_;
  VirtualClock::TimerId timer_;
  u32 control_ = 0, reload_ = 0, value_ = 0;
  u64 anchor_ = 0;
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
