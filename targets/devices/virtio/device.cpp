#include "targets/devices/virtio/device.h"

#include <fmt/format.h>

namespace hindcast::devices::virtio {

VirtioDevice::VirtioDevice(std::string name, Machine& machine, Type type, const std::vector<u16>& queue_sizes)
    : Device(std::move(name)), machine_(machine), memory_(machine.memory()), type_(type) {
  for (u16 size : queue_sizes) queues_.emplace_back(machine.memory(), size);
}

u64 VirtioDevice::offered_features() const {
  return features() | kVersion1 | kIndirectDescriptors | kEventIndex;
}

void VirtioDevice::set_driver_features(u64 features) {
  if ((status_ & kFeaturesOk) == 0) driver_features_ = features;
}

void VirtioDevice::set_status(u8 status) {
  if (status == 0) {
    reset();
    return;
  }
  const bool refused = (driver_features_ & ~offered_features()) != 0;
  if ((status_ & kFeaturesOk) == 0 && refused) status &= static_cast<u8>(~kFeaturesOk);
  if ((status & kFeaturesOk) == 0) status &= static_cast<u8>(~kDriverOk);
  // Bits are only ever added; the device's own is not the driver's to take away.
  const bool begins = (status & ~status_ & kDriverOk) != 0;
  status_ |= status & static_cast<u8>(~kNeedsReset);
  if ((status_ & kFeaturesOk) != 0)
    for (Queue& queue : queues_)
      queue.negotiated(has_feature(kIndirectDescriptors), has_feature(kEventIndex));
  if (begins) look_at_queues();
}

void VirtioDevice::look_at_queues() {
  for (unsigned i = 0; i < queue_count(); ++i) notify(i);
}

void VirtioDevice::notify(u64 queue) {
  if (queue >= queues_.size() || !running() || !queues_[queue].ready()) return;
  notified(static_cast<unsigned>(queue));
}

u32 VirtioDevice::read_config(u64 offset, unsigned size) const {
  const Bytes bytes = config();
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i)
    if (offset + i < bytes.size()) value |= u32{bytes[offset + i]} << (8 * i);
  return value;
}

void VirtioDevice::write_config(u64 offset, unsigned size, u32 value) {
  if (offset + size <= config().size()) config_written(offset, size, value);
}

std::optional<Chain> VirtioDevice::pop(unsigned queue) {
  if (!running()) return std::nullopt;
  std::optional<Chain> chain = queues_[queue].pop();
  look_for_failure(queue);
  return chain;
}

void VirtioDevice::push(unsigned queue, u16 head, u32 written) {
  queues_[queue].push(head, written);
  look_for_failure(queue);
}

void VirtioDevice::flush(unsigned queue) {
  const bool wanted = queues_[queue].take_wants_interrupt();
  look_for_failure(queue);
  if (wanted && transport_ != nullptr) transport_->queue_interrupt(queue);
}

void VirtioDevice::look_for_failure(unsigned queue) {
  if (queues_[queue].broken()) fail(queues_[queue].why_broken());
}

void VirtioDevice::fail(const char* what) {
  if ((status_ & kNeedsReset) != 0) return;
  status_ |= kNeedsReset;
  const auto& note = machine_.options().engine.note;
  if (note && told_.insert(what).second)
    note(fmt::format("{}: the guest's driver must reset it: {}", name(), what));
  if ((status_ & kDriverOk) != 0 && transport_ != nullptr) transport_->config_interrupt();
}

void VirtioDevice::config_changed() {
  ++config_generation_;
  if ((status_ & kDriverOk) != 0 && transport_ != nullptr) transport_->config_interrupt();
}

void VirtioDevice::reset_common() {
  status_ = 0;
  driver_features_ = 0;
  for (Queue& queue : queues_) queue.reset();
}

void VirtioDevice::reset() {
  reset_common();
  reset_type();
}

void VirtioDevice::state(Archive& ar) {
  ar.field("status", status_);
  ar.field("driver_features", driver_features_);
  ar.field("config_generation", config_generation_);
  for (Queue& queue : queues_) queue.state(ar);
  save(ar);
}

}  // namespace hindcast::devices::virtio
