// A console on a TCP port: one client at a time.
#pragma once
#include <memory>
#include <string>

#include "replay/console.h"

namespace hindcast::replay {

/// Listens on HOST:PORT (port 0: any free one), says so on stderr, and waits for the first client so that it
/// misses nothing. A client that goes may be followed by another; output meanwhile is discarded.
std::unique_ptr<Console> open_tcp_console(const std::string& address, int wake_fd);

// What the kinds of console share.
/// Waits until `fd` (-1: none) is readable or at its end. False after the timeout, a signal, or when only
/// `wake_fd` is.
bool wait_readable(int fd, u64 timeout_ns, int wake_fd);
/// False when the descriptor takes no more (errno says why). True also when `give_up` said so after a signal.
bool write_all(int fd, ByteView data, const std::function<bool()>& give_up);

}  // namespace hindcast::replay
