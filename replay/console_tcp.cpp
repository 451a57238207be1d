#include "replay/console_tcp.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

#include "replay/host_io.h"

namespace hindcast::replay {
namespace {

/// HOST:PORT, [V6]:PORT or :PORT in its parts.
std::pair<std::string, std::string> split_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos)
    throw Fatal(fmt::format("--serial tcp:{}: HOST:PORT expected, for instance tcp:127.0.0.1:4444", address));
  std::string host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port = address.substr(colon + 1);
  // The resolver takes larger numbers, and drops what does not fit.
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535)
    throw Fatal(fmt::format("--serial tcp:{}: '{}' is not a port (1 to 65535, or 0 for any free one)",
                            address, port));
  return {host.empty() ? "127.0.0.1" : host, port};
}

int listen_on(const std::string& address) {
  auto [host, port] = split_address(address);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
    throw Fatal(fmt::format("--serial tcp:{}: {}", address, ::gai_strerror(error)));
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
  throw Fatal(fmt::format("--serial tcp:{}: {}", address, std::strerror(last_error)));
}

unsigned bound_port(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<sockaddr_in&>(name).sin_port);
}

class TcpConsole final : public Console {
 public:
  TcpConsole(const std::string& address, int wake_fd)
      : address_(address), wake_fd_(wake_fd), listener_(listen_on(address)) {}
  ~TcpConsole() override {
    if (client_ >= 0) ::close(client_);
    ::close(listener_);
  }

  void begin() override {
    if (std::exchange(begun_, true)) return;
    // Not fmt::print: a note that cannot be written must not end the run.
    std::fputs(fmt::format("hindcast: the serial port waits for a connection on {}:{}\n",
                           split_address(address_).first, bound_port(listener_))
                   .c_str(),
               stderr);
    if (wait_readable(listener_, kNever, wake_fd_)) accept_client();
  }

  bool input_open() const override { return true; }
  bool wait(u64 timeout_ns, int wake_fd) override {
    return wait_readable(client_ >= 0 ? client_ : listener_, timeout_ns, wake_fd);
  }
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
    if (client_ >= 0) ::setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  void drop_client() {
    ::close(client_);
    client_ = -1;
  }

  std::string address_;
  int wake_fd_;
  int listener_;
  bool begun_ = false;
  int client_ = -1;
};

}  // namespace

std::unique_ptr<Console> open_tcp_console(const std::string& address, int wake_fd) {
  return std::make_unique<TcpConsole>(address, wake_fd);
}

}  // namespace hindcast::replay
