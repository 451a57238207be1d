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

MacAddress address_of(u32 low, u32 high) {
  return {static_cast<u8>(low),       static_cast<u8>(low >> 8), static_cast<u8>(low >> 16),
          static_cast<u8>(low >> 24), static_cast<u8>(high),     static_cast<u8>(high >> 8)};
}

u32 WordFifo::push_frame(ByteView before, ByteView frame, std::size_t unit) {
  Bytes bytes(before.begin(), before.end());
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  const u32 check = frame_check(frame);
  for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<u8>(check >> (8 * i)));
  bytes.resize((bytes.size() + unit - 1) / unit * unit);
  for (std::size_t i = 0; i < bytes.size(); i += 4)
    push(bytes[i] | u32{bytes[i + 1]} << 8 | u32{bytes[i + 2]} << 16 | u32{bytes[i + 3]} << 24);
  return static_cast<u32>(bytes.size() / 4);
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

EthernetController::EthernetController(std::string name, const DeviceSite& site)
    : Device(std::move(name)),
      machine_(site.machine),
      irq_(site.irq()),
      channel_(site.channel),
      cable_(site.network != nullptr),
      burnt_in_(cable_ ? site.network->mac : kDefaultMac) {
  if (cable_) machine_.port().attach(channel_, InputKind::Network, this);
}

void EthernetController::send_frame(ByteView frame, bool loopback) {
  if (loopback)
    take_frame(frame);
  else if (cable_)
    machine_.port().output(channel_, frame);
}

}  // namespace hindcast::devices
