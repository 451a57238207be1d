#include "targets/devices/virtio/mmio.h"

namespace hindcast::devices::virtio {
namespace {

enum Register : u64 {
  kMagic = 0x000,
  kVersion = 0x004,
  kDeviceId = 0x008,
  kVendorId = 0x00c,
  kDeviceFeatures = 0x010,
  kDeviceFeaturesHalf = 0x014,
  kDriverFeatures = 0x020,
  kDriverFeaturesHalf = 0x024,
  kQueueSelect = 0x030,
  kQueueSizeMax = 0x034,
  kQueueSize = 0x038,
  kQueueReady = 0x044,
  kQueueNotify = 0x050,
  kInterruptStatus = 0x060,
  kInterruptAcknowledge = 0x064,
  kStatus = 0x070,
  kQueueDescriptors = 0x080,  // low half; the high one follows, for the next two as well
  kQueueDriver = 0x090,
  kQueueDevice = 0x0a0,
  kSharedMemory = 0x0b0,  // length and base of a region that is selected; there are none
  kSharedMemoryEnd = 0x0c0,
  kConfigGeneration = 0x0fc,
  kConfig = 0x100,
};

constexpr u32 kMagicValue = 0x74726976;   // "virt"
constexpr u32 kVendorValue = 0x554d4551;  // what software for this board looks for
constexpr u32 kModern = 2;
constexpr u32 kQueueInterrupt = 1, kConfigInterrupt = 2;

constexpr u64 high_half(u64 value, u32 half) { return (value & 0xffffffff) | u64{half} << 32; }
constexpr u64 low_half(u64 value, u32 half) { return (value & ~u64{0xffffffff}) | half; }
u32 half_of(u64 value, u32 half) { return half > 1 ? 0 : static_cast<u32>(value >> (32 * half)); }

}  // namespace

MmioTransport::MmioTransport(std::string name, VirtioDevice* device, IrqLine irq)
    : Device(std::move(name)), device_(device), irq_(irq) {
  if (device_ != nullptr) device_->connect(this);
}

void MmioTransport::reset() {
  device_feature_half_ = driver_feature_half_ = queue_ = interrupts_ = 0;
  irq_.set(false);
}

void MmioTransport::state(Archive& ar) {
  ar.field("device_feature_half", device_feature_half_);
  ar.field("driver_feature_half", driver_feature_half_);
  ar.field("queue", queue_);
  ar.field("interrupts", interrupts_);
}

Queue* MmioTransport::selected() const {
  return queue_ < device_->queue_count() ? &device_->queue(queue_) : nullptr;
}

void MmioTransport::raise(u32 bit) {
  interrupts_ |= bit;
  irq_.set(true);
}

void MmioTransport::queue_interrupt(unsigned) { raise(kQueueInterrupt); }
void MmioTransport::config_interrupt() { raise(kConfigInterrupt); }

u32 MmioTransport::read_register(u64 offset) const {
  switch (offset) {
    case kMagic: return kMagicValue;
    case kVersion: return kModern;
    case kDeviceId: return device_ == nullptr ? 0 : static_cast<u32>(device_->type());
    case kVendorId: return device_ == nullptr ? 0 : kVendorValue;
    default: break;
  }
  if (device_ == nullptr) return 0;
  const Queue* queue = selected();
  switch (offset) {
    case kDeviceFeatures: return half_of(device_->offered_features(), device_feature_half_);
    case kQueueSizeMax: return queue == nullptr ? 0 : queue->max_size();
    case kQueueReady: return queue != nullptr && queue->ready() ? 1 : 0;
    case kInterruptStatus: return interrupts_;
    case kStatus: return device_->status();
    case kConfigGeneration: return device_->config_generation();
    default: break;
  }
  // A region of shared memory that does not exist has all ones for its length and base.
  return offset >= kSharedMemory && offset < kSharedMemoryEnd ? ~u32{0} : 0;
}

u64 MmioTransport::mmio_read(u64 offset, unsigned size) {
  if (offset >= kConfig) {
    if (device_ == nullptr) return 0;
    if (size < 8) return device_->read_config(offset - kConfig, size);
    return device_->read_config(offset - kConfig, 4) | u64{device_->read_config(offset - kConfig + 4, 4)}
                                                           << 32;
  }
  return size == 4 ? read_register(offset) : 0;  // words only
}

void MmioTransport::mmio_write(u64 offset, unsigned size, u64 value) {
  if (device_ == nullptr) return;
  if (offset >= kConfig) {
    device_->write_config(offset - kConfig, size < 8 ? size : 4, static_cast<u32>(value));
    if (size == 8) device_->write_config(offset - kConfig + 4, 4, static_cast<u32>(value >> 32));
  } else if (size == 4) {
    write_register(offset, static_cast<u32>(value));
  }
}

void MmioTransport::write_register(u64 offset, u32 value) {
  switch (offset) {
    case kDeviceFeaturesHalf: device_feature_half_ = value; break;
    case kDriverFeaturesHalf: driver_feature_half_ = value; break;
    case kDriverFeatures: {
      const u64 features = device_->driver_features();
      if (driver_feature_half_ > 1) break;
      device_->set_driver_features(driver_feature_half_ == 0 ? low_half(features, value)
                                                             : high_half(features, value));
      break;
    }
    case kQueueSelect: queue_ = value; break;
    case kQueueNotify: device_->notify(value); break;
    case kInterruptAcknowledge:
      interrupts_ &= ~value;
      irq_.set(interrupts_ != 0);
      break;
    case kStatus:
      device_->set_status(static_cast<u8>(value));
      if ((value & 0xff) == 0) reset();
      break;
    default: write_queue(offset, value); break;
  }
}

void MmioTransport::write_queue(u64 offset, u32 value) {
  Queue* queue = selected();
  if (queue == nullptr) return;
  if (offset == kQueueSize) queue->set_size(value);
  if (offset == kQueueReady) queue->set_ready((value & 1) != 0);
  for (auto [at, part] : {std::pair{kQueueDescriptors, Queue::Part::Descriptors},
                          {kQueueDriver, Queue::Part::Driver},
                          {kQueueDevice, Queue::Part::Device}}) {
    if (offset == at) queue->set_address(part, low_half(queue->address(part), value));
    if (offset == at + 4) queue->set_address(part, high_half(queue->address(part), value));
  }
}

}  // namespace hindcast::devices::virtio
