// The networks of a live run and the guest's adapters, brought together: the frames that wait for the guest,
// and where those that it sends go.
#pragma once
#include <deque>
#include <memory>
#include <vector>

#include "replay/live_port.h"
#include "replay/network.h"
#include "replay/session.h"

namespace hindcast::replay {

class NetworkLines {
 public:
  /// The n-th network is that of the n-th adapter, by channel. `port` must outlive it.
  NetworkLines(std::vector<std::shared_ptr<Network>> networks, LivePort& port);

  bool any() const { return !lines_.empty(); }
  /// Readable while read() has something to take, each.
  std::vector<int> fds() const;
  /// Takes what has come, without waiting. True if there was anything.
  bool read();
  /// A frame waits that the guest can take now.
  bool can_deliver() const;
  /// Gives the guest the frames that it can take now, one event each. Only with can_deliver().
  void deliver();
  /// Gives the networks what the guest has sent.
  void flush();
  /// The guest has sent something a moment ago: the answer should not wait for the end of a long slice.
  bool expects_answer(u64 host_now) const { return host_now < answer_until_; }

 private:
  struct Waiting {
    Bytes frame;
    u64 since_ns;
  };
  struct Line {
    std::shared_ptr<Network> network;
    Channel channel;
    std::deque<Waiting> frames;
  };
  bool can_deliver(const Line& line) const;
  /// Loses frames for which the guest has had no room for too long.
  void drop_old(Line& line, u64 host_now);

  LivePort& port_;
  std::vector<Line> lines_;
  u64 answer_until_ = 0;
};

/// What `host` says. Throws Fatal.
std::vector<std::shared_ptr<Network>> open_networks(const HostOptions& host);

}  // namespace hindcast::replay
