#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "gdb/serve.h"
#include "replay/listen.h"

namespace hindcast::gdb {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Fatal(fmt::format("--listen {}: {}", where, what));
}

}  // namespace

Listener::Listener(const std::string& where) {
  if (where.starts_with("unix:"))
    listen_unix(where.substr(5));
  else
    listen_tcp(where);
}

Listener::~Listener() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void Listener::listen_unix(const std::string& path) {
  fd_ = replay::listen_on_path(path, "--listen unix:" + path);
  path_ = address_ = path;
}

void Listener::listen_tcp(const std::string& where) {
  const std::size_t colon = where.rfind(':');
  std::string host = colon == std::string::npos ? "" : where.substr(0, colon);
  const std::string port = colon == std::string::npos ? where : where.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "127.0.0.1";
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos ||
      std::stoul(port) > 65535)
    fail(where, "expected HOST:PORT");
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
    fail(where, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  fd_ = ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd_ < 0 || ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd_, list->ai_addr, list->ai_addrlen) != 0 || ::listen(fd_, 1) != 0)
    fail(where, std::strerror(errno));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  char number[NI_MAXSERV] = "";
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&bound), size, nullptr, 0, number, sizeof number,
                    NI_NUMERICSERV) != 0)
    fail(where, "its address cannot be read");
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  address_ = host + ":" + number;
}

}  // namespace hindcast::gdb
