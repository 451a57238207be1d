// What stands between the guest and the host's sockets: the guard of the loopback, and the user's network.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "replay/frame_text.h"
#include "replay/loopback_guard.h"
#include "replay/network.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

u16 be16(ByteView data, std::size_t at) { return static_cast<u16>(data[at] << 8 | data[at + 1]); }

// ---- The guard -----------------------------------------------------------------------------------------

/// An IPv4 frame with `payload` bytes behind a header of 20.
Bytes ipv4_frame(u8 protocol, Ipv4 from, Ipv4 to, Bytes payload, u16 fragment = 0) {
  Bytes frame(14 + 20);
  frame[12] = 8;
  frame[14] = 0x45;
  frame[14 + 6] = static_cast<u8>(fragment >> 8);
  frame[14 + 7] = static_cast<u8>(fragment);
  frame[14 + 9] = protocol;
  for (unsigned i = 0; i < 4; ++i) {
    frame[14 + 12 + i] = static_cast<u8>(from >> (24 - 8 * i));
    frame[14 + 16 + i] = static_cast<u8>(to >> (24 - 8 * i));
  }
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}
Bytes ports(u16 from, u16 to, std::size_t size = 20) {
  Bytes out = {static_cast<u8>(from >> 8), static_cast<u8>(from), static_cast<u8>(to >> 8),
               static_cast<u8>(to)};
  out.resize(size);
  return out;
}
Bytes segment(u8 flags) {
  Bytes out = ports(1000, 80);
  out[13] = flags;
  return out;
}

constexpr Ipv4 kRouter = 0x0a000202, kGuest = 0x0a00020f, kFar = 0x08080808, kLoopback = 0x7f000001,
               kEverybody = 0xffffffff;
constexpr u8 kTcp = 6, kUdp = 17, kSyn = 2, kAck = 16;

NetworkOptions with_udp_forward() {
  NetworkOptions options;
  NetworkOptions::Forward forward;
  forward.udp = true;
  forward.guest_port = 7;
  options.forwards.push_back(forward);
  return options;
}

TEST(LoopbackGuard, TheKernelsOwnAddressesAreNeverReached) {
  NetworkOptions open;
  open.host_loopback = true;
  for (const NetworkOptions& options : {NetworkOptions{}, open, with_udp_forward()}) {
    const LoopbackGuard guard(options);
    for (Ipv4 to : {kLoopback, Ipv4{0x7fffffff}, Ipv4{0}, Ipv4{0x00000001}})
      for (u16 fragment : {0, 0x2000, 1})
        EXPECT_FALSE(guard.allows(ipv4_frame(kTcp, kGuest, to, segment(kSyn), fragment))) << to;
    EXPECT_TRUE(guard.allows(ipv4_frame(kTcp, kGuest, kFar, segment(kSyn))));
    EXPECT_TRUE(guard.allows(ipv4_frame(kUdp, kGuest, kFar, ports(1, 2), 0x2000)));
  }
}

TEST(LoopbackGuard, Ipv6sNamesForThemNeither) {
  const LoopbackGuard guard{NetworkOptions{}};
  Bytes frame(14 + 40);
  frame[12] = 0x86;
  frame[13] = 0xdd;
  EXPECT_FALSE(guard.allows(frame));  // ::
  frame[14 + 39] = 1;
  EXPECT_FALSE(guard.allows(frame));  // ::1
  frame[14 + 34] = frame[14 + 35] = 0xff;
  frame[14 + 36] = 127;
  EXPECT_FALSE(guard.allows(frame));  // ::ffff:127.0.0.1
  frame[14 + 24] = 0xfe;
  EXPECT_TRUE(guard.allows(frame));
}

