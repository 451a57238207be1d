#include "replay/network_lines.h"

#include <algorithm>

#include "replay/host_clock.h"

namespace hindcast::replay {
namespace {

/// Frames that wait for a guest that has no room for them.
constexpr std::size_t kMaxWaiting = 1024;
/// So long; a guest that has switched its adapter off does not get what came meanwhile.
constexpr u64 kPatienceNs = 500'000'000;
/// Frames given at one position, so that a fast network cannot hold up a guest.
constexpr unsigned kMostAtOnce = 64;
/// An answer from a program on this host, or from the network itself, comes within this.
constexpr u64 kAnswerNs = 2'000'000;

}  // namespace

NetworkLines::NetworkLines(std::vector<std::shared_ptr<Network>> networks, LivePort& port) : port_(port) {
  const std::vector<Channel> channels = port.network_channels();
  for (std::size_t i = 0; i < std::min(networks.size(), channels.size()); ++i)
    lines_.push_back({std::move(networks[i]), channels[i], {}});
}

std::vector<int> NetworkLines::fds() const {
  std::vector<int> fds;
  for (const Line& line : lines_) fds.push_back(line.network->fd());
  return fds;
}

bool NetworkLines::read() {
  bool any = false;
  for (Line& line : lines_) {
    std::optional<Bytes> frame = line.network->receive();
    if (!frame && line.frames.empty()) continue;
    const u64 now = host_now_ns();
    drop_old(line, now);
    for (; frame; frame = line.network->receive()) {
      any = true;
      if (line.frames.size() < kMaxWaiting) line.frames.push_back({std::move(*frame), now});
    }
  }
  return any;
}

void NetworkLines::drop_old(Line& line, u64 host_now) {
  while (!line.frames.empty() && host_now - line.frames.front().since_ns > kPatienceNs && !can_deliver(line))
    line.frames.pop_front();
}

bool NetworkLines::can_deliver(const Line& line) const {
  const InputSink* sink = port_.sink(line.channel, InputKind::Network);
  return !line.frames.empty() && sink != nullptr && line.frames.front().frame.size() <= sink->receivable();
}

bool NetworkLines::can_deliver() const {
  return std::any_of(lines_.begin(), lines_.end(), [this](const Line& line) { return can_deliver(line); });
}

void NetworkLines::deliver() {
  for (Line& line : lines_)
    for (unsigned n = 0; n < kMostAtOnce && can_deliver(line); ++n) {
      const Bytes frame = std::move(line.frames.front().frame);
      line.frames.pop_front();
      port_.inject(InputKind::Network, line.channel, frame);
    }
}

void NetworkLines::flush() {
  if (port_.pending_frames().empty()) return;
  for (const LivePort::Frame& frame : port_.take_frames())
    for (Line& line : lines_)
      if (line.channel == frame.channel) line.network->send(frame.data);
  answer_until_ = host_now_ns() + kAnswerNs;
}

std::vector<std::shared_ptr<Network>> open_networks(const HostOptions& host) {
  std::vector<std::shared_ptr<Network>> networks = host.open_networks;
  if (networks.empty())
    for (const NetworkOptions& options : host.networks)
      networks.push_back(open_user_network(options, host.engine.note));
  return networks;
}

}  // namespace hindcast::replay
