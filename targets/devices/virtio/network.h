// A virtio network adapter ("Virtual I/O Device (VIRTIO) Version 1.2", section 5.1): one pair of queues, its
// address and a link that is up; no offloads and no control queue, so it passes all frames on. What is sent
// leaves at once; frames arrive as long as there are buffers for them, and wait on the wire before.
#pragma once
#include "targets/devices/ethernet.h"
#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

class NetworkDevice final : public VirtioDevice, public InputSink {
 public:
  static constexpr u16 kQueueSize = 256;
  static constexpr unsigned kReceive = 0, kSend = 1;
  /// What precedes each frame in a buffer; all zero but for the number of buffers.
  static constexpr std::size_t kHeader = 12;

  NetworkDevice(std::string name, Machine& machine, Channel channel, const MacAddress& mac);

  std::size_t receivable() const override;
  void receive(InputKind kind, ByteView frame) override;

 protected:
  u64 features() const override;
  Bytes config() const override;
  void notified(unsigned queue) override;
  void reset_type() override {}
  void save(Archive&) override {}

 private:
  void send(const Chain& chain);

  Channel channel_;
  MacAddress mac_;
};

}  // namespace hindcast::devices::virtio