TEST(LoopbackGuard, WhereTheBlockIsLiftedOnlyAnswersGetThrough) {
  LoopbackGuard guard(with_udp_forward());
  ASSERT_TRUE(guard.lifts_block());
  const auto udp = [&](u16 from, u16 to, u16 fragment = 0) {
    return guard.allows(ipv4_frame(kUdp, kGuest, kRouter, ports(from, to), fragment));
  };
  EXPECT_TRUE(udp(68, 67));
  EXPECT_TRUE(udp(2000, 69));
  EXPECT_TRUE(guard.allows(ipv4_frame(kUdp, kGuest, kEverybody, ports(68, 67))));
  EXPECT_FALSE(guard.allows(ipv4_frame(kUdp, kGuest, kEverybody, ports(2000, 69))));
  EXPECT_FALSE(udp(7, 5555));
  guard.note(ipv4_frame(kUdp, kRouter, kGuest, ports(5555, 7)));
  EXPECT_TRUE(udp(7, 5555));
  EXPECT_FALSE(udp(8, 5555));
  EXPECT_FALSE(udp(7, 5556));
  EXPECT_FALSE(udp(7, 5555, 0x2000));
  EXPECT_FALSE(guard.allows(ipv4_frame(kTcp, kGuest, kRouter, segment(kSyn))));
  EXPECT_TRUE(guard.allows(ipv4_frame(kTcp, kGuest, kRouter, segment(kSyn | kAck))));
  EXPECT_TRUE(guard.allows(ipv4_frame(kTcp, kGuest, kRouter, segment(kAck))));
  EXPECT_FALSE(guard.allows(ipv4_frame(kTcp, kGuest, 0xffffffff, segment(kSyn))));
  EXPECT_TRUE(guard.allows(ipv4_frame(kUdp, kGuest, kFar, ports(1, 2))));
  // Somebody else's datagrams open nothing.
  guard.note(ipv4_frame(kUdp, kFar, kGuest, ports(6666, 7)));
  EXPECT_FALSE(udp(7, 6666));
}

TEST(LoopbackGuard, RestrictedOnlyAnswersGetOutOfTheNetworkToo) {
  NetworkOptions options = with_udp_forward();
  EXPECT_FALSE(LoopbackGuard(options).restricts());
  options.restricted = true;
  for (const bool loopback : {false, true}) {
    options.host_loopback = loopback;
    LoopbackGuard guard(options);
    ASSERT_TRUE(guard.restricts());
    const auto udp = [&](Ipv4 to, u16 from, u16 port) {
      return guard.allows(ipv4_frame(kUdp, kGuest, to, ports(from, port)));
    };
    EXPECT_TRUE(udp(kEverybody, 68, 67));
    EXPECT_TRUE(udp(kRouter, 2000, 69));
    EXPECT_FALSE(udp(kRouter, 7, 5555));
    EXPECT_FALSE(udp(kFar, 2000, 67));
    EXPECT_FALSE(udp(kFar, 2000, 69));
    EXPECT_FALSE(udp(kFar, 7, 6666));
    guard.note(ipv4_frame(kUdp, kRouter, kGuest, ports(5555, 7)));
    guard.note(ipv4_frame(kUdp, kFar, kGuest, ports(6666, 7)));  // a forward that listens to all
    EXPECT_TRUE(udp(kRouter, 7, 5555));
    EXPECT_TRUE(udp(kFar, 7, 6666));
    EXPECT_FALSE(udp(kFar, 7, 5555));
    EXPECT_FALSE(udp(kRouter, 7, 6666));
    EXPECT_FALSE(udp(kFar, 8, 6666));
    for (Ipv4 to : {kRouter, kFar}) {
      EXPECT_FALSE(guard.allows(ipv4_frame(kTcp, kGuest, to, segment(kSyn))));
      EXPECT_TRUE(guard.allows(ipv4_frame(kTcp, kGuest, to, segment(kSyn | kAck))));
      EXPECT_EQ(guard.allows(ipv4_frame(1, kGuest, to, ports(8, 0))), to == kRouter);
      EXPECT_FALSE(guard.allows(ipv4_frame(47, kGuest, to, ports(8, 0))));
    }
  }
}

