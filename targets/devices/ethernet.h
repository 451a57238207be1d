// What Ethernet controllers share: checksums, addresses, words waiting in FIFOs, and the way to the wire.
#pragma once
#include <array>
#include <deque>
#include <string_view>

#include "engine/archive.h"
#include "engine/machine.h"
#include "engine/registry.h"
#include "engine/types.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {

using MacAddress = std::array<u8, 6>;

/// What an adapter has whose board says nothing else.
inline constexpr MacAddress kDefaultMac = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
inline constexpr std::size_t kMinFrame = 60;    // without the checksum; shorter ones are padded
inline constexpr std::size_t kMaxFrame = 1514;  // likewise; with a VLAN tag 4 more

/// The register of IEEE 802.3's CRC-32 (3.2.9), least significant bit first, before its final complement.
u32 crc_register(ByteView data);
/// The frame check sequence, to be sent in little-endian order.
inline u32 frame_check(ByteView frame) { return ~crc_register(frame); }
/// The number of a group address in a table of 64 bits, as controllers count: the six bits of the register
/// that leave it first.
unsigned group_hash(ByteView address);

/// The destination of a frame of at least six bytes.
inline bool is_group(ByteView frame) { return (frame[0] & 1) != 0; }
bool is_broadcast(ByteView frame);
bool is_for(ByteView frame, const MacAddress& mac);

/// Addresses as two registers, the first byte lowest.
inline u32 address_low(const MacAddress& a) {
  return a[0] | u32{a[1]} << 8 | u32{a[2]} << 16 | u32{a[3]} << 24;
}
inline u32 address_high(const MacAddress& a) { return a[4] | u32{a[5]} << 8; }
MacAddress address_of(u32 low, u32 high);

/// A FIFO of 32-bit words.
class WordFifo {
 public:
  bool empty() const { return words_.empty(); }
  std::size_t size() const { return words_.size(); }
  void push(u32 word) { words_.push_back(word); }
  /// `before`, the frame and its check sequence, filled up to a multiple of `unit` bytes, itself one of 4.
  /// How many words that is.
  u32 push_frame(ByteView before, ByteView frame, std::size_t unit);
  /// 0 if there is none.
  u32 pop();
  u32 front() const { return words_.empty() ? 0 : words_.front(); }
  void clear() { words_.clear(); }
  /// Throws Fatal when loading more than `most` words.
  void state(Archive& ar, std::string_view name, std::size_t most);

 private:
  std::deque<u32> words_;
};

/// A controller and its cable, if there is one. What does not fit yet waits on the wire.
class EthernetController : public Device, public WordRegisters, public InputSink {
 public:
  EthernetController(std::string name, const DeviceSite& site);
  void receive(InputKind, ByteView frame) final {
    take_frame(frame);
    settle();
  }

 protected:
  /// A frame comes in: from the wire, or one of the guest's own, which may not fit.
  virtual void take_frame(ByteView frame) = 0;
  /// The interrupt follows what has changed.
  virtual void settle() = 0;
  /// To the wire, or back.
  void send_frame(ByteView frame, bool loopback);
  /// `take` takes something out of what has been received: the wire hears of it when there is room again.
  template <typename Take>
  u32 taken(Take take) {
    const bool full = receivable() < kMaxFrame;
    const u32 word = take();
    if (full && receivable() >= kMaxFrame) machine_.port().ready(channel_);
    return word;
  }

  Machine& machine_;
  IrqLine irq_;
  const Channel channel_;
  const bool cable_;
  const MacAddress burnt_in_;
};

}  // namespace hindcast::devices
