#include "replay/state_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "replay/state_server.h"

extern char** environ;

namespace hindcast::replay {
namespace {

class LocalSource final : public StateSource {
 public:
  LocalSource(const std::string& path, const EngineOptions& engine) : server_(path, engine) {}
  void ask(const std::string& request) override { request_ = request; }
  std::string finish() override { return server_.answer(request_); }

 private:
  StateServer server_;
  std::string request_;
};

/// A file descriptor that is closed.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

class ProgramSource final : public StateSource {
 public:
  ProgramSource(const std::string& program, const std::string& path) : program_(program) {
    int ends[2];
    // A socket, so that a program that has gone is an error of send() and not a signal.
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw Fatal(fmt::format("no socket for {}: {}", program, std::strerror(errno)));
    socket_.reset(ends[0]);
    const Fd theirs(ends[1]);
    errors_.reset(::memfd_create("hindcast-errors", MFD_CLOEXEC));
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    if (errors_.get() >= 0) ::posix_spawn_file_actions_adddup2(&actions, errors_.get(), 2);
    std::array<std::string, 3> words = {program, "state", path};
    std::array<char*, 4> argv = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    const int problem = ::posix_spawnp(&child_, program.c_str(), &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (problem != 0) throw Fatal(fmt::format("cannot run {}: {}", program, std::strerror(problem)));
  }

  ~ProgramSource() override {
    socket_.reset(-1);  // the end of its input is its end, but it may be in the middle of a long answer
    ::kill(child_, SIGTERM);
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
  }

  void ask(const std::string& request) override {
    const std::string line = request + "\n";
    for (std::size_t at = 0; at < line.size();) {
      const ssize_t n = ::send(socket_.get(), line.data() + at, line.size() - at, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;  // finish() says why
      at += static_cast<std::size_t>(n);
    }
  }

  std::string finish() override {
    constexpr std::size_t kMax = std::size_t{1} << 30;
    for (;;) {
      if (auto end = buffer_.find('\n', searched_); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        searched_ = 0;
        return line;
      }
      searched_ = buffer_.size();
      char piece[65536];
      const ssize_t n = ::read(socket_.get(), piece, sizeof piece);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 || buffer_.size() > kMax)
        throw Fatal(fmt::format("{} gives no states to compare; it must be a hindcast that has 'compare'{}",
                                program_, what_it_said()));
      buffer_.append(piece, static_cast<std::size_t>(n));
    }
  }

 private:
  std::string what_it_said() const {
    std::array<char, 500> text;
    const ssize_t n = ::pread(errors_.get(), text.data(), text.size(), 0);
    if (n <= 0) return "";
    std::string line(text.data(), static_cast<std::size_t>(n));
    return fmt::format(" (it says: {})", line.substr(0, line.find('\n')));
  }

  std::string program_;
  Fd socket_, errors_;
  pid_t child_ = -1;
  std::string buffer_;
  std::size_t searched_ = 0;
};

}  // namespace

std::unique_ptr<StateSource> open_local_source(const std::string& path, const EngineOptions& engine) {
  return std::make_unique<LocalSource>(path, engine);
}

std::unique_ptr<StateSource> open_program_source(const std::string& program, const std::string& path) {
  return std::make_unique<ProgramSource>(program, path);
}

}  // namespace hindcast::replay
