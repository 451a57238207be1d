#include "targets/devices/ethernet.h"

#include <algorithm>
#include <cstring>

namespace hindcast::devices {
namespace {

constexpr std::array<u32, 256> kCrcTable = [] {
  std::array<u32, 256> table{};
  for (u32 i = 0; i < table.size(); ++i) {
    u32 r = i;
    for (int bit = 0; bit < 8; ++bit) r = (r & 1) != 0 ? r >> 1 ^ 0xedb88320 : r >> 1;
    table[i] = r;
  }
  return table;
}();

}  // namespace

u32 crc_register(ByteView data) {
  u32 r = ~u32{0};
  for (u8 byte : data) r = r >> 8 ^ kCrcTable[(r ^ byte) & 0xff];
  return r;
}

unsigned group_hash(ByteView address) {
  const u32 r = crc_register(address);
  unsigned hash = 0;
  for (unsigned bit = 0; bit < 6; ++bit) hash |= (r >> bit & 1) << (5 - bit);
  return hash;
}

bool is_broadcast(ByteView frame) {
  return std::all_of(frame.begin(), frame.begin() + 6, [](u8 byte) { return byte == 0xff; });
}

bool is_for(ByteView frame, const MacAddress& mac) {
  return std::equal(mac.begin(), mac.end(), frame.begin());
}

u32 WordFifo::pop() {
  if (words_.empty()) return 0;
  const u32 word = words_.front();
  words_.pop_front();
  return word;
}

void WordFifo::state(Archive& ar, std::string_view name, std::size_t most) {
  Bytes bytes;
  for (u32 word : words_)
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<u8>(word >> (8 * i)));
  ar.blob(name, bytes, 4 * most);
  if (!ar.loading()) return;
  words_.assign(bytes.size() / 4, 0);
  for (std::size_t i = 0; i < words_.size(); ++i) std::memcpy(&words_[i], &bytes[4 * i], 4);
}

}  // namespace hindcast::devices
