#include "replay/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "replay/console_tcp.h"
#include "replay/host_io.h"
#include "replay/terminal.h"

namespace hindcast::replay {

void ensure_standard_fds() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is fd itself, since those below are open.
    if (::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
      throw Fatal("standard streams are closed and /dev/null cannot be opened in their place");
  }
}

namespace {

class NullConsole final : public Console {
 public:
  bool input_open() const override { return false; }
  bool wait(u64 timeout_ns, int wake_fd) override {
    wait_readable(-1, timeout_ns, wake_fd);
    return false;
  }
  std::size_t read(u8*, std::size_t) override { return 0; }
  void write(ByteView, const std::function<bool()>&) override {}
};

/// Output only.
class FileConsole final : public Console {
 public:
  explicit FileConsole(const std::string& path) : path_(path) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) throw Fatal(fmt::format("--serial file:{}: {}", path, std::strerror(errno)));
  }
  void begin() override {
    if (std::exchange(begun_, true)) return;
    // Devices and pipes have nothing to empty.
    if (::ftruncate(fd_, 0) != 0 && errno != EINVAL)
      throw Fatal(fmt::format("--serial file:{}: {}", path_, std::strerror(errno)));
  }
  ~FileConsole() override { ::close(fd_); }
  bool input_open() const override { return false; }
  bool wait(u64 timeout_ns, int wake_fd) override {
    wait_readable(-1, timeout_ns, wake_fd);
    return false;
  }
  std::size_t read(u8*, std::size_t) override { return 0; }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    if (problem_.empty() && !write_all(fd_, data, give_up))
      problem_ = fmt::format("--serial file:{}: {}", path_, std::strerror(errno));
  }

 private:
  std::string path_;
  int fd_;
  bool begun_ = false;
};

/// Standard input and output. Input is only read after poll() has said that there is some, so that the
/// descriptor, which other processes share, never has to be made non-blocking.
class StdioConsole final : public Console {
 public:
  StdioConsole() {
    if (::isatty(STDIN_FILENO) != 0) terminal_.emplace(STDIN_FILENO);
  }
  bool input_open() const override { return open_; }
  bool interactive() const override { return terminal_.has_value(); }
  bool wait(u64 timeout_ns, int wake_fd) override {
    return wait_readable(open_ ? STDIN_FILENO : -1, timeout_ns, wake_fd);
  }
  std::size_t read(u8* buffer, std::size_t size) override {
    if (!open_ || !wait_readable(STDIN_FILENO, 0, -1)) return 0;
    const ssize_t n = ::read(STDIN_FILENO, buffer, size);
    if (n <= 0) {
      if (n == 0 || (errno != EINTR && errno != EAGAIN)) open_ = false;
      return 0;
    }
    return terminal_ ? filter_keys(buffer, static_cast<std::size_t>(n)) : static_cast<std::size_t>(n);
  }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    if (lost_ || !problem_.empty() || write_all(STDOUT_FILENO, data, give_up)) return;
    // A reader that has gone away, or a terminal that was hung up, is no error.
    if (errno == EPIPE || errno == EIO)
      lost_ = true;
    else
      problem_ =
          fmt::format("the guest's console cannot be written to standard output: {}", std::strerror(errno));
  }
  bool output_lost() const override { return lost_; }
  bool quit_requested() const override { return quit_; }

 private:
  /// Takes out the escapes: Ctrl-A X ends the run, Ctrl-A Ctrl-A is one Ctrl-A, Ctrl-A and any other key is
  /// that key.
  std::size_t filter_keys(u8* keys, std::size_t size) {
    constexpr u8 kEscape = 1;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size; ++i) {
      if (!escaped_ && keys[i] == kEscape) {
        escaped_ = true;
        continue;
      }
      if (escaped_ && (keys[i] == 'x' || keys[i] == 'X'))
        quit_ = true;
      else
        keys[kept++] = keys[i];
      escaped_ = false;
    }
    return kept;
  }

  std::optional<Terminal> terminal_;
  bool open_ = true;
  bool lost_ = false;
  bool quit_ = false;
  bool escaped_ = false;
};

/// Semihosting on standard input and output; the serial port prints elsewhere.
class SplitConsole final : public Console {
 public:
  explicit SplitConsole(std::unique_ptr<Console> serial) : serial_(std::move(serial)) {}
  void begin() override { serial_->begin(); }
  bool input_open() const override { return stdio_.input_open(); }
  bool interactive() const override { return stdio_.interactive(); }
  bool wait(u64 timeout_ns, int wake_fd) override { return stdio_.wait(timeout_ns, wake_fd); }
  std::size_t read(u8* buffer, std::size_t size) override { return stdio_.read(buffer, size); }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    stdio_.write(data, give_up);
    if (problem_.empty()) problem_ = stdio_.problem();
  }
  bool serves_serial() const override { return false; }
  void write_serial(ByteView data, const std::function<bool()>& give_up) override {
    serial_->write(data, give_up);
    if (problem_.empty()) problem_ = serial_->problem();
  }
  bool output_lost() const override { return stdio_.output_lost(); }
  bool quit_requested() const override { return stdio_.quit_requested(); }

 private:
  StdioConsole stdio_;
  std::unique_ptr<Console> serial_;
};

}  // namespace

std::unique_ptr<Console> open_console(const SerialOptions& serial, bool semihosting, int wake_fd) {
  std::unique_ptr<Console> console;
  switch (serial.kind) {
    case SerialOptions::Kind::Stdio: return std::make_unique<StdioConsole>();
    case SerialOptions::Kind::Tcp: return open_tcp_console(serial.target, wake_fd);
    case SerialOptions::Kind::File: console = std::make_unique<FileConsole>(serial.target); break;
    case SerialOptions::Kind::None: console = std::make_unique<NullConsole>(); break;
  }
  if (semihosting) console = std::make_unique<SplitConsole>(std::move(console));
  return console;
}

}  // namespace hindcast::replay
