// A virtio entropy device ("Virtual I/O Device (VIRTIO) Version 1.2", section 5.4): random bytes, which are
// asked for through the input port and so are in the recording.
#pragma once
#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

class EntropyDevice final : public VirtioDevice {
 public:
  static constexpr u16 kQueueSize = 8;
  /// A request for more gets this much.
  static constexpr u32 kMostBytes = 4096;

  EntropyDevice(std::string name, Machine& machine, Channel channel)
      : VirtioDevice(std::move(name), machine, Type::Entropy, {kQueueSize}), channel_(channel) {}

 protected:
  u64 features() const override { return 0; }
  void notified(unsigned queue) override;
  void reset_type() override {}
  void save(Archive&) override {}

 private:
  Channel channel_;
};

}  // namespace hindcast::devices::virtio
