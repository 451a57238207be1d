// What of the guest's frames may go to a user network whose host, or everything but forwards, is not for the
// guest.
#pragma once
#include <deque>
#include <set>
#include <tuple>

#include "engine/types.h"
#include "replay/network.h"

namespace hindcast::replay {

/// libslirp can be told to keep a guest from the host's loopback, but only as far as the guest asks for the
/// router's address, and answers to programs on the loopback that use a UDP forward are then lost too. So
/// addresses that the host's kernel takes for its own loopback are never let through, and where libslirp's
/// block is lifted (for the answers' sake), nothing to the router but what it serves itself, segments that
/// open no connection, and answers. Likewise libslirp's restricted mode loses the answers of UDP forwards:
/// with them the restriction is made here. Not thread-safe.
class LoopbackGuard {
 public:
  explicit LoopbackGuard(const NetworkOptions& options) : options_(options) {}
  /// Whether libslirp's own block must be lifted for forwards to work.
  bool lifts_block() const;
  /// Whether libslirp's own restriction must be off for forwards to work.
  bool restricts() const { return options_.restricted && forwards_udp(); }
  /// A frame from the guest may go on.
  bool allows(ByteView frame) const;
  /// A frame for the guest: who sends to a forwarded port may be answered.
  void note(ByteView frame);

 private:
  bool forwards_udp() const;
  bool is_answer(ByteView packet) const;
  bool allows_ipv4(ByteView packet) const;
  bool allows_ipv6(ByteView packet) const;
  static bool allows_router6(ByteView packet);
  bool allows_router(ByteView packet) const;

  NetworkOptions options_;
  /// An address with its port, and the guest's port to which it has sent a datagram.
  using Flow = std::tuple<Ipv4, u16, u16>;
  std::set<Flow> flows_;
  std::deque<Flow> order_;  // the oldest first
};

}  // namespace hindcast::replay
