#include "replay/host_io.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace hindcast::replay {

bool wait_readable(int fd, u64 timeout_ns, int wake_fd) {
  pollfd fds[2] = {{fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
  timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                   static_cast<long>(timeout_ns % 1'000'000'000)};
  const int n = ::ppoll(fds, 2, timeout_ns == kNever ? nullptr : &timeout, nullptr);
  return n > 0 && fds[0].revents != 0;
}

bool write_all(int fd, ByteView data, const std::function<bool()>& give_up) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n >= 0) {
      data = data.subspan(static_cast<std::size_t>(n));
    } else if (errno == EINTR) {
      if (give_up()) return true;
    } else if (errno == EAGAIN) {
      // Somebody who shares the descriptor made it non-blocking.
      pollfd waiting{fd, POLLOUT, 0};
      if (::poll(&waiting, 1, -1) < 0 && give_up()) return true;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace hindcast::replay
