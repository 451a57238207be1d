#include "targets/devices/virtio/pci.h"

#include <algorithm>

namespace hindcast::devices::virtio {
namespace {

constexpr u16 kVendor = 0x1af4, kFirstDevice = 0x1040, kSubsystem = 0x1100;
constexpr u8 kModernRevision = 1;
constexpr u8 kVendorCapability = 9;
constexpr u16 kNoVector = 0xffff;
constexpr u8 kQueueInterrupt = 1, kConfigInterrupt = 2;

// Section 4.1.4: types of capabilities.
enum Structure : u8 { kCommonType = 1, kNotifyType = 2, kIsrType = 3, kConfigType = 4, kAccessType = 5 };

// Section 4.1.4.3: the common structure.
enum Common : u64 {
  kDeviceFeatureSelect = 0x00,
  kDeviceFeature = 0x04,
  kDriverFeatureSelect = 0x08,
  kDriverFeature = 0x0c,
  kConfigVector = 0x10,
  kNumQueues = 0x12,
  kStatus = 0x14,
  kGeneration = 0x15,
  kQueueSelect = 0x16,
  kQueueSize = 0x18,
  kQueueVector = 0x1a,
  kQueueEnable = 0x1c,
  kQueueNotifyOffset = 0x1e,
  kQueueDescriptors = 0x20,
  kQueueDriver = 0x28,
  kQueueDevice = 0x30,
  kCommonSize = 0x38,
};

// Section 4.1.4.9: within the access capability.
constexpr unsigned kAccessBar = 4, kAccessOffset = 8, kAccessSize = 12, kAccessData = 16;

u32 class_of(Type type) {
  switch (type) {
    case Type::Network: return 0x020000;
    case Type::Block: return 0x010000;
    case Type::Console: return 0x078000;
    case Type::Entropy: break;
  }
  return 0x00ff00;
}

pci::Function::Identity identity(Type type) {
  return {kVendor,        static_cast<u16>(kFirstDevice + static_cast<u32>(type)),
          class_of(type), kModernRevision,
          kVendor,        kSubsystem};
}

u32 half_of(u64 value, u32 half) { return half > 1 ? 0 : static_cast<u32>(value >> (32 * half)); }
u64 with_half(u64 value, unsigned half, u32 word) {
  const u64 mask = u64{0xffffffff} << (32 * half);
  return (value & ~mask) | u64{word} << (32 * half);
}

}  // namespace

PciTransport::PciTransport(std::string name, VirtioDevice& device, pci::Msix::Send send)
    : Device(std::move(name)),
      Function(identity(device.type())),
      device_(device),
      queue_vectors_(device.queue_count()) {
  device_.connect(this);
  add_bar(kBar, kBarSize, true);
  use_interrupt_pin();
  const u8 step[4] = {kNotifyStep};
  add_structure(kCommonType, kCommon, kPage, {});
  add_structure(kIsrType, kIsr, kPage, {});
  add_structure(kConfigType, kConfig, kPage, {});
  add_structure(kNotifyType, kNotify, kPage, step);
  const u8 data[4] = {};
  access_ = add_structure(kAccessType, 0, 0, data);
  make_writable(access_ + kAccessBar, 1);
  make_writable(access_ + kAccessOffset, kAccessData + 4 - kAccessOffset);
  // One for the configuration, and one for each queue.
  if (send) add_msix(kMsixBar, std::min(device.queue_count() + 1, pci::Msix::kMostVectors), std::move(send));
  forget_vectors();
}

void PciTransport::forget_vectors() {
  config_vector_ = kNoVector;
  std::fill(queue_vectors_.begin(), queue_vectors_.end(), kNoVector);
}

u16 PciTransport::legal_vector(u64 vector) {
  return msix() != nullptr && vector < msix()->vectors() ? static_cast<u16>(vector) : kNoVector;
}

unsigned PciTransport::add_structure(u8 type, u64 offset, u64 size, ByteView more) {
  Bytes bytes{static_cast<u8>(16 + more.size()), type, kBar, 0, 0, 0};
  for (u64 value : {offset, size})
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<u8>(value >> (8 * i)));
  bytes.insert(bytes.end(), more.begin(), more.end());
  return add_capability(kVendorCapability, bytes);
}

