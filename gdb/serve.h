// The socket side of a session: listening, one client at a time, packets in and out, and the interrupt byte
// that arrives while something runs.
#pragma once
#include <functional>
#include <string>

#include "gdb/session.h"

namespace hindcast::gdb {

/// A listening socket. Closed, and its file removed, by the destructor.
class Listener {
 public:
  /// "HOST:PORT", "PORT" and ":PORT" (127.0.0.1), "[::1]:PORT", or "unix:PATH". Port 0: a free one. Throws
  /// Fatal with what is wrong.
  explicit Listener(const std::string& where);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// What gdb's `target remote` takes.
  const std::string& address() const { return address_; }
  int fd() const { return fd_; }

 private:
  void listen_unix(const std::string& path);
  void listen_tcp(const std::string& where);

  int fd_ = -1;
  std::string address_, path_;
};

/// Serves one client after the other until one of them kills the session, or `stop_fd` becomes readable. A
/// client that goes away leaves the position as it is for the next one.
void serve(Session& session, Listener& listener, int stop_fd);

}  // namespace hindcast::gdb
