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

struct ServeOptions {
  bool free = false;  // a live run goes on until a client says something
  bool once = false;  // the first client is the only one
};

/// Serves one client after the other until one of them kills the session, a live run ends while no client
/// holds it, it is to end (a signal), or `stop_fd` (-1: none) becomes readable. A client that goes away
/// leaves the position as it is for the next one; one that detaches from a live run lets it go on.
void serve(Session& session, Listener& listener, int stop_fd, ServeOptions options = {});

}  // namespace hindcast::gdb
