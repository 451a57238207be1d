// The guest's console in gdb's window: what the guest prints is shown by gdb.
#pragma once
#include "gdb/session.h"
#include "replay/console.h"

namespace hindcast::gdb {

class ClientConsole final : public replay::Console {
 public:
  /// `reads`: what is typed in gdb, while it lets the guest run, is the input (File-I/O); else there is none.
  explicit ClientConsole(bool reads = false);
  ~ClientConsole() override;

  /// Null: output is dropped. The session must outlive its use here.
  void attach(Session* session);

  bool input_open() const override { return reads_; }
  int input_fd() const override;
  bool wait(u64 timeout_ns, int wake_fd) override;
  std::size_t read(u8* buffer, std::size_t size) override;
  void write(ByteView data, const std::function<bool()>& give_up) override;

 private:
  Session* session_ = nullptr;
  bool reads_;
  int ready_ = -1;  // an eventfd, readable while there is a session: reading waits for gdb's user
};

}  // namespace hindcast::gdb
