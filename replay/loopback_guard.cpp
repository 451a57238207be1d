#include "replay/loopback_guard.h"

#include <algorithm>
#include <array>

namespace hindcast::replay {
namespace {

constexpr std::size_t kEthernetHeader = 14, kIpv4Header = 20, kIpv6Header = 40;
constexpr u16 kIpv4 = 0x0800, kIpv6 = 0x86dd;
constexpr u8 kTcp = 6, kUdp = 17, kIcmp = 1, kIcmp6 = 58;
constexpr Ipv4 kEverybody = 0xffffffff;
/// Programs on the host that can be answered at the same time.
constexpr std::size_t kMostFlows = 4096;

u16 be16(ByteView data, std::size_t at) { return static_cast<u16>(data[at] << 8 | data[at + 1]); }
u32 be32(ByteView data, std::size_t at) { return u32{be16(data, at)} << 16 | be16(data, at + 2); }

/// The payload of an IPv4 packet with a whole header; empty if it has none.
ByteView payload_of(ByteView packet) {
  const std::size_t header = 4 * (packet[0] & 15u);
  return header < kIpv4Header || header > packet.size() ? ByteView() : packet.subspan(header);
}

}  // namespace

bool LoopbackGuard::forwards_udp() const {
  return std::any_of(options_.forwards.begin(), options_.forwards.end(), [](auto& f) { return f.udp; });
}

bool LoopbackGuard::lifts_block() const { return options_.host_loopback || forwards_udp(); }

bool LoopbackGuard::allows(ByteView frame) const {
  if (frame.size() < kEthernetHeader) return false;
  const ByteView packet = frame.subspan(kEthernetHeader);
  switch (be16(frame, 12)) {
    case kIpv4: return allows_ipv4(packet);
    case kIpv6: return allows_ipv6(packet);
    default: return true;
  }
}

bool LoopbackGuard::allows_ipv4(ByteView packet) const {
  if (packet.size() < kIpv4Header) return false;
  const Ipv4 to = be32(packet, 16);
  // Its own host, as a kernel sees it; both reach the loopback.
  if (to >> 24 == 127 || to >> 24 == 0) return false;
  if (restricts()) return allows_router(packet);
  const bool router = to == options_.host || to == kEverybody;
  return !router || options_.host_loopback || !lifts_block() || allows_router(packet);
}

bool LoopbackGuard::allows_ipv6(ByteView packet) const {
  if (packet.size() < kIpv6Header) return false;
  // ::/96 and ::ffff:0:0/96: the unspecified address, the loopback's, and IPv4's in disguise.
  const ByteView to = packet.subspan(24, 16);
  const bool zeros = std::all_of(to.begin(), to.begin() + 10, [](u8 byte) { return byte == 0; });
  if (zeros && to[10] == to[11] && (to[10] == 0 || to[10] == 0xff)) return false;
  // Forwards are of IPv4: restricted, nothing is left but what makes and finds neighbours.
  if (restricts()) return packet[6] == kIcmp6 && (to[0] == 0xfe || to[0] == 0xff);
  return options_.host_loopback || !lifts_block() || allows_router6(packet);
}

/// Without its block libslirp takes all of its own network, fec0::/64, and everybody on it, for the loopback.
bool LoopbackGuard::allows_router6(ByteView packet) {
  constexpr std::array<u8, 8> kNetwork = {0xfe, 0xc0};
  constexpr std::array<u8, 16> kNames = {0xfe, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
  constexpr std::array<u8, 16> kAll = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr u16 kDns = 53;
  const ByteView to = packet.subspan(24, 16), payload = packet.subspan(kIpv6Header);
  const bool own = std::equal(kNetwork.begin(), kNetwork.end(), to.begin());
  if (!own && !std::equal(kAll.begin(), kAll.end(), to.begin())) return true;
  if (packet[6] == kIcmp6) return true;
  const bool carried = (packet[6] == kTcp || packet[6] == kUdp) && payload.size() >= 4;
  return carried && std::equal(kNames.begin(), kNames.end(), to.begin()) && be16(payload, 2) == kDns;
}

/// To somebody whose datagram has come through a forward.
bool LoopbackGuard::is_answer(ByteView packet) const {
  const ByteView payload = payload_of(packet);
  return flows_.contains({be32(packet, 16), be16(payload, 2), be16(payload, 0)});
}

/// What the router serves itself, and what belongs to connections and datagrams that came in.
bool LoopbackGuard::allows_router(ByteView packet) const {
  const ByteView payload = payload_of(packet);
  // A fragment says too little; nothing that is allowed needs any.
  const bool fragment = (be16(packet, 6) & 0x3fff) != 0;
  if (fragment || payload.size() < 8) return false;
  const u8 protocol = packet[9];
  const Ipv4 address = be32(packet, 16);
  const bool router = address == options_.host, everybody = address == kEverybody;
  if (protocol == kIcmp) return router || address == options_.dns;
  if (protocol == kTcp) {
    constexpr u8 kSyn = 2, kAck = 16;
    return payload.size() >= 20 && (payload[13] & (kSyn | kAck)) != kSyn;
  }
  constexpr u16 kDhcp = 67, kTftp = 69;
  const u16 port = be16(payload, 2);
  // libslirp serves TFTP at the router's address only: a broadcast would go to the host.
  const bool served = (port == kDhcp && (router || everybody)) || (port == kTftp && router);
  return protocol == kUdp && (served || is_answer(packet));
}

void LoopbackGuard::note(ByteView frame) {
  if (!forwards_udp() || frame.size() < kEthernetHeader + kIpv4Header) return;
  const ByteView packet = frame.subspan(kEthernetHeader), payload = payload_of(packet);
  if (be16(frame, 12) != kIpv4 || packet[9] != kUdp || payload.size() < 8) return;
  const Ipv4 from = be32(packet, 12);
  if (from != options_.host && !restricts()) return;  // needs no leave
  const Flow flow = {from, be16(payload, 0), be16(payload, 2)};
  if (!flows_.insert(flow).second) return;
  order_.push_back(flow);
  if (order_.size() <= kMostFlows) return;
  flows_.erase(order_.front());
  order_.pop_front();
}

}  // namespace hindcast::replay
