// A virtio network adapter ("Virtual I/O Device (VIRTIO) Version 1.2", section 5.1): one pair of queues, its
// address and a link that is up; no offloads and no control queue, so it passes all frames on. What is sent
// leaves at once, unless its driver makes the device look through more descriptors than frames need: then in
// portions, so that no bell costs the host more than one. Frames arrive as long as there are buffers for
// them, and wait on the wire before.
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
  /// Descriptors of frames to send that are looked at at once, up to the end of a chain; more follow after a
  /// pause of virtual time.
  static constexpr u64 kPortion = 1024;
  static constexpr VirtualNs kPause = 100'000;

  NetworkDevice(std::string name, Machine& machine, Channel channel, const MacAddress& mac);

  std::size_t receivable() const override;
  void receive(InputKind kind, ByteView frame) override;

 protected:
  u64 features() const override;
  Bytes config() const override;
  void notified(unsigned queue) override;
  void reset_type() override { pause(false); }
  void save(Archive& ar) override { ar.field("paused", paused_); }

 private:
  void transmit();
  void send(const Chain& chain);
  void pause(bool on);

  Channel channel_;
  MacAddress mac_;
  VirtualClock::TimerId timer_;
  bool paused_ = false;
};

}  // namespace hindcast::devices::virtio
