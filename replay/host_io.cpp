#include "replay/host_io.h"

#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace hindcast::replay {

bool wait_readable(int fd, u64 timeout_ns, int wake_fd) {
  return wait_any_readable({&fd, 1}, timeout_ns, wake_fd);
}

bool wait_any_readable(std::span<const int> fds, u64 timeout_ns, int wake_fd) {
  std::vector<pollfd> polled = {{wake_fd, POLLIN, 0}};
  for (int fd : fds) polled.push_back({fd, POLLIN, 0});
  timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                   static_cast<long>(timeout_ns % 1'000'000'000)};
  const int n = ::ppoll(polled.data(), polled.size(), timeout_ns == kNever ? nullptr : &timeout, nullptr);
  return n > 0 &&
         std::any_of(polled.begin() + 1, polled.end(), [](const pollfd& p) { return p.revents != 0; });
}

bool write_all(int fd, ByteView data, const std::function<bool()>& give_up) {
  // A pipe that can be written takes that many bytes without blocking.
  constexpr std::size_t kPiece = PIPE_BUF;
  // A signal may have come just before we wait, so that nothing interrupts the waiting.
  constexpr int kLookUpMs = 50;
  while (!data.empty()) {
    pollfd waiting{fd, POLLOUT, 0};
    const int ready = ::poll(&waiting, 1, kLookUpMs);
    if (ready <= 0) {
      if (give_up()) return true;
      continue;
    }
    const ssize_t n = ::write(fd, data.data(), std::min(data.size(), kPiece));
    if (n >= 0) {
      data = data.subspan(static_cast<std::size_t>(n));
    } else if (errno == EINTR) {
      if (give_up()) return true;
    } else if (errno != EAGAIN) {  // somebody who shares the descriptor made it non-blocking
      return false;
    }
  }
  return true;
}

}  // namespace hindcast::replay
