// A console on a TCP port: one client at a time.
#pragma once
#include <memory>
#include <string>

#include "replay/console.h"

namespace hindcast::replay {

/// Listens on HOST:PORT (port 0: any free one). When the run begins, it says so on stderr, and waits for the
/// first client (or until `wake_fd` is readable) so that it misses nothing. A client that goes may be
/// followed by another; output meanwhile is discarded.
std::unique_ptr<Console> open_tcp_console(const std::string& address, int wake_fd);

}  // namespace hindcast::replay
