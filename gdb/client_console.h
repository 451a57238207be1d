// The guest's console in gdb's window: what the guest prints is shown by gdb. There is no input.
#pragma once
#include "gdb/session.h"
#include "replay/console.h"

namespace hindcast::gdb {

class ClientConsole final : public replay::Console {
 public:
  /// Null: output is dropped. The session must outlive its use here.
  void attach(Session* session) { session_ = session; }

  bool input_open() const override { return false; }
  bool wait(u64 timeout_ns, int wake_fd) override;
  std::size_t read(u8*, std::size_t) override { return 0; }
  void write(ByteView data, const std::function<bool()>& give_up) override;

 private:
  Session* session_ = nullptr;
};

}  // namespace hindcast::gdb
