// A virtio console ("Virtual I/O Device (VIRTIO) Version 1.2", section 5.3): one port, with a pair of queues
// and an emergency register for output before there are any. No size and no further ports.
//
// What is typed waits in a FIFO until the driver has given a buffer; what is printed leaves in portions, so
// that a bell costs the host no more than one, however much the guest prints at once.
#pragma once
#include <optional>

#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

class ConsoleDevice final : public VirtioDevice, public InputSink {
 public:
  static constexpr u16 kQueueSize = 64;
  static constexpr unsigned kReceive = 0, kSend = 1;
  /// Typed bytes that wait for a buffer.
  static constexpr std::size_t kFifoSize = 4096;
  /// Printed at once; the next portion follows after a pause of virtual time.
  static constexpr u64 kPortion = u64{64} << 10;
  static constexpr VirtualNs kPause = 100'000;

  ConsoleDevice(std::string name, Machine& machine, Channel channel);

  std::size_t receivable() const override;
  std::size_t wanted() const override;
  void receive(InputKind kind, ByteView data) override;

 protected:
  u64 features() const override;
  Bytes config() const override;
  void config_written(u64 offset, unsigned size, u32 value) override;
  void notified(unsigned queue) override;
  void reset_type() override;
  void save(Archive& ar) override;

 private:
  void give();
  void print();
  bool print_part(u64& room);
  void pause(bool on);

  Channel channel_;
  VirtualClock::TimerId timer_;
  Bytes typed_;
  /// Taken from the queue, and not printed to its end.
  struct Printing {
    u16 head = 0;
    u64 done = 0;
    std::vector<Segment> data;
  };
  std::optional<Printing> printing_;
  bool paused_ = false;
};

}  // namespace hindcast::devices::virtio