/// To that IPv6 address: its network's first two bytes, and its last.
Bytes ipv6_frame(u8 protocol, u16 network, u8 host, const Bytes& payload) {
  Bytes frame(14 + 40);
  frame[12] = 0x86;
  frame[13] = 0xdd;
  frame[14 + 6] = protocol;
  frame[14 + 24] = static_cast<u8>(network >> 8);
  frame[14 + 25] = static_cast<u8>(network);
  frame[14 + 39] = host;
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

TEST(LoopbackGuard, TheNetworksOwnIpv6AddressesNeither) {
  constexpr u8 kIcmp6 = 58;
  NetworkOptions open = with_udp_forward();
  open.host_loopback = true;
  for (const NetworkOptions& options : {NetworkOptions{}, open})
    EXPECT_TRUE(LoopbackGuard(options).allows(ipv6_frame(kTcp, 0xfec0, 2, ports(1000, 22))));
  const LoopbackGuard guard(with_udp_forward());
  for (const u8 host : {2, 3, 99})
    for (const u8 protocol : {kTcp, kUdp, u8{0}})
      EXPECT_FALSE(guard.allows(ipv6_frame(protocol, 0xfec0, host, ports(1000, 22)))) << unsigned{host};
  EXPECT_FALSE(guard.allows(ipv6_frame(kUdp, 0xff02, 1, ports(1000, 22))));
  EXPECT_FALSE(guard.allows(ipv6_frame(kUdp, 0xfec0, 2, ports(1000, 53))));
  EXPECT_FALSE(guard.allows(ipv6_frame(kUdp, 0xfec0, 3, {0, 1})));
  EXPECT_TRUE(guard.allows(ipv6_frame(kUdp, 0xfec0, 3, ports(1000, 53))));
  EXPECT_TRUE(guard.allows(ipv6_frame(kIcmp6, 0xfec0, 2, ports(1000, 22))));
  EXPECT_TRUE(guard.allows(ipv6_frame(kTcp, 0x2001, 2, ports(1000, 22))));
  open.restricted = true;
  EXPECT_FALSE(LoopbackGuard(open).allows(ipv6_frame(kTcp, 0x2001, 2, ports(1000, 22))));
  EXPECT_FALSE(LoopbackGuard(open).allows(ipv6_frame(kIcmp6, 0x2001, 2, ports(1000, 22))));
  EXPECT_FALSE(LoopbackGuard(open).allows(ipv6_frame(kUdp, 0xfec0, 3, ports(1000, 53))));
  EXPECT_TRUE(LoopbackGuard(open).allows(ipv6_frame(kIcmp6, 0xfec0, 2, ports(1000, 22))));
}

TEST(LoopbackGuard, ManyFlowsForgetTheOldest) {
  LoopbackGuard guard(with_udp_forward());
  for (u32 port = 1; port <= 5000; ++port)
    guard.note(ipv4_frame(kUdp, kRouter, kGuest, ports(static_cast<u16>(port), 7)));
  EXPECT_FALSE(guard.allows(ipv4_frame(kUdp, kGuest, kRouter, ports(7, 1))));
  EXPECT_TRUE(guard.allows(ipv4_frame(kUdp, kGuest, kRouter, ports(7, 5000))));
}

TEST(LoopbackGuard, AnyBytesAreLookedAtWithinBounds) {
  LoopbackGuard guard(with_udp_forward());
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes frame(random() % 80);
    for (u8& byte : frame) byte = static_cast<u8>(random());
    if (frame.size() > 14) {
      frame[12] = random() % 2 == 0 ? 0x08 : 0x86;
      frame[13] = frame[12] == 0x08 ? 0x00 : 0xdd;
    }
    guard.allows(frame);
    guard.note(frame);
  }
}

// ---- Frames in words -------------------------------------------------------------------------------------

