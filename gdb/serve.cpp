#include "gdb/serve.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace hindcast::gdb {
namespace {

/// How often a stop is asked for again, while a move does not end: it may not have begun when it was asked.
constexpr int kAgainMs = 10;
constexpr char kInterruptByte = 0x03;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// While nothing moves, the host's side of a live run is looked at this often.
constexpr int kLookMs = 50;

/// What ends serving: `stop_fd`, or what ends a live run.
class Ending {
 public:
  Ending(Session& session, int stop_fd) : session_(session), stop_fd_(stop_fd) {}
  std::array<pollfd, 2> fds() const {
    const auto* timeline = session_.timeline();
    return {{{stop_fd_, POLLIN, 0}, {timeline != nullptr ? timeline->signal_fd() : -1, POLLIN, 0}}};
  }
  /// Waits until `fd` can be read. False: serving is to end.
  bool wait_for(int fd) const {
    for (;;) {
      const auto [stop, signal] = fds();
      std::array<pollfd, 3> all{{{fd, POLLIN, 0}, stop, signal}};
      const bool live = signal.fd >= 0;
      const int ready = ::poll(all.data(), all.size(), live ? kLookMs : -1);
      if (ready > 0 && (all[1].revents | all[2].revents) != 0) return false;
      if (live && !session_.timeline()->look_at_host()) return false;
      if (ready > 0 && all[0].revents != 0) return true;
    }
  }
  /// Waits until `fd` can be written. False: serving is to end. From the thread that moves.
  bool wait_for_room(int fd) const {
    for (;;) {
      const auto [stop, signal] = fds();
      std::array<pollfd, 3> all{{{fd, POLLOUT, 0}, stop, signal}};
      if (::poll(all.data(), all.size(), -1) <= 0) continue;
      if (all[0].revents != 0) return true;
      if ((all[1].revents | all[2].revents) != 0) return false;
    }
  }

 private:
  Session& session_;
  int stop_fd_;
};

/// Runs `work` while another thread runs `watch`, which gets a descriptor that becomes readable when the work
/// is done.
template <typename Work, typename Watch>
void watched(const Work& work, const Watch& watch) {
  const Descriptor done(::eventfd(0, EFD_CLOEXEC));
  if (done.get() < 0) throw Fatal("the host gives no event descriptor: too many open files");
  struct Watcher {
    // However the work ends.
    ~Watcher() {
      const u64 one = 1;
      // An eventfd with room takes 8 bytes at once.
      if (::write(done, &one, sizeof one) != sizeof one) std::terminate();
      thread.join();
    }
    int done;
    std::thread thread;
  };
  const Watcher watcher{done.get(), std::thread([&] { watch(done.get()); })};
  work();
}

class Connection {
 public:
  Connection(Session& session, int fd, const Ending& ending) : session_(session), fd_(fd), ending_(ending) {}

  /// Until the client goes away or asks for it. False: serving is to end.
  bool run() {
    session_.begin();
    session_.on_packet([this](const std::string& payload) { send(frame(payload)); });
    session_.file_io().connect(
        [this](const std::string& request, const FileIo::Serve& serve) { return converse(request, serve); });
    session_.file_io().on_interrupt([this] { session_.interrupt(); });
    bool go_on = true;
    while (open_ && session_.request() == Session::Request::None && go_on) {
      while (open_ && session_.request() == Session::Request::None) {
        const auto item = reader_.next();
        if (!item) break;
        take(*item);
      }
      if (!open_ || session_.request() != Session::Request::None) break;
      go_on = ending_.wait_for(fd_);
      if (go_on) receive();
    }
    session_.on_packet(nullptr);
    session_.file_io().connect(nullptr);
    return go_on;
  }

 private:
  void receive() {
    const std::string bytes = read_some();
    if (!bytes.empty()) reader_.feed(bytes);
  }
  std::string read_some() {
    std::array<char, 65536> buffer;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return {};
    if (got <= 0) {
      open_ = false;
      return {};
    }
    return {buffer.data(), static_cast<std::size_t>(got)};
  }

  void take(const Item& item) {
    using Kind = Item::Kind;
    const bool acknowledges = !session_.no_ack();
    switch (item.kind) {
      case Kind::Packet: {
        if (acknowledges) send("+");
        const auto reply = handle(item.data);
        reader_.trust(session_.no_ack());
        if (reply) answer(*reply);
        break;
      }
      case Kind::Damaged: send("-"); break;
      case Kind::TooLong:
        if (acknowledges) send("+");
        answer(kError);
        break;
      case Kind::Nack:
        if (acknowledges && !last_.empty()) send(last_);
        break;
      case Kind::Ack:
      case Kind::Interrupt: break;  // nothing runs
    }
  }

  /// Handles a packet while another thread listens for the interrupt byte and for the client going away.
  std::optional<std::string> handle(const std::string& packet) {
    const bool moves = packet.find_first_of("csCSbRv") == 0 || packet.starts_with("qRcmd,") ||
                       packet.starts_with("QT") || packet.starts_with("qXfer:btrace:");
    if (!moves) return session_.handle(packet);
    std::string arrived;
    std::optional<std::string> reply;
    const auto end = ending_.fds();
    // It may have come with the packet.
    const bool interrupted = reader_.take_interrupt();
    watched([&] { reply = session_.handle(packet); },
            [&](int done) { listen(done, end, interrupted, arrived); });
    reader_.feed(arrived);
    return reply;
  }