void PciTransport::reset() {
  device_feature_half_ = driver_feature_half_ = 0;
  queue_ = 0;
  isr_ = 0;
  forget_vectors();
  reset_function();
  device_.set_reach(false);
}

void PciTransport::state(Archive& ar) {
  function_state(ar);
  ar.field("device_feature_half", device_feature_half_);
  ar.field("driver_feature_half", driver_feature_half_);
  ar.field("queue", queue_);
  ar.field("isr", isr_);
  if (ar.loading()) device_.set_reach(bus_master());
  if (msix() == nullptr) return;
  ar.field("config_vector", config_vector_);
  config_vector_ = legal_vector(config_vector_);
  for (u16& vector : queue_vectors_) {
    ar.field("queue_vector", vector);
    vector = legal_vector(vector);
  }
}

Queue* PciTransport::selected() const {
  return queue_ < device_.queue_count() ? &device_.queue(queue_) : nullptr;
}

void PciTransport::raise(u8 bit) {
  isr_ |= bit;
  set_interrupt(true);
}

// Section 4.1.5.3 and 4.1.5.4: with MSI-X only a change of the configuration is told in the ISR status too.
void PciTransport::queue_interrupt(unsigned queue) {
  if (msix_enabled())
    msix()->raise(queue_vectors_[queue]);
  else
    raise(kQueueInterrupt);
}

void PciTransport::config_interrupt() {
  if (msix_enabled()) {
    isr_ |= kConfigInterrupt;
    msix()->raise(config_vector_);
  } else {
    raise(kConfigInterrupt);
  }
}

/// The field that begins at `offset`; its width is the caller's matter.
u64 PciTransport::common_read(u64 offset) const {
  const Queue* queue = selected();
  switch (offset) {
    case kDeviceFeatureSelect: return device_feature_half_;
    case kDeviceFeature: return half_of(device_.offered_features(), device_feature_half_);
    case kDriverFeatureSelect: return driver_feature_half_;
    case kDriverFeature: return half_of(device_.driver_features(), driver_feature_half_);
    case kConfigVector: return config_vector_;
    case kNumQueues: return device_.queue_count();
    case kStatus: return device_.status();
    case kGeneration: return device_.config_generation() & 0xff;
    case kQueueSelect: return queue_;
    case kQueueSize: return queue == nullptr ? 0 : queue->size();
    case kQueueVector: return queue == nullptr ? kNoVector : queue_vectors_[queue_];
    case kQueueEnable: return queue != nullptr && queue->ready() ? 1 : 0;
    case kQueueNotifyOffset: return queue_;
    default: break;
  }
  if (queue == nullptr || offset < kQueueDescriptors || offset >= kCommonSize) return 0;
  const u64 address = queue->address(static_cast<Queue::Part>((offset - kQueueDescriptors) / 8));
  return offset % 8 == 0 ? address : offset % 8 == 4 ? address >> 32 : 0;
}

void PciTransport::common_write(u64 offset, unsigned size, u64 value) {
  switch (offset) {
    case kDeviceFeatureSelect: device_feature_half_ = static_cast<u32>(value); break;
    case kDriverFeatureSelect: driver_feature_half_ = static_cast<u32>(value); break;
    case kDriverFeature:
      if (driver_feature_half_ <= 1)
        device_.set_driver_features(
            with_half(device_.driver_features(), driver_feature_half_, static_cast<u32>(value)));
      break;
    case kStatus:
      device_.set_status(static_cast<u8>(value));
      if ((value & 0xff) == 0) {
        isr_ = 0;
        queue_ = 0;
        forget_vectors();
        set_interrupt(false);
      }
      break;
    case kConfigVector: config_vector_ = legal_vector(value & 0xffff); break;
    case kQueueSelect: queue_ = static_cast<u16>(value); break;
    default: queue_write(offset, size, value); break;
  }
}

