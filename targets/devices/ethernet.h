// What Ethernet controllers share: checksums, addresses, and words waiting in FIFOs.
#pragma once
#include <array>
#include <deque>
#include <string_view>

#include "engine/archive.h"
#include "engine/registry.h"
#include "engine/types.h"

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

/// A FIFO of 32-bit words.
class WordFifo {
 public:
  bool empty() const { return words_.empty(); }
  std::size_t size() const { return words_.size(); }
  void push(u32 word) { words_.push_back(word); }
  /// 0 if there is none.
  u32 pop();
  u32 front() const { return words_.empty() ? 0 : words_.front(); }
  void clear() { words_.clear(); }
  /// Throws Fatal when loading more than `most` words.
  void state(Archive& ar, std::string_view name, std::size_t most);

 private:
  std::deque<u32> words_;
};

}  // namespace hindcast::devices
