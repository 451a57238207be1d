// The MMIO transport of virtio devices ("Virtual I/O Device (VIRTIO) Version 1.2", section 4.2), version 2.
#pragma once
#include "engine/machine.h"
#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

/// A window of registers, with a device behind it or without: then its device ID is 0, and drivers pass by.
class MmioTransport final : public Device, public MmioHandler, public Transport {
 public:
  static constexpr u64 kSize = 0x200;

  /// `device`: null if the place is empty; else it outlives the transport.
  MmioTransport(std::string name, VirtioDevice* device, IrqLine irq);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  void queue_interrupt(unsigned queue) override;
  void config_interrupt() override;

 private:
  u32 read_register(u64 offset) const;
  void write_register(u64 offset, u32 value);
  void write_queue(u64 offset, u32 value);
  void raise(u32 bit);
  /// The selected queue; null if there is none of that number.
  Queue* selected() const;

  VirtioDevice* device_;
  IrqLine irq_;
  u32 device_feature_half_ = 0, driver_feature_half_ = 0;  // which 32 bits are looked at
  u32 queue_ = 0;
  u32 interrupts_ = 0;  // 1: a queue, 2: the configuration
};

}  // namespace hindcast::devices::virtio
