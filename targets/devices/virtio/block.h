// A virtio disk ("Virtual I/O Device (VIRTIO) Version 1.2", section 5.2): one queue, read, write, flush,
// discard, write zeroes, identification.
//
// Requests are served one after the other, each after a virtual latency that depends on its size. A request
// is taken from the queue when the one before is done, and its data are asked for and moved in portions as
// its time passes: whatever a driver asks for at once, no moment costs the host more than a portion.
#pragma once
#include <optional>

#include "targets/devices/disk.h"
#include "targets/devices/virtio/device.h"

namespace hindcast::devices::virtio {

class BlockDevice final : public VirtioDevice {
 public:
  static constexpr u16 kQueueSize = 256;
  /// Virtual time of a request, and of each byte of it.
  static constexpr VirtualNs kLatency = 100'000, kPerByte = 1;
  /// Bytes that are moved at once; and that are cleared at once, in the time that a portion takes.
  static constexpr u64 kPortion = u64{256} << 10, kClearPortion = u64{16} << 20;
  /// More data in one request than this is refused with an I/O error.
  static constexpr u64 kMostData = u64{1} << 30;

  BlockDevice(std::string name, Machine& machine, const Disk::Site& site);

 protected:
  u64 features() const override;
  Bytes config() const override;
  void notified(unsigned queue) override;
  void reset_type() override;
  void save(Archive& ar) override;

 private:
  enum class Kind : u8 { Read, Write, Flush, Identify, Clear, Nothing };
  /// Taken from the queue, and not answered yet.
  struct Request {
    u16 head = 0;
    Kind kind = Kind::Nothing;
    u8 status = 0;             // what the answer will be, unless the data cannot be moved
    u64 offset = 0, size = 0;  // on the disk, in bytes
    u64 moved = 0;             // of them
    GuestAddr status_address = 0;
    VirtualNs begun_at = 0;
    std::vector<Segment> data;
  };

  void take_next(VirtualNs begin);
  void take(Chain chain, VirtualNs begin);
  void parse(u32 type, u64 sector, const Chain& chain, Request& request);
  void parse_transfer(u64 sector, const std::vector<Segment>& data, Request& request);
  void parse_clear(u32 type, const std::vector<Segment>& data, Request& request);
  void step();
  u64 portion_end() const;
  VirtualNs due() const;
  bool move_portion();
  bool conclude(u32& written);
  void finish(u8 status, u32 written);
  void arm();
  void save_request(Archive& ar, Request& request);
  bool plausible(const Request& request) const;

  Disk disk_;
  VirtualClock::TimerId timer_;
  std::optional<Request> current_;
};

}  // namespace hindcast::devices::virtio
