#include "replay/frame_text.h"

#include <fmt/format.h>

namespace hindcast::replay {
namespace {

constexpr std::size_t kEthernetHeader = 14, kIpv4Header = 20;
constexpr u16 kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86dd;

unsigned be16(ByteView data, std::size_t at) { return u32{data[at]} << 8 | data[at + 1]; }

std::string mac(ByteView data, std::size_t at) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", data[at], data[at + 1], data[at + 2],
                     data[at + 3], data[at + 4], data[at + 5]);
}

std::string ip(ByteView data, std::size_t at) {
  return fmt::format("{}.{}.{}.{}", data[at], data[at + 1], data[at + 2], data[at + 3]);
}

std::string flags_text(u8 flags) {
  std::string out;
  for (const auto& [bit, letter] : {std::pair{1, 'F'}, {2, 'S'}, {4, 'R'}, {8, 'P'}, {16, '.'}})
    if ((flags & bit) != 0) out += letter;
  return out;
}

std::string ipv4_text(ByteView packet) {
  const std::size_t header = 4 * (packet[0] & 15u);
  const std::string from = ip(packet, 12), to = ip(packet, 16);
  const u8 protocol = packet[9];
  const bool later_fragment = (be16(packet, 6) & 0x1fff) != 0;
  if (header < kIpv4Header || packet.size() < header + 8 || later_fragment)
    return fmt::format("IPv4 {} > {} protocol {}", from, to, protocol);
  const ByteView payload = packet.subspan(header);
  switch (protocol) {
    case 1: return fmt::format("ICMP {} > {} type {}", from, to, payload[0]);
    case 17: return fmt::format("UDP {}:{} > {}:{}", from, be16(payload, 0), to, be16(payload, 2));
    case 6:
      if (payload.size() < 20) break;
      return fmt::format("TCP {}:{} > {}:{} [{}] {} bytes", from, be16(payload, 0), to, be16(payload, 2),
                         flags_text(payload[13]), [&] {
                           const std::size_t all = be16(packet, 2), own = 4 * (payload[12] >> 4u);
                           return all > header + own ? all - header - own : 0;
                         }());
    default: break;
  }
  return fmt::format("IPv4 {} > {} protocol {}", from, to, protocol);
}

}  // namespace

std::string frame_text(ByteView frame) {
  if (frame.size() < kEthernetHeader) return "too short for a frame";
  const std::string ends = mac(frame, 6) + " > " + mac(frame, 0);
  const ByteView packet = frame.subspan(kEthernetHeader);
  const unsigned type = be16(frame, 12);
  if (type == kIpv4 && packet.size() >= kIpv4Header) return ends + " " + ipv4_text(packet);
  if (type == kIpv6) return ends + " IPv6";
  if (type == kArp && packet.size() >= 28) {
    const bool asks = be16(packet, 6) == 1;
    return fmt::format("{} ARP {}", ends,
                       asks ? "who has " + ip(packet, 24) : ip(packet, 14) + " is " + mac(packet, 8));
  }
  return fmt::format("{} type {:#06x}", ends, type);
}

}  // namespace hindcast::replay
