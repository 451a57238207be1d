// What the guest asks of gdb's host: files and the console there. The gdb manual, appendix "File-I/O Remote
// Protocol Extension". Only while gdb lets the guest run and waits for a stop.
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/address_space.h"

namespace hindcast::gdb {

/// Used on the thread that moves; available() from any. gdb takes what it needs from the guest's memory:
/// while a request is under way it sees a buffer of ours there instead.
class FileIo {
 public:
  /// A reply. Below 0: failed.
  struct Result {
    i64 value = -1;
    u64 error = 0;             // as the manual numbers them
    bool interrupted = false;  // Ctrl-C was typed in gdb meanwhile
    bool gone = false;         // nobody has answered: the client has gone, or the run is to end
  };
  /// open()'s flags, and errors, as the manual numbers them.
  static constexpr u32 kReadOnly = 0, kWriteOnly = 1, kReadWrite = 2, kAppend = 8, kCreate = 0x200,
                       kTruncate = 0x400;
  static constexpr u64 kInterrupted = 4, kNameTooLong = 91, kUnknown = 9999;

  /// Sends a packet, gives `serve` every packet that comes back and sends its reply, until one begins with
  /// 'F', which is returned. Nullopt: the client has gone, or the run is to end.
  using Serve = std::function<std::string(std::string_view)>;
  using Converse = std::function<std::optional<std::string>(const std::string&, const Serve&)>;
  void connect(Converse converse) { converse_ = std::move(converse); }
  /// gdb waits for a stop.
  void set_running(bool running) { running_ = running; }
  bool available() const { return running_ && converse_ != nullptr; }
  /// Told when Ctrl-C was typed.
  void on_interrupt(std::function<void()> fn) { interrupt_ = std::move(fn); }

  Result open(const AddressSpace& memory, std::string_view path, u32 flags, u32 mode);
  Result close(i64 fd);
  /// As many of `count` bytes as come at once.
  Result read(const AddressSpace& memory, i64 fd, u64 count, std::string& data);
  /// How many of them were taken.
  Result write(const AddressSpace& memory, i64 fd, std::string_view data);
  Result seek(i64 fd, i64 offset, u32 whence);
  Result unlink(const AddressSpace& memory, std::string_view path);
  Result rename(const AddressSpace& memory, std::string_view from, std::string_view to);
  /// Its value is the size.
  Result size(const AddressSpace& memory, i64 fd);

 private:
  /// Where gdb believes the buffer to be: in the largest memory. Sets buffer_'s size. False: there is none.
  bool place(const AddressSpace& memory, std::size_t size);
  Result ask(const std::string& request);
  std::string serve(std::string_view packet);
  std::string name_field(GuestAddr at, std::string_view name);

  Converse converse_;
  std::function<void()> interrupt_;
  std::atomic<bool> running_ = false;
  GuestAddr base_ = 0;
  std::string buffer_;
};

}  // namespace hindcast::gdb
