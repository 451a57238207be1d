// The PCI transport of virtio devices ("Virtual I/O Device (VIRTIO) Version 1.2", section 4.1), modern, with
// INTx or MSI-X.
#pragma once
#include "engine/machine.h"
#include "targets/devices/pci/function.h"
#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

class PciTransport final : public Device, public pci::Function, public Transport {
 public:
  /// The range with all structures, a page each.
  static constexpr unsigned kBar = 4;
  static constexpr u64 kPage = 0x1000, kCommon = 0, kIsr = kPage, kConfig = 2 * kPage, kNotify = 3 * kPage,
                       kBarSize = 4 * kPage;
  static constexpr unsigned kNotifyStep = 4;  // bytes between the bells of two queues

  /// The range of MSI-X's table.
  static constexpr unsigned kMsixBar = 1;

  /// `device` outlives the transport. `send` (may be empty: INTx only) writes a message.
  PciTransport(std::string name, VirtioDevice& device, pci::Msix::Send send = {});

  void reset() override;
  void state(Archive& ar) override;
  u64 bar_read(unsigned bar, u64 offset, unsigned size) override;
  void bar_write(unsigned bar, u64 offset, unsigned size, u64 value) override;
  void queue_interrupt(unsigned queue) override;
  void config_interrupt() override;

 protected:
  void config_reading(unsigned offset, unsigned size) override;
  void config_written(unsigned offset, unsigned size) override;

 private:
  unsigned add_structure(u8 type, u64 offset, u64 size, ByteView more);
  u64 common_read(u64 offset) const;
  void common_write(u64 offset, unsigned size, u64 value);
  void queue_write(u64 offset, unsigned size, u64 value);
  u32 read_piece(u64 offset, unsigned size);
  void raise(u8 bit);
  /// `vector` as the driver may have it: one that there is, or none.
  u16 legal_vector(u64 vector);
  void forget_vectors();
  /// The selected queue; null if there is none of that number.
  Queue* selected() const;
  /// What the access capability points at; size 0: nothing.
  struct Pointed {
    u64 offset = 0;
    unsigned size = 0;
  };
  Pointed pointed() const;

  VirtioDevice& device_;
  unsigned access_ = 0;  // where the access capability is
  u32 device_feature_half_ = 0, driver_feature_half_ = 0;
  u16 queue_ = 0;
  u16 config_vector_;
  std::vector<u16> queue_vectors_;
  u8 isr_ = 0;  // 1: a queue, 2: the configuration
};

}  // namespace hindcast::devices::virtio
