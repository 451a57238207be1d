#include "targets/devices/goldfish_rtc.h"

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

enum Register : u64 {
  kTimeLow = 0x00,
  kTimeHigh = 0x04,
  kAlarmLow = 0x08,
  kAlarmHigh = 0x0c,
  kIrqEnabled = 0x10,
  kClearAlarm = 0x14,
  kAlarmStatus = 0x18,
  kClearInterrupt = 0x1c,
};

u64 with_low(u64 value, u32 low) { return (value & ~u64{0xffffffff}) | low; }
u64 with_high(u64 value, u32 high) { return (value & 0xffffffff) | u64{high} << 32; }

}  // namespace

GoldfishRtc::GoldfishRtc(std::string name, Machine& machine, Channel channel, IrqLine irq)
    : Device(std::move(name)), machine_(machine), channel_(channel), irq_(irq) {
  alarm_timer_ = machine_.clock().add_timer(this->name() + ".alarm", [this] { arm_alarm(); });
}

void GoldfishRtc::reset() {
  // The clock goes on counting, as one with a battery does; the alarm is forgotten.
  latched_high_ = 0;
  alarm_ = 0;
  alarm_running_ = irq_pending_ = irq_enabled_ = false;
  machine_.clock().arm(alarm_timer_, kNever);
  update_irq();
}

void GoldfishRtc::state(Archive& ar) {
  ar.field("started", started_);
  ar.field("offset", offset_);
  ar.field("latched_high", latched_high_);
  ar.field("alarm", alarm_);
  ar.field("alarm_running", alarm_running_);
  ar.field("irq_pending", irq_pending_);
  ar.field("irq_enabled", irq_enabled_);
}

u64 GoldfishRtc::time() {
  if (!started_) {
    Bytes reply = machine_.port().answer(InputKind::RealTime, channel_, {});
    // Nothing may be thrown from here: translated code is below. A reply that is too short is a clock that
    // lost its time.
    u64 now = 0;
    for (std::size_t i = 0; i < 8 && i < reply.size(); ++i) now |= u64{reply[i]} << (8 * i);
    offset_ = now - machine_.clock().now();
    started_ = true;
  }
  return machine_.clock().now() + offset_;
}

void GoldfishRtc::set_time(u64 time) {
  offset_ = time - machine_.clock().now();
  if (alarm_running_) arm_alarm();
}

/// Fires the alarm if its time has come, else waits for it.
void GoldfishRtc::arm_alarm() {
  u64 now = time();
  VirtualNs when = kNever;
  if (alarm_ <= now) {
    alarm_running_ = false;
    irq_pending_ = true;
  } else {
    alarm_running_ = true;
    if (alarm_ - now < kNever - machine_.clock().now()) when = machine_.clock().now() + (alarm_ - now);
  }
  machine_.clock().arm(alarm_timer_, when);
  update_irq();
}

void GoldfishRtc::update_irq() { irq_.set(irq_pending_ && irq_enabled_); }

u64 GoldfishRtc::mmio_read(u64 offset, unsigned size) {
  if (size < 4) return 0;  // words only
  switch (offset) {
    case kTimeLow: {
      u64 now = time();
      latched_high_ = static_cast<u32>(now >> 32);
      return now & 0xffffffff;
    }
    case kTimeHigh: return latched_high_;
    case kAlarmLow: return alarm_ & 0xffffffff;
    case kAlarmHigh: return alarm_ >> 32;
    case kIrqEnabled: return irq_enabled_ ? 1 : 0;
    case kAlarmStatus: return alarm_running_ ? 1 : 0;
    default: return 0;
  }
}

void GoldfishRtc::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size < 4) return;
  const u32 word = static_cast<u32>(value);
  switch (offset) {
    case kTimeLow: set_time(with_low(time(), word)); break;
    case kTimeHigh: set_time(with_high(time(), word)); break;
    case kAlarmLow:
      alarm_ = with_low(alarm_, word);
      arm_alarm();  // the low half is written last and starts it
      break;
    case kAlarmHigh: alarm_ = with_high(alarm_, word); break;
    case kIrqEnabled:
      irq_enabled_ = (word & 1) != 0;
      update_irq();
      break;
    case kClearAlarm:
      alarm_running_ = false;
      machine_.clock().arm(alarm_timer_, kNever);
      break;
    case kClearInterrupt:
      irq_pending_ = false;
      update_irq();
      break;
    default: break;
  }
}

IrqSink* build_goldfish_rtc(const DeviceSite& site) {
  return add<GoldfishRtc>(site, GoldfishRtc::kSize, site.machine, site.channel, site.irq());
}

}  // namespace hindcast::devices
