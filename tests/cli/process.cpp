#include "tests/cli/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace hindcast::cli_test {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read = ends[0];
    write = ends[1];
  }
};

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

/// In the child, between fork and exec: connects descriptor `to`.
void connect(int to, Stream stream, const std::string& file, int pipe_end) {
  if (!file.empty() || stream == Stream::Null)
    pipe_end = ::open(file.empty() ? "/dev/null" : file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (pipe_end < 0 || ::dup2(pipe_end, to) != to) ::_exit(126);
}

}  // namespace

bool Outcome::one_line() const {
  return err.starts_with("hindcast: ") && err.size() > 12 && err.find('\n') == err.size() - 1;
}

std::string Outcome::describe() const {
  return "status " + std::to_string(status) + ", signal " + std::to_string(signal) +
         (timed_out ? ", timed out" : "") + ", stderr: " + err.substr(0, 500);
}

Process::Process(const std::vector<std::string>& arguments, const SpawnOptions& options) {
  Pipe input, output, error;
  std::vector<char*> argv;
  std::string program = HINDCAST_COMMAND;
  argv.push_back(program.data());
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  for (const std::string& entry : options.environment)
    environment.push_back(const_cast<char*>(entry.c_str()));
  environment.push_back(nullptr);

  group_ = options.group;
  has_input_ = options.input == Stream::Pipe && options.input_file.empty();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) {
    if (options.group) ::setpgid(0, 0);
    connect(0, options.input, options.input_file, input.read);
    connect(1, options.output, options.output_file, output.write);
    connect(2, options.error, options.error_file, error.write);
    // Last, so that nothing opened above takes the place.
    if (options.input == Stream::Closed) ::close(0);
    if (options.output == Stream::Closed) ::close(1);
    if (options.error == Stream::Closed) ::close(2);
    ::signal(SIGPIPE, SIG_DFL);  // as a shell starts it, whatever these tests do with it
    if (options.file_size_limit != 0) {
      rlimit limit{options.file_size_limit, options.file_size_limit};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::execve(program.c_str(), argv.data(), environment.data());
    ::_exit(127);
  }
  if (options.group) ::setpgid(pid_, pid_);  // whichever is first
  ::close(input.read);
  ::close(output.write);
  ::close(error.write);
  input_ = input.write;
  output_ = output.read;
  error_ = error.read;
  ::fcntl(output_, F_SETFL, O_NONBLOCK);
  ::fcntl(error_, F_SETFL, O_NONBLOCK);
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_input();
  close_fd(output_);
  close_fd(error_);
}

void Process::write(const std::string& text) {
  if (!has_input_ && !text.empty()) ADD_FAILURE() << "the command reads no pipe: '" << text << "' is lost";
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t put = ::write(input_, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;  // it has gone; the outcome says why
    done += static_cast<std::size_t>(put);
  }
}

void Process::close_input() { close_fd(input_); }
void Process::close_output() { close_fd(output_); }
void Process::close_error() { close_fd(error_); }
void Process::signal(int number) { ::kill(group_ ? -pid_ : pid_, number); }

/// Reads what is there, waiting at most `limit` for some. False when both streams have ended.
bool Process::pump(Milliseconds limit) {
  pollfd fds[2] = {{output_, POLLIN, 0}, {error_, POLLIN, 0}};
  if (output_ < 0 && error_ < 0) return false;
  ::poll(fds, 2, static_cast<int>(limit.count()));
  auto drain = [](int& fd, std::string& into) {
    char buffer[65536];
    while (fd >= 0) {
      ssize_t got = ::read(fd, buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0)
        close_fd(fd);
      else
        into.append(buffer, static_cast<std::size_t>(got));
    }
  };
  drain(output_, outcome_.out);
  drain(error_, outcome_.err);
  return output_ >= 0 || error_ >= 0;
}

bool Process::await(const std::string& text, Milliseconds limit) {
  auto end = Clock::now() + limit;
  while (outcome_.out.find(text) == std::string::npos) {
    if (Clock::now() > end || !pump(Milliseconds(100))) return outcome_.out.find(text) != std::string::npos;
  }
  return true;
}

std::string Process::await_error(const std::string& text, Milliseconds limit) {
  for (auto end = Clock::now() + limit; Clock::now() < end && pump(Milliseconds(100));) {
    const std::size_t at = outcome_.err.find(text), stop = outcome_.err.find('\n', at);
    if (at == std::string::npos || stop == std::string::npos) continue;
    const std::size_t begin = outcome_.err.rfind('\n', at) + 1;  // none: 0
    return outcome_.err.substr(begin, stop - begin);
  }
  return "";
}

Outcome Process::finish(Milliseconds limit) {
  auto end = Clock::now() + limit;
  int status = 0;
  // The streams may be held open, or closed early: only the process says when it has ended.
  for (;;) {
    if (!pump(Milliseconds(20))) ::usleep(500);
    pid_t done = ::waitpid(pid_, &status, WNOHANG);
    if (done == pid_) break;
    if (Clock::now() > end && !outcome_.timed_out) {
      outcome_.timed_out = true;
      ::kill(pid_, SIGKILL);
    }
  }
  pid_ = -1;
  while (pump(Milliseconds(0)) && Clock::now() < end) {
  }
  if (WIFEXITED(status)) outcome_.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  return outcome_;
}

Outcome hindcast(const std::vector<std::string>& arguments, const std::string& input,
                 const SpawnOptions& options) {
  SpawnOptions with_pipe = options;
  if (options.input == Stream::Null && !input.empty()) with_pipe.input = Stream::Pipe;
  Process process(arguments, with_pipe);
  process.write(input);
  process.close_input();
  return process.finish();
}

TempFolder::TempFolder() : path_((std::filesystem::temp_directory_path() / "hindcast-cli-XXXXXX").string()) {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp");
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& data) {
  std::ofstream(path, std::ios::binary) << data;
}

void in_parallel(unsigned count, const std::function<void(unsigned)>& work) {
  std::atomic<unsigned> next = 0;
  auto loop = [&] {
    for (unsigned i; (i = next++) < count;) work(i);
  };
  std::thread other(loop);
  loop();
  other.join();
}

namespace {
/// Writing to a command that has gone is an error of write(), not the end of the tests.
[[maybe_unused]] const auto ignore_sigpipe = ::signal(SIGPIPE, SIG_IGN);
}  // namespace

}  // namespace hindcast::cli_test