TEST(FrameText, SaysWhoTalksToWhom) {
  Bytes frame = ipv4_frame(kUdp, kRouter, kGuest, ports(67, 68));
  EXPECT_EQ(frame_text(frame), "00:00:00:00:00:00 > 00:00:00:00:00:00 UDP 10.0.2.2:67 > 10.0.2.15:68");
  frame = ipv4_frame(kTcp, kGuest, kFar, segment(kSyn | kAck));
  frame[14 + 3] = 45;  // the packet's length
  frame[14 + 20 + 12] = 0x50;
  EXPECT_NE(frame_text(frame).find("TCP 10.0.2.15:1000 > 8.8.8.8:80 [S.] 5 bytes"), std::string::npos);
  Bytes arp(42);
  arp[12] = 8;
  arp[13] = 6;
  arp[14 + 7] = 1;
  arp[14 + 27] = 9;
  EXPECT_NE(frame_text(arp).find("ARP who has 0.0.0.9"), std::string::npos);
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes any(random() % 70);
    for (u8& byte : any) byte = static_cast<u8>(random());
    if (any.size() > 24) {
      any[12] = 8;
      any[13] = random() % 2 == 0 ? 0 : 6;
      any[14] = static_cast<u8>(0x40 | random() % 16);
      any[23] = static_cast<u8>(random() % 20);
    }
    EXPECT_FALSE(frame_text(any).empty());
  }
}

// ---- The user's network --------------------------------------------------------------------------------

const Bytes kOwnMac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

/// From the guest: a question for the router's address, or the answer to the router's for the guest's.
Bytes arp_frame(bool answer) {
  Bytes arp(12, 0xff);
  std::copy(kOwnMac.begin(), kOwnMac.end(), arp.begin() + 6);
  arp.insert(arp.end(), {8, 6, 0, 1, 8, 0, 6, 4, 0, static_cast<u8>(answer ? 2 : 1)});
  arp.insert(arp.end(), kOwnMac.begin(), kOwnMac.end());
  arp.insert(arp.end(), {10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2});
  return arp;
}

/// A datagram that its receiver takes.
Bytes datagram(Ipv4 to, u16 from_port, u16 to_port, const std::string& text) {
  Bytes payload = ports(from_port, to_port, 8);
  payload[5] = static_cast<u8>(8 + text.size());
  payload.insert(payload.end(), text.begin(), text.end());
  Bytes frame = ipv4_frame(kUdp, kGuest, to, payload);
  std::copy(kOwnMac.begin(), kOwnMac.end(), frame.begin() + 6);
  frame[14 + 3] = static_cast<u8>(20 + payload.size());
  frame[14 + 8] = 64;
  u32 sum = 0;
  for (std::size_t i = 14; i < 34; i += 2) sum += be16(frame, i);
  sum = ~((sum & 0xffff) + (sum >> 16));
  frame[24] = static_cast<u8>(sum >> 8);
  frame[25] = static_cast<u8>(sum);
  return frame;
}

/// A program on the host's loopback.
class HostSocket {
 public:
  HostSocket() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name = loopback(0);
    socklen_t size = sizeof name;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size), 0);
    port = ntohs(name.sin_port);
  }
  ~HostSocket() { ::close(fd_); }
  static sockaddr_in loopback(u16 port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(kLoopback);
    return name;
  }
  void send(u16 to, const std::string& text) {
    const sockaddr_in name = loopback(to);
    EXPECT_EQ(
        ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&name), sizeof name),
        static_cast<ssize_t>(text.size()));
  }
  /// The next datagram; empty if none comes in time.
  std::string receive(int timeout_ms = 5000) {
    pollfd waiting{fd_, POLLIN, 0};
    char text[64];
    if (::poll(&waiting, 1, timeout_ms) != 1) return {};
    const ssize_t size = ::recv(fd_, text, sizeof text, 0);
    return size < 0 ? std::string() : std::string(text, static_cast<std::size_t>(size));
  }

  u16 port = 0;

 private:
  int fd_;
};

