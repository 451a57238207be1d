// A network of the user's own, by libslirp. It runs on a thread of its own, so that the host's sockets are
// served while the guest computes; frames pass to and from the machine's thread through two bounded queues.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <libslirp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <thread>

#include "replay/host_clock.h"
#include "replay/loopback_guard.h"
#include "replay/network.h"

namespace hindcast::replay {
namespace {

constexpr std::size_t kMaxQueuedFrames = 2048;
/// An Ethernet frame on the wire is at least this long, without its checksum.
constexpr std::size_t kMinFrame = 60;
constexpr u64 kMs = 1'000'000;

in_addr to_network(Ipv4 address) { return {htonl(address)}; }

std::string to_text(Ipv4 address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

/// An event descriptor: readable between raise() and lower().
class Flag {
 public:
  Flag() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw Fatal("the host gives no event descriptor: too many open files");
  }
  ~Flag() { ::close(fd_); }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;
  int fd() const { return fd_; }
  // Neither can fail but where there is nothing to do any more.
  void raise() {
    const u64 one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
  }
  void lower() {
    u64 count = 0;
    [[maybe_unused]] const ssize_t taken = ::read(fd_, &count, sizeof count);
  }

 private:
  int fd_;
};

/// Frames on their way between two threads; what does not fit is lost.
class FrameQueue {
 public:
  void push(Bytes frame) {
    std::lock_guard lock(mutex_);
    if (frames_.size() >= kMaxQueuedFrames) return;
    frames_.push_back(std::move(frame));
    if (frames_.size() == 1) flag_.raise();
  }
  std::optional<Bytes> pop() {
    std::lock_guard lock(mutex_);
    if (frames_.empty()) return std::nullopt;
    Bytes frame = std::move(frames_.front());
    frames_.pop_front();
    if (frames_.empty()) flag_.lower();
    return frame;
  }
  /// Readable while a frame waits.
  int fd() const { return flag_.fd(); }

 private:
  std::mutex mutex_;
  std::deque<Bytes> frames_;
  Flag flag_;
};

class UserNetwork final : public Network {
 public:
  UserNetwork(const NetworkOptions& options, const std::function<void(const std::string&)>& note);
  ~UserNetwork() override {
    ending_ = true;
    stop_.raise();
    if (thread_.joinable()) thread_.join();
    if (slirp_ != nullptr) ::slirp_cleanup(slirp_);
  }
  void send(ByteView frame) override { from_guest_.push(Bytes(frame.begin(), frame.end())); }
  std::optional<Bytes> receive() override { return to_guest_.pop(); }
  int fd() const override { return to_guest_.fd(); }

 private:
  struct Timer {
    SlirpTimerCb callback;
    void* opaque;
    i64 due_ms = -1;  // -1: not set
  };

  void create(const NetworkOptions& options);
  void forward(const NetworkOptions::Forward& forward, const NetworkOptions& options,
               const std::function<void(const std::string&)>& note);
  void loop();
  int wait_ms(u32 slirp_ms) const;
  void fire_timers();
  /// Gives libslirp what the guest has sent; false: nothing.
  bool take_frames();

  static UserNetwork& self(void* opaque) { return *static_cast<UserNetwork*>(opaque); }
  static ssize_t on_frame(const void* data, std::size_t size, void* opaque) {
    const u8* bytes = static_cast<const u8*>(data);
    Bytes frame(bytes, bytes + size);
    frame.resize(std::max(size, kMinFrame));
    self(opaque).guard_.note(frame);
    self(opaque).to_guest_.push(std::move(frame));
    return static_cast<ssize_t>(size);
  }
  static const SlirpCb& callbacks();

