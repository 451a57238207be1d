#include "gdb/client_console.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "replay/host_io.h"

namespace hindcast::gdb {

ClientConsole::ClientConsole(bool reads) : reads_(reads) {
  if (!reads_) return;
  ready_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ready_ < 0) throw Fatal("the host gives no event descriptor: too many open files");
}

ClientConsole::~ClientConsole() {
  if (ready_ >= 0) ::close(ready_);
}

void ClientConsole::attach(Session* session) {
  session_ = session;
  if (ready_ < 0) return;
  u64 count = 1;
  // Neither waits, and there is room.
  [[maybe_unused]] const ssize_t n =
      session != nullptr ? ::write(ready_, &count, sizeof count) : ::read(ready_, &count, sizeof count);
}

int ClientConsole::input_fd() const {
  return session_ != nullptr && session_->file_io().available() ? ready_ : -1;
}

bool ClientConsole::wait(u64 timeout_ns, int wake_fd) {
  // Without a gdb that waits nobody can be asked.
  const bool asks = reads_ && session_ != nullptr && session_->file_io().available();
  if (asks) return true;
  replay::wait_readable(-1, timeout_ns, wake_fd);
  return false;
}

std::size_t ClientConsole::read(u8* buffer, std::size_t size) {
  constexpr i64 kStandardInput = 0;
  if (!reads_ || session_ == nullptr || !session_->file_io().available()) return 0;
  std::string data;
  const FileIo::Result result =
      session_->file_io().read(session_->machine().memory(), kStandardInput, size, data);
  // After Ctrl-C, or without gdb, it is asked for again when the guest goes on. After an error it is not: a
  // client that cannot be read would be asked without end.
  const bool later = result.interrupted || result.error == FileIo::kInterrupted || result.gone;
  if (result.value <= 0 && !later) reads_ = false;
  std::copy(data.begin(), data.end(), buffer);
  return data.size();
}

void ClientConsole::write(ByteView data, const std::function<bool()>&) {
  if (session_ != nullptr) session_->guest_output(data);
}

}  // namespace hindcast::gdb
