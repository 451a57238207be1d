#include "tests/guests/run_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>

namespace hindcast::testing {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    read = fds[0];
    write = fds[1];
  }
  ~Pipe() {
    close_end(read);
    close_end(write);
  }
  static void close_end(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

int milliseconds_until(Clock::time_point when) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(when - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left) + 1;
}

bool drain(int& fd, std::string& into) {
  char buffer[4096];
  ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n > 0) {
    into.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  Pipe::close_end(fd);
  return false;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& argv, const std::vector<Keys>& input,
                          unsigned timeout_s) {
  signal(SIGPIPE, SIG_IGN);  // a child that ends early must not take the test with it
  Pipe in, out, err;
  std::vector<char*> args;
  for (const std::string& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    dup2(in.read, 0);
    dup2(out.write, 1);
    dup2(err.write, 2);
    execvp(args[0], args.data());
    _exit(127);
  }
  Pipe::close_end(in.read);
  Pipe::close_end(out.write);
  Pipe::close_end(err.write);

  CommandResult result;
  const auto deadline = Clock::now() + std::chrono::seconds(timeout_s);
  std::size_t next = 0;
  auto next_at = Clock::now();
  if (!input.empty()) next_at += std::chrono::milliseconds(input[0].delay_ms);
  while (out.read >= 0 || err.read >= 0) {
    while (in.write >= 0 && (next == input.size() || Clock::now() >= next_at)) {
      if (next == input.size()) {
        Pipe::close_end(in.write);
        break;
      }
      const std::string& text = input[next++].text;
      if (::write(in.write, text.data(), text.size()) < 0) Pipe::close_end(in.write);
      if (next < input.size()) next_at += std::chrono::milliseconds(input[next].delay_ms);
    }
    if (Clock::now() >= deadline) {
      result.timed_out = true;
      kill(child, SIGKILL);
      break;
    }
    pollfd fds[2] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};
    auto wake = in.write >= 0 && next_at < deadline ? next_at : deadline;
    if (poll(fds, 2, milliseconds_until(wake)) <= 0) continue;
    if (fds[0].revents != 0) drain(out.read, result.out);
    if (fds[1].revents != 0) drain(err.read, result.err);
  }
  int status = 0;
  waitpid(child, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string guest_path(const std::string& name) {
  std::string path = std::string(HINDCAST_GUEST_DIR) + "/" + name + ".elf";
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace hindcast::testing