/// The next frame that is UDP; the router's questions before it are answered.
Bytes next_datagram(Network& network) {
  for (;;) {
    pollfd waiting{network.fd(), POLLIN, 0};
    if (::poll(&waiting, 1, 5000) != 1) return {};
    const auto frame = network.receive();
    if (!frame) return {};
    if (be16(*frame, 12) == 0x806 && be16(*frame, 20) == 1) network.send(arp_frame(true));
    if (be16(*frame, 12) == 0x800 && (*frame)[14 + 9] == kUdp) return *frame;
  }
}

TEST(UserNetwork, WhatTheGuestSentLastStillGetsOut) {
  NetworkOptions options;
  options.host_loopback = true;
  for (int round = 0; round < 20; ++round) {
    HostSocket host;
    {
      const auto network = open_user_network(options, {});
      network->send(datagram(kRouter, 9, host.port, "last"));
    }
    ASSERT_EQ(host.receive(), "last") << round;
  }
}

TEST(UserNetwork, AForwardsDatagramsAreAnsweredAlsoRestricted) {
  for (const bool restricted : {false, true}) {
    std::string told;
    NetworkOptions options = with_udp_forward();
    options.restricted = restricted;
    const auto network = open_user_network(options, [&](const std::string& line) { told = line; });
    unsigned port = 0;
    ASSERT_EQ(std::sscanf(told.c_str(), "hostfwd udp: 127.0.0.1:%u leads to", &port), 1) << told;
    HostSocket host, other;
    host.send(static_cast<u16>(port), "question");
    const Bytes frame = next_datagram(*network);
    ASSERT_GE(frame.size(), 42u + 8);
    EXPECT_EQ(std::string(frame.begin() + 42, frame.begin() + 50), "question");
    const u16 back = be16(frame, 34);
    network->send(datagram(kRouter, 7, other.port, "nobody asked"));
    network->send(datagram(kRouter, 7, back, "answer"));
    EXPECT_EQ(host.receive(), "answer") << restricted;
    EXPECT_EQ(other.receive(50), "") << restricted;
  }
}

/// Asks for an address and waits for what comes.
TEST(UserNetwork, AnswersArpForItsRouter) {
  const auto network = open_user_network({}, {});
  network->send(arp_frame(false));
  pollfd waiting{network->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, 5000), 1);
  const auto frame = network->receive();
  ASSERT_TRUE(frame);
  EXPECT_GE(frame->size(), 60u);
  EXPECT_EQ(be16(*frame, 12), 0x806);
  EXPECT_EQ(be16(*frame, 20), 2);
  EXPECT_FALSE(network->receive());
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
}

TEST(UserNetwork, AnyFramesDoNoHarm) {
  const auto network = open_user_network(with_udp_forward(), {});
  std::mt19937_64 random(2);
  for (int i = 0; i < 3000; ++i) {
    Bytes frame(random() % 2 == 0 ? random() % 100 : random() % 3000);
    for (u8& byte : frame) byte = static_cast<u8>(random());
    if (frame.size() > 40) {
      frame[12] = 8;
      frame[13] = random() % 4 == 0 ? 6 : 0;
      frame[14] = 0x45;
      frame[14 + 9] = random() % 2 == 0 ? kUdp : kTcp;
      const Bytes router = {10, 0, 2, 2};
      std::copy(router.begin(), router.end(), frame.begin() + 30);
    }
    network->send(frame);
  }
  for (int i = 0; i < 100; ++i) network->receive();
}

TEST(UserNetwork, APortThatIsTakenIsSaidInOneLine) {
  std::string told;
  NetworkOptions options = with_udp_forward();
  const auto first = open_user_network(options, [&](const std::string& line) { told = line; });
  unsigned port = 0;
  ASSERT_EQ(std::sscanf(told.c_str(), "hostfwd udp: 127.0.0.1:%u leads to 10.0.2.15:7", &port), 1) << told;
  options.forwards[0].host_port = static_cast<u16>(port);
  try {
    open_user_network(options, {});
    FAIL() << "taken twice";
  } catch (const Fatal& problem) {
    EXPECT_NE(std::string(problem.what()).find("cannot be listened on"), std::string::npos) << problem.what();
  }
}

}  // namespace
}  // namespace hindcast::replay::test