  void listen(int done, const std::array<pollfd, 2>& end, bool interrupted, std::string& arrived) {
    for (;;) {
      std::array<pollfd, 4> fds{{{done, POLLIN, 0}, {fd_, POLLIN, 0}, end[0], end[1]}};
      if (!open_) {
        fds[1].fd = -1;
        interrupted = true;  // a conversation may be what has noticed
      }
      if (interrupted) fds[2].fd = fds[3].fd = -1;
      ::poll(fds.data(), fds.size(), interrupted ? kAgainMs : -1);
      if (fds[0].revents != 0) return;
      if ((fds[2].revents | fds[3].revents) != 0) interrupted = true;
      if (fds[1].revents != 0) {
        // In a conversation the other thread takes what comes.
        const std::lock_guard reading(reading_);
        const std::string bytes = read_some();
        if (!open_) interrupted = true;
        for (char c : bytes)
          if (c == kInterruptByte)
            interrupted = true;
          else if (arrived.size() < 2 * kMaxPacket)
            arrived += c;
      }
      if (interrupted) session_.interrupt();
    }
  }

  /// FileIo::Converse: on the thread that moves, while the other listens.
  std::optional<std::string> converse(const std::string& request, const FileIo::Serve& serve) {
    const std::lock_guard reading(reading_);
    const auto end = ending_.fds();
    answer(request);
    for (;;) {
      while (const auto item = reader_.next()) {
        if (item->kind == Item::Kind::Interrupt) session_.interrupt();
        if (item->kind == Item::Kind::Nack && !session_.no_ack()) send(last_);
        if (item->kind == Item::Kind::Damaged) send("-");
        if (item->kind != Item::Kind::Packet) continue;
        if (!session_.no_ack()) send("+");
        if (item->data.starts_with('F')) return item->data;
        answer(serve(item->data));
      }
      if (!open_) return std::nullopt;
      std::array<pollfd, 3> fds{{{fd_, POLLIN, 0}, end[0], end[1]}};
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if ((fds[1].revents | fds[2].revents) != 0) return std::nullopt;
      receive();
    }
  }

  void answer(const std::string& payload) {
    last_ = frame(payload);
    send(last_);
  }
  void send(std::string_view bytes) {
    // A client that does not read keeps the run waiting, but not its end.
    while (open_ && !bytes.empty()) {
      if (!ending_.wait_for_room(fd_)) {
        open_ = false;
        return;
      }
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (sent <= 0)
        open_ = false;
      else
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  Session& session_;
  int fd_;
  const Ending& ending_;
  PacketReader reader_;
  std::string last_;
  std::mutex reading_;  // held while bytes are taken from the client
  std::atomic<bool> open_ = true;
};

/// A client that was accepted. Null: it has gone away already.
std::unique_ptr<Descriptor> accept(const Listener& listener) {
  auto client = std::make_unique<Descriptor>(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (client->get() < 0) return nullptr;
  const int on = 1;
  // Fails on a socket that is not TCP, which has no such delay.
  ::setsockopt(client->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return client;
}

/// Whether a client of which something can be read has said something, and has not gone away.
bool speaks(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/// A live run goes on until `fd` can be read, or serving is to end. True: it has ended.
bool run_free(Session& session, int fd, const Ending& ending) {
  bool ended = false;
  const auto end = ending.fds();
  const auto watch = [&](int done) {
    for (bool interrupted = false;;) {
      std::array<pollfd, 4> fds{{{done, POLLIN, 0}, {interrupted ? -1 : fd, POLLIN, 0}, end[0], end[1]}};
      if (interrupted) fds[2].fd = fds[3].fd = -1;
      ::poll(fds.data(), fds.size(), interrupted ? kAgainMs : -1);
      if (fds[0].revents != 0) return;
      if ((fds[1].revents | fds[2].revents | fds[3].revents) != 0) interrupted = true;
      if (interrupted) session.interrupt();
    }
  };
  watched([&] { ended = session.timeline()->run_free(); }, watch);
  return ended;
}

}  // namespace

void serve(Session& session, Listener& listener, int stop_fd, ServeOptions options) {
  const Ending ending(session, stop_fd);
  std::unique_ptr<Descriptor> client;  // it has not said anything yet
  bool free = options.free;
  for (;;) {
    const int fd = client ? client->get() : listener.fd();
    if (free && run_free(session, fd, ending)) return;
    if (!ending.wait_for(fd)) return;
    if (!client) {
      client = accept(listener);
      continue;
    }
    if (speaks(fd)) {
      if (!Connection(session, fd, ending).run()) return;
      if (session.request() == Session::Request::Kill || session.killed() || options.once) return;
      const bool live = session.timeline() != nullptr && session.timeline()->has_present();
      free = live && session.request() == Session::Request::Detach;
      if (live && !free) session.lost();
    }
    client.reset();
  }
}

}  // namespace hindcast::gdb
