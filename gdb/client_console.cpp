#include "gdb/client_console.h"

#include "replay/host_io.h"

namespace hindcast::gdb {

bool ClientConsole::wait(u64 timeout_ns, int wake_fd) {
  replay::wait_readable(-1, timeout_ns, wake_fd);
  return false;
}

void ClientConsole::write(ByteView data, const std::function<bool()>&) {
  if (session_ != nullptr) session_->guest_output(data);
}

}  // namespace hindcast::gdb
