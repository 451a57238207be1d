// The server as a process, and clients that say exactly what they are told to say.
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "gdb/packet.h"
#include "tests/gdb/real_gdb.h"

namespace hindcast::gdb {

using Clock = std::chrono::steady_clock;
using Ms = std::chrono::milliseconds;

/// The command as a child, its console on pipes.
class Child {
 public:
  Child(std::vector<std::string> arguments, const fs::path& folder)
      : out_(folder / "out"), err_(folder / "err") {
    int input[2];
    if (::pipe2(input, O_CLOEXEC) != 0) std::abort();
    input_ = input[1];
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(input[0], 0);
      ::dup2(::open(out_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
      ::dup2(::open(err_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), 2);
      std::vector<char*> argv = {const_cast<char*>(HINDCAST_COMMAND)};
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(126);
    }
    ::close(input[0]);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(input_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void type(const std::string& text) {
    ASSERT_EQ(::write(input_, text.data(), text.size()), ssize_t(text.size()));
  }
  void signal(int number) const { ::kill(pid_, number); }
  std::string out() const { return read(out_); }
  std::string err() const { return read(err_); }
  bool running() {
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
      pid_ = -1;
    }
    return pid_ > 0;
  }
  /// The exit status; -1000 if it does not end.
  int wait() {
    for (int i = 0; i < 2000 && running(); ++i) std::this_thread::sleep_for(Ms(10));
    return pid_ > 0 ? -1000 : status_;
  }

 private:
  static std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path out_, err_;
  int input_ = -1;
  pid_t pid_ = -1;
  int status_ = -1;
};

/// A client that says exactly what it is told to say.
class Client {
 public:
  explicit Client(const std::string& socket) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket.copy(address.sun_path, sizeof address.sun_path - 1);
    for (int i = 0; i < 500 && fd_ < 0; ++i) {
      fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
      ::close(std::exchange(fd_, -1));
      std::this_thread::sleep_for(Ms(10));
    }
  }
  ~Client() { hang_up(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void hang_up() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void send(const std::string& bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void say(const std::string& payload) { send(frame(payload)); }
  /// The next packet that is no text for the console; "<none>" if none comes in time.
  std::string hear(Ms limit = Ms(20'000)) {
    const auto until = Clock::now() + limit;
    for (;;) {
      while (auto item = reader_.next())
        if (item->kind == Item::Kind::Packet) {
          send("+");
          if (item->data.size() < 2 || item->data[0] != 'O' || item->data == "OK") return item->data;
        }
      pollfd poll_in{fd_, POLLIN, 0};
      const auto left = std::chrono::duration_cast<Ms>(until - Clock::now()).count();
      if (left <= 0 || ::poll(&poll_in, 1, static_cast<int>(left)) <= 0) return "<none>";
      char buffer[4096];
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) return "<gone>";
      reader_.feed({buffer, static_cast<std::size_t>(got)});
    }
  }
  std::string ask(const std::string& payload) {
    say(payload);
    return hear();
  }

 private:
  int fd_ = -1;
  PacketReader reader_;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(guest("irq-fifo"))) GTEST_SKIP() << "no guest";
    folder = fs::temp_directory_path() / ("hindcast-server-test-" + std::to_string(::getpid()));
    fs::create_directories(folder);
  }
  void TearDown() override {
    if (!folder.empty()) fs::remove_all(folder);
  }
  static std::string guest(const std::string& name) {
    return std::string(HINDCAST_GUEST_DIR) + "/" + name + "-rv64gc.elf";
  }
  std::string socket() { return folder / "socket"; }
  std::string listen() { return "--listen=unix:" + socket(); }
  std::string rec() { return folder / "rec"; }
  /// The whole console output of the recording, and its status.
  std::string replayed(int* status) {
    return shell(std::string(HINDCAST_COMMAND) + " replay " + rec(), status);
  }

  fs::path folder;
};

}  // namespace hindcast::gdb
