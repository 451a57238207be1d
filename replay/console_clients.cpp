#include "replay/console_clients.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "replay/host_io.h"
#include "replay/listen.h"

namespace hindcast::replay {
namespace {

/// Not fmt::print: a note that cannot be written must not end the run.
void say(const std::string& line) { std::fputs(("hindcast: " + line + "\n").c_str(), stderr); }

/// HOST:PORT, [V6]:PORT or :PORT in its parts.
std::pair<std::string, std::string> split_address(const std::string& address, const std::string& option) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos)
    throw Fatal(fmt::format("{}: HOST:PORT expected, for instance tcp:127.0.0.1:4444", option));
  std::string host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port = address.substr(colon + 1);
  // The resolver takes larger numbers, and drops what does not fit.
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535)
    throw Fatal(fmt::format("{}: '{}' is not a port (1 to 65535, or 0 for any free one)", option, port));
  return {host.empty() ? "127.0.0.1" : host, port};
}

int listen_on(const std::string& address, const std::string& option) {
  auto [host, port] = split_address(address, option);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
    throw Fatal(fmt::format("{}: {}", option, ::gai_strerror(error)));
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
  int last_error = 0;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    const int fd = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) continue;
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, a->ai_addr, a->ai_addrlen) == 0 && ::listen(fd, 1) == 0) return fd;
    last_error = errno;
    ::close(fd);
  }
  throw Fatal(fmt::format("{}: {}", option, std::strerror(last_error)));
}

unsigned bound_port(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<sockaddr_in&>(name).sin_port);
}

class SocketConsole final : public Console {
 public:
  /// `where`: as said to the user. `path`: of a Unix socket, else empty.
  SocketConsole(int listener, std::string path, std::string where, ConsoleName name, int wake_fd)
      : listener_(listener),
        path_(std::move(path)),
        where_(std::move(where)),
        name_(std::move(name)),
        wake_fd_(wake_fd) {}
  ~SocketConsole() override {
    if (client_ >= 0) ::close(client_);
    ::close(listener_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void begin() override {
    if (std::exchange(begun_, true)) return;
    say(fmt::format("{} waits for a connection on {}", name_.what, where_));
    if (wait_readable(listener_, kNever, wake_fd_)) accept_client();
  }

  bool input_open() const override { return true; }
  int input_fd() const override { return client_ >= 0 ? client_ : listener_; }
  std::size_t read(u8* buffer, std::size_t size) override {
    if (client_ < 0 && wait_readable(listener_, 0, -1)) accept_client();
    if (client_ < 0) return 0;
    const ssize_t n = ::recv(client_, buffer, size, MSG_DONTWAIT);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) drop_client();
    return 0;
  }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    if (client_ >= 0 && !write_all(client_, data, give_up)) drop_client();
  }

 private:
  void accept_client() {
    client_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int on = 1;
    if (client_ >= 0 && path_.empty()) ::setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  void drop_client() {
    ::close(client_);
    client_ = -1;
  }

  int listener_;
  std::string path_, where_;
  ConsoleName name_;
  int wake_fd_;
  bool begun_ = false;
  int client_ = -1;
};

class PtyConsole final : public Console {
 public:
  PtyConsole(ConsoleName name, int wake_fd) : name_(std::move(name)), wake_fd_(wake_fd) {
    fd_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    std::array<char, 128> path{};
    if (fd_ < 0 || ::grantpt(fd_) != 0 || ::unlockpt(fd_) != 0 ||
        ::ptsname_r(fd_, path.data(), path.size()) != 0)
      fail();
    path_ = path.data();
    // Opened and closed once, so that it hangs up until somebody else opens it.
    const int user = ::open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios settings{};
    if (user < 0 || ::tcgetattr(user, &settings) != 0) fail();
    ::cfmakeraw(&settings);
    const bool raw = ::tcsetattr(user, TCSANOW, &settings) == 0;
    ::close(user);
    if (!raw) fail();
  }
  ~PtyConsole() override { ::close(fd_); }

  void begin() override {
    if (std::exchange(begun_, true)) return;
    constexpr u64 kLookNs = 50'000'000;
    say(fmt::format("{} waits for somebody to open {}", name_.what, path_));
    while (hung_up()) {
      pollfd wake{wake_fd_, POLLIN, 0};
      if (::poll(&wake, 1, 0) > 0) break;
      wait_readable(-1, kLookNs, wake_fd_);
    }
  }
  bool input_open() const override { return open_; }
  int input_fd() const override { return open_ ? fd_ : -1; }
  std::size_t read(u8* buffer, std::size_t size) override {
    if (!open_ || !wait_readable(fd_, 0, -1)) return 0;
    const ssize_t n = ::read(fd_, buffer, size);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) open_ = false;
    return 0;
  }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    const auto nobody = [&] { return give_up() || hung_up(); };
    if (!nobody() && !write_all(fd_, data, nobody)) open_ = false;
  }

 private:
  [[noreturn]] void fail() {
    const std::string why = std::strerror(errno);
    if (fd_ >= 0) ::close(fd_);
    throw Fatal(fmt::format("{}: no pseudo-terminal: {}", name_.option, why));
  }
  bool hung_up() const {
    pollfd user{fd_, 0, 0};
    return ::poll(&user, 1, 0) > 0 && (user.revents & POLLHUP) != 0;
  }

  ConsoleName name_;
  int wake_fd_;
  int fd_ = -1;
  std::string path_;
  bool begun_ = false;
  bool open_ = true;
};

}  // namespace

std::unique_ptr<Console> open_tcp_console(const std::string& address, ConsoleName name, int wake_fd) {
  const int listener = listen_on(address, name.option);
  const std::string where =
      fmt::format("{}:{}", split_address(address, name.option).first, bound_port(listener));
  return std::make_unique<SocketConsole>(listener, "", where, std::move(name), wake_fd);
}

std::unique_ptr<Console> open_unix_console(const std::string& path, ConsoleName name, int wake_fd) {
  return std::make_unique<SocketConsole>(listen_on_path(path, name.option), path, path, std::move(name),
                                         wake_fd);
}

std::unique_ptr<Console> open_pty_console(ConsoleName name, int wake_fd) {
  return std::make_unique<PtyConsole>(std::move(name), wake_fd);
}

}  // namespace hindcast::replay
