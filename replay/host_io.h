// Waiting on descriptors that other processes share, and writing to them.
#pragma once
#include <functional>
#include <span>

#include "engine/types.h"

namespace hindcast::replay {

/// Waits until `fd` (-1: none) is readable or at its end. False after the timeout (kNever: none), a signal,
/// or when only `wake_fd` (-1: none) is.
bool wait_readable(int fd, u64 timeout_ns, int wake_fd);
/// Likewise for any of `fds`.
bool wait_any_readable(std::span<const int> fds, u64 timeout_ns, int wake_fd);
/// False when the descriptor takes no more (errno says why). True also when `give_up` said so after a signal.
bool write_all(int fd, ByteView data, const std::function<bool()>& give_up);

}  // namespace hindcast::replay