  LoopbackGuard guard_;  // the thread's
  FrameQueue from_guest_, to_guest_;
  Flag stop_;
  std::atomic<bool> ending_ = false;
  std::list<Timer> timers_;
  std::vector<pollfd> polled_;
  Slirp* slirp_ = nullptr;
  std::thread thread_;
};

const SlirpCb& UserNetwork::callbacks() {
  static const SlirpCb table = [] {
    SlirpCb cb{};
    cb.send_packet = on_frame;
    cb.guest_error = [](const char*, void*) {};  // a guest may send what it likes
    cb.clock_get_ns = [](void*) { return static_cast<i64>(host_now_ns()); };
    cb.timer_new = [](SlirpTimerCb callback, void* opaque, void* network) -> void* {
      return &self(network).timers_.emplace_back(Timer{callback, opaque});
    };
    cb.timer_free = [](void* timer, void* network) {
      self(network).timers_.remove_if([timer](const Timer& t) { return &t == timer; });
    };
    cb.timer_mod = [](void* timer, i64 when, void*) { static_cast<Timer*>(timer)->due_ms = when; };
    // All that is polled is asked for again before each poll, by the thread that polls.
    cb.register_poll_fd = [](int, void*) {};
    cb.unregister_poll_fd = [](int, void*) {};
    cb.notify = [](void*) {};
    return cb;
  }();
  return table;
}

UserNetwork::UserNetwork(const NetworkOptions& options, const std::function<void(const std::string&)>& note)
    : guard_(options) {
  create(options);
  for (const NetworkOptions::Forward& f : options.forwards) forward(f, options, note);
  // Signals are for the machine's thread.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { loop(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void UserNetwork::create(const NetworkOptions& options) {
  const auto text = [](const std::string& s) { return s.empty() ? nullptr : s.c_str(); };
  std::vector<const char*> search;
  for (const std::string& domain : options.dns_search) search.push_back(domain.c_str());
  search.push_back(nullptr);
  SlirpConfig config{};
  config.version = 1;
  config.restricted = options.restricted && !guard_.restricts() ? 1 : 0;
  config.in_enabled = true;
  config.vnetwork = to_network(options.net);
  config.vnetmask = to_network(options.mask);
  config.vhost = to_network(options.host);
  config.vdhcp_start = to_network(options.dhcp_start);
  config.vnameserver = to_network(options.dns);
  config.in6_enabled = options.ipv6;
  ::inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
  ::inet_pton(AF_INET6, "fec0::2", &config.vhost6);
  ::inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
  config.vprefix_len = 64;
  config.vhostname = text(options.hostname);
  config.vdomainname = text(options.domain);
  config.tftp_path = text(options.tftp_folder);
  config.bootfile = text(options.bootfile);
  config.vdnssearch = search.size() > 1 ? search.data() : nullptr;
  config.disable_host_loopback = !guard_.lifts_block();
  slirp_ = ::slirp_new(&config, &callbacks(), this);
  if (slirp_ == nullptr) throw Fatal("--net user: libslirp refuses this network");
}

/// A port of `address` that nobody has now; 0 if there is none.
u16 free_port(Ipv4 address, bool udp) {
  const int fd = ::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr = to_network(address);
  socklen_t size = sizeof name;
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  ::close(fd);
  return bound ? ntohs(name.sin_port) : u16{0};
}

void UserNetwork::forward(const NetworkOptions::Forward& forward, const NetworkOptions& options,
                          const std::function<void(const std::string&)>& note) {
  const char* protocol = forward.udp ? "udp" : "tcp";
  const Ipv4 guest = forward.guest != 0 ? forward.guest : options.dhcp_start;
  // Another program may be quicker to take a port that was free.
  constexpr int kTries = 5;
  for (int tries = forward.host_port != 0 ? 1 : kTries; tries > 0; --tries) {
    const u16 port = forward.host_port != 0 ? forward.host_port : free_port(forward.host, forward.udp);
    if (::slirp_add_hostfwd(slirp_, forward.udp ? 1 : 0, to_network(forward.host), port, to_network(guest),
                            forward.guest_port) != 0)
      continue;
    if (forward.host_port == 0 && note)
      note(fmt::format("hostfwd {}: {}:{} leads to {}:{}", protocol, to_text(forward.host), port,
                       to_text(guest), forward.guest_port));
    return;
  }
  throw Fatal(fmt::format("--net hostfwd={}: the host's {}:{} cannot be listened on: {}", protocol,
                          to_text(forward.host), forward.host_port, std::strerror(errno)));
}

// ---- The thread ----------------------------------------------------------------------------------------

int UserNetwork::wait_ms(u32 slirp_ms) const {
  constexpr u32 kLongest = 3'600'000;
  i64 wait = std::min(slirp_ms, kLongest);
  const i64 now = static_cast<i64>(host_now_ns() / kMs);
  for (const Timer& timer : timers_)
    if (timer.due_ms >= 0) wait = std::min(wait, std::max<i64>(timer.due_ms - now, 0));
  return static_cast<int>(wait);
}

void UserNetwork::fire_timers() {
  const i64 now = static_cast<i64>(host_now_ns() / kMs);
  for (Timer& timer : timers_) {
    if (timer.due_ms < 0 || timer.due_ms > now) continue;
    timer.due_ms = -1;
    timer.callback(timer.opaque);  // sets itself anew
  }
}

void UserNetwork::loop() {
  static constexpr std::pair<int, short> kEvents[] = {{SLIRP_POLL_IN, POLLIN},
                                                      {SLIRP_POLL_OUT, POLLOUT},
                                                      {SLIRP_POLL_PRI, POLLPRI},
                                                      {SLIRP_POLL_ERR, POLLERR},
                                                      {SLIRP_POLL_HUP, POLLHUP}};
  const auto add = [](int fd, int wanted, void* opaque) {
    short events = 0;
    for (const auto& [slirp, host] : kEvents)
      if ((wanted & slirp) != 0) events = static_cast<short>(events | host);
    self(opaque).polled_.push_back({fd, events, 0});
    return static_cast<int>(self(opaque).polled_.size()) - 1;
  };
  const auto seen = [](int index, void* opaque) {
    int out = 0;
    for (const auto& [slirp, host] : kEvents)
      if ((self(opaque).polled_[static_cast<std::size_t>(index)].revents & host) != 0) out |= slirp;
    return out;
  };
  bool took = false;
  while (!ending_) {
    polled_ = {{stop_.fd(), POLLIN, 0}, {from_guest_.fd(), POLLIN, 0}};
    u32 timeout = ~u32{0};
    ::slirp_pollfds_fill(slirp_, &timeout, add, this);
    const int n = ::poll(polled_.data(), polled_.size(), took ? 0 : wait_ms(timeout));
    ::slirp_pollfds_poll(slirp_, n < 0 ? 1 : 0, seen, this);
    fire_timers();
    // The guest's address may be known now, for which datagrams have waited: once more, at once.
    took = take_frames();
  }
  take_frames();  // those that the guest sent last
}

bool UserNetwork::take_frames() {
  bool any = false;
  while (auto frame = from_guest_.pop()) {
    any = true;
    if (guard_.allows(*frame)) ::slirp_input(slirp_, frame->data(), static_cast<int>(frame->size()));
  }
  return any;
}

}  // namespace

std::shared_ptr<Network> open_user_network(const NetworkOptions& options,
                                           const std::function<void(const std::string&)>& note) {
  return std::make_shared<UserNetwork>(options, note);
}

}  // namespace hindcast::replay
