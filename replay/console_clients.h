// Consoles that somebody connects to: a socket, a pseudo-terminal. When the run begins they say on stderr
// where, and wait for the first client (or until `wake_fd` is readable) so that it misses nothing.
#pragma once
#include <memory>
#include <string>

#include "replay/console.h"

namespace hindcast::replay {

/// Which console it is, for messages.
struct ConsoleName {
  std::string option;  // "--serial tcp:HOST:PORT"
  std::string what;    // "the serial port"
};

/// Listens on HOST:PORT (port 0: any free one), or on a Unix socket, whose file is removed at the end. One
/// client at a time; one that goes may be followed by another; output meanwhile is discarded.
std::unique_ptr<Console> open_tcp_console(const std::string& address, ConsoleName name, int wake_fd);
std::unique_ptr<Console> open_unix_console(const std::string& path, ConsoleName name, int wake_fd);

/// A new pseudo-terminal in raw mode. Once its user has closed it, the input has ended, and output is
/// discarded.
std::unique_ptr<Console> open_pty_console(ConsoleName name, int wake_fd);

}  // namespace hindcast::replay
