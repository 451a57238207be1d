// What of the guest's frames may go to a user network whose host's loopback is not for the guest.
#pragma once
#include <deque>
#include <set>
#include <utility>

#include "engine/types.h"
#include "replay/network.h"

namespace hindcast::replay {

/// libslirp can be told to keep a guest from the host's loopback, but only as far as the guest asks for the
/// router's address, and answers to programs on the loopback that use a UDP forward are then lost too. So
/// addresses that the host's kernel takes for its own loopback are never let through, and where libslirp's
/// block is lifted (for the answers' sake), nothing to the router but what it serves itself, segments that
/// open no connection, and answers. Not thread-safe.
class LoopbackGuard {
 public:
  explicit LoopbackGuard(const NetworkOptions& options) : options_(options) {}
  /// Whether libslirp's own block must be lifted for forwards to work.
  bool lifts_block() const;
  /// A frame from the guest may go on.
  bool allows(ByteView frame) const;
  /// A frame for the guest: who sends to a forwarded port may be answered.
  void note(ByteView frame);

 private:
  bool allows_ipv4(ByteView packet) const;
  bool allows_ipv6(ByteView packet) const;
  static bool allows_router6(ByteView packet);
  bool allows_router(ByteView packet) const;

  NetworkOptions options_;
  /// Ports of the guest and of the host between which datagrams have come, the oldest first.
  std::set<std::pair<u16, u16>> flows_;
  std::deque<std::pair<u16, u16>> order_;
};

}  // namespace hindcast::replay