void PciTransport::queue_write(u64 offset, unsigned size, u64 value) {
  Queue* queue = selected();
  if (queue == nullptr) return;
  if (offset == kQueueSize) queue->set_size(static_cast<u16>(value));
  if (offset == kQueueVector) queue_vectors_[queue_] = legal_vector(value & 0xffff);
  if (offset == kQueueEnable && (value & 1) != 0) queue->set_ready(true);
  if (offset < kQueueDescriptors || offset >= kCommonSize || offset % 4 != 0 || size < 4) return;
  const auto part = static_cast<Queue::Part>((offset - kQueueDescriptors) / 8);
  const unsigned half = offset % 8 / 4;
  u64 address = with_half(queue->address(part), half, static_cast<u32>(value));
  if (size == 8 && half == 0) address = value;
  queue->set_address(part, address);
}

u64 PciTransport::bar_read(unsigned bar, u64 offset, unsigned size) {
  if (bar == kMsixBar && msix() != nullptr) return msix()->read(offset, size);
  if (bar != kBar) return 0;
  if (size == 8) return read_piece(offset, 4) | u64{read_piece(offset + 4, 4)} << 32;
  return read_piece(offset, size);
}

u32 PciTransport::read_piece(u64 offset, unsigned size) {
  const u32 mask = size == 4 ? ~u32{0} : (u32{1} << (8 * size)) - 1;
  if (offset >= kConfig && offset < kNotify) return device_.read_config(offset - kConfig, size);
  if (offset == kIsr) {
    const u8 isr = std::exchange(isr_, u8{0});
    set_interrupt(false);
    return isr;
  }
  return offset < kCommonSize ? static_cast<u32>(common_read(offset)) & mask : 0;
}

void PciTransport::bar_write(unsigned bar, u64 offset, unsigned size, u64 value) {
  if (bar == kMsixBar && msix() != nullptr) msix()->write(offset, size, value);
  if (bar != kBar) return;
  if (offset >= kNotify) {
    // The bell of a queue; what is written does not matter without VIRTIO_F_NOTIFICATION_DATA.
    if (offset % kNotifyStep == 0) device_.notify((offset - kNotify) / kNotifyStep);
  } else if (offset >= kConfig) {
    device_.write_config(offset - kConfig, std::min(size, 4u), static_cast<u32>(value));
    if (size == 8) device_.write_config(offset - kConfig + 4, 4, static_cast<u32>(value >> 32));
  } else if (offset < kCommonSize) {
    common_write(offset, size, value);
  }
}

PciTransport::Pointed PciTransport::pointed() const {
  const u64 offset = word(access_ + kAccessOffset, 4);
  const u32 size = word(access_ + kAccessSize, 4);
  const bool good = word(access_ + kAccessBar, 1) == kBar && (size == 1 || size == 2 || size == 4) &&
                    offset % size == 0 && offset + size <= kBarSize;
  return good ? Pointed{offset, size} : Pointed{};
}

void PciTransport::config_reading(unsigned offset, unsigned) {
  if (offset != access_ + kAccessData) return;
  if (const Pointed at = pointed(); at.size != 0)
    put(access_ + kAccessData, 4, read_piece(at.offset, at.size));
}

void PciTransport::config_written(unsigned offset, unsigned) {
  if (bus_master() != device_.has_reach()) {
    device_.set_reach(bus_master());
    device_.look_at_queues();
  }
  if (offset != access_ + kAccessData) return;
  if (const Pointed at = pointed(); at.size != 0)
    bar_write(kBar, at.offset, at.size, word(access_ + kAccessData, at.size));
}

}  // namespace hindcast::devices::virtio
