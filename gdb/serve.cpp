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

class Connection {
 public:
  Connection(Session& session, int fd, int stop_fd) : session_(session), fd_(fd), stop_fd_(stop_fd) {}

  /// Until the client goes away or asks for it, or `stop_fd` becomes readable.
  void run() {
    session_.begin();
    session_.on_packet([this](const std::string& payload) { send(frame(payload)); });
    while (open_ && session_.request() == Session::Request::None && !stopped()) {
      while (open_ && session_.request() == Session::Request::None) {
        const auto item = reader_.next();
        if (!item) break;
        take(*item);
      }
      if (open_ && session_.request() == Session::Request::None && wait(-1)) receive();
    }
    session_.on_packet(nullptr);
  }

 private:
  bool stopped() const {
    pollfd poll_stop{stop_fd_, POLLIN, 0};
    return ::poll(&poll_stop, 1, 0) > 0;
  }
  /// True when there is something to receive.
  bool wait(int timeout_ms) const {
    std::array<pollfd, 2> fds{{{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}}};
    return ::poll(fds.data(), fds.size(), timeout_ms) > 0 && fds[0].revents != 0;
  }

  void receive() {
    const std::string bytes = read_some();
    if (!bytes.empty()) reader_.feed(bytes);
  }
  std::string read_some() {
    std::array<char, 65536> buffer;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) return {};
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
    const bool moves = packet.find_first_of("csCSbRv") == 0 || packet.starts_with("qRcmd,");
    if (!moves) return session_.handle(packet);
    const Descriptor done(::eventfd(0, EFD_CLOEXEC));
    std::string arrived;
    std::thread listener([&] { listen(done.get(), arrived); });
    auto reply = session_.handle(packet);
    const u64 one = 1;
    // An eventfd with room takes 8 bytes at once.
    if (::write(done.get(), &one, sizeof one) != sizeof one) std::terminate();
    listener.join();
    reader_.feed(arrived);
    return reply;
  }

  void listen(int done, std::string& arrived) {
    bool interrupted = false;
    for (;;) {
      std::array<pollfd, 3> fds{{{done, POLLIN, 0}, {fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}}};
      if (!open_) fds[1].fd = -1;
      if (interrupted) fds[2].fd = -1;
      ::poll(fds.data(), fds.size(), interrupted ? kAgainMs : -1);
      if (fds[0].revents != 0) return;
      if (fds[2].revents != 0) interrupted = true;
      if (fds[1].revents != 0) {
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

  void answer(const std::string& payload) {
    last_ = frame(payload);
    send(last_);
  }
  void send(std::string_view bytes) {
    while (open_ && !bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0)
        open_ = false;
      else
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  Session& session_;
  int fd_, stop_fd_;
  PacketReader reader_;
  std::string last_;
  std::atomic<bool> open_ = true;
};

}  // namespace

void serve(Session& session, Listener& listener, int stop_fd) {
  for (;;) {
    std::array<pollfd, 2> fds{{{listener.fd(), POLLIN, 0}, {stop_fd, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) continue;
    if (fds[1].revents != 0) return;
    const Descriptor client(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() < 0) continue;  // it has gone away already
    const int on = 1;
    // Fails on a socket that is not TCP, which has no such delay.
    ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection(session, client.get(), stop_fd).run();
    if (session.request() == Session::Request::Kill) return;
  }
}

}  // namespace hindcast::gdb
