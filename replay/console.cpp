#include "replay/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "replay/console_clients.h"
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

bool Console::wait(u64 timeout_ns, int wake_fd) { return wait_readable(input_fd(), timeout_ns, wake_fd); }

namespace {

class NullConsole final : public Console {
 public:
  bool input_open() const override { return false; }
  std::size_t read(u8*, std::size_t) override { return 0; }
  void write(ByteView, const std::function<bool()>&) override {}
};

/// Output only.
class FileConsole final : public Console {
 public:
  FileConsole(const std::string& path, std::string option) : option_(std::move(option)) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) throw Fatal(fmt::format("{}: {}", option_, std::strerror(errno)));
  }
  void begin() override {
    if (std::exchange(begun_, true)) return;
    // Devices and pipes have nothing to empty.
    if (::ftruncate(fd_, 0) != 0 && errno != EINVAL)
      throw Fatal(fmt::format("{}: {}", option_, std::strerror(errno)));
  }
  ~FileConsole() override { ::close(fd_); }
  bool input_open() const override { return false; }
  std::size_t read(u8*, std::size_t) override { return 0; }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    if (problem_.empty() && !write_all(fd_, data, give_up))
      problem_ = fmt::format("{}: {}", option_, std::strerror(errno));
  }

 private:
  std::string option_;
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
  int input_fd() const override { return open_ ? STDIN_FILENO : -1; }
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

/// Named pipes that exist: whoever makes them decides who reads and writes. Both are opened for reading and
/// writing, so that neither opening waits for the other side nor its going ends anything.
class PipeConsole final : public Console {
 public:
  PipeConsole(const std::string& path, std::string option) : option_(std::move(option)) {
    const bool two =
        ::access((path + ".in").c_str(), F_OK) == 0 && ::access((path + ".out").c_str(), F_OK) == 0;
    in_ = open_pipe(two ? path + ".in" : path);
    out_ = two ? open_pipe(path + ".out") : in_;
  }
  ~PipeConsole() override {
    if (out_ != in_) ::close(out_);
    ::close(in_);
  }
  bool input_open() const override { return true; }
  int input_fd() const override { return in_; }
  std::size_t read(u8* buffer, std::size_t size) override {
    const ssize_t n = wait_readable(in_, 0, -1) ? ::read(in_, buffer, size) : 0;
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  void write(ByteView data, const std::function<bool()>& give_up) override {
    if (problem_.empty() && !write_all(out_, data, give_up))
      problem_ = fmt::format("{}: {}", option_, std::strerror(errno));
  }

 private:
  int open_pipe(const std::string& path) const {
    const int fd = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct stat status {};
    if (fd < 0 || ::fstat(fd, &status) != 0)
      throw Fatal(fmt::format("{}: {}: {}; make it with mkfifo", option_, path, std::strerror(errno)));
    if (!S_ISFIFO(status.st_mode)) {
      ::close(fd);
      throw Fatal(fmt::format("{}: {} is no named pipe; make one with mkfifo", option_, path));
    }
    return fd;
  }
  std::string option_;
  int in_, out_;
};

std::shared_ptr<Console> open_console(const ConsoleOptions& options, ConsoleName name, int wake_fd) {
  using Kind = ConsoleOptions::Kind;
  const auto named = [&](const char* kind) {
    name.option += fmt::format("{}:{}", kind, options.target);
    return name;
  };
  switch (options.kind) {
    case Kind::Stdio: return std::make_shared<StdioConsole>();
    case Kind::File: return std::make_shared<FileConsole>(options.target, named("file").option);
    case Kind::Pipe: return std::make_shared<PipeConsole>(options.target, named("pipe").option);
    case Kind::Tcp: return open_tcp_console(options.target, named("tcp"), wake_fd);
    case Kind::Unix: return open_unix_console(options.target, named("unix"), wake_fd);
    case Kind::Pty: name.option += "pty"; return open_pty_console(name, wake_fd);
    case Kind::None: break;
  }
  return std::make_shared<NullConsole>();
}

}  // namespace

void Consoles::check() const {
  for (const auto& console : {serial, semihosting, extra})
    if (!console->problem().empty()) throw Fatal(console->problem());
}

Consoles open_consoles(const HostOptions& host, bool semihosting, int wake_fd) {
  using Kind = ConsoleOptions::Kind;
  std::optional<ConsoleOptions> own = semihosting ? host.semihosting_console : std::nullopt;
  const bool serial_types = host.serial.kind != Kind::File && host.serial.kind != Kind::None;
  if (semihosting && !own && !serial_types) own = ConsoleOptions{};
  Consoles out{host.console, host.semihosting, host.extra};
  if (!out.serial) out.serial = open_console(host.serial, {"--serial ", "the serial port"}, wake_fd);
  const bool own_semihosting = own && !(own->kind == Kind::Stdio && host.serial.kind == Kind::Stdio);
  if (!out.semihosting)
    out.semihosting = own_semihosting
                          ? open_console(*own, {"--semihosting chardev=", "the semihosting console"}, wake_fd)
                          : out.serial;
  if (out.extra) return out;
  // Standard input and output are there once.
  const bool stdio = host.virtio_console && host.virtio_console->kind == Kind::Stdio;
  if (!host.virtio_console || (stdio && host.serial.kind == Kind::Stdio))
    out.extra = out.serial;
  else if (stdio && own_semihosting && own->kind == Kind::Stdio)
    out.extra = out.semihosting;
  else
    out.extra = open_console(*host.virtio_console, {"--virtio-console ", "the virtio console"}, wake_fd);
  return out;
}

}  // namespace hindcast::replay
