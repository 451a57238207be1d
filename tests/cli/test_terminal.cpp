// On a terminal: keys go to the guest as they are typed, Ctrl-C included; Ctrl-A X ends the run; the status
// line is there, and the terminal is as it was afterwards.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

/// The command with all three streams on a terminal of 24 rows.
class OnTerminal {
 public:
  explicit OnTerminal(const std::vector<std::string>& arguments) {
    winsize size{24, 80, 0, 0};
    if (::openpty(&master_, &slave_, nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty");
    ::tcgetattr(slave_, &before_);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setsid();
      ::ioctl(slave_, TIOCSCTTY, 0);
      for (int fd : {0, 1, 2}) ::dup2(slave_, fd);
      std::string program = HINDCAST_COMMAND;
      std::vector<char*> argv = {program.data()};
      for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      ::execv(program.c_str(), argv.data());
      ::_exit(127);
    }
  }
  ~OnTerminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(master_);
    ::close(slave_);
  }
  void type(const std::string& keys) {
    ASSERT_EQ(::write(master_, keys.data(), keys.size()), ssize_t(keys.size()));
  }
  bool await(const std::string& text, int limit_ms = 20'000) {
    auto end = std::chrono::steady_clock::now() + Milliseconds(limit_ms);
    while (shown_.find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd readable{master_, POLLIN, 0};
      char buffer[4096];
      if (::poll(&readable, 1, 50) > 0) {
        ssize_t n = ::read(master_, buffer, sizeof buffer);
        if (n > 0) shown_.append(buffer, static_cast<std::size_t>(n));
      }
    }
    return true;
  }
  /// Waits until keys are the guest's.
  bool await_raw() {
    for (int i = 0; i < 1000 && restored(); ++i) await("\x01 never shown", 5);
    return !restored();
  }
  /// Exit status, or -1 when it had to be killed.
  int finish() {
    for (int i = 0; i < 500; ++i) {
      int status = 0;
      await("\x01 never shown", 10);  // reads what is there
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        await("\x01 never shown", 50);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
      }
    }
    return -1;
  }
  bool restored() const {
    termios now{};
    ::tcgetattr(slave_, &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag;
  }
  const std::string& shown() const { return shown_; }
  pid_t pid() const { return pid_; }

 private:
  int master_ = -1, slave_ = -1;
  pid_t pid_ = -1;
  termios before_{};
  std::string shown_;
};

class Terminal : public ::testing::Test {
 protected:
  std::string program(const std::string& name, const std::string& elf) {
    write_file(folder / name, elf);
    return folder / name;
  }
  TempFolder folder;
};

TEST_F(Terminal, KeysGoToTheGuest) {
  std::string recording = folder / "rec";
  OnTerminal run({"record", "-o", recording, program("serial", serial_echo_program())});
  ASSERT_TRUE(run.await_raw());
  run.type("hello");
  EXPECT_TRUE(run.await("hello"));
  run.type("[\x03]\x01\x01{");  // Ctrl-C; Ctrl-A Ctrl-A is one Ctrl-A
  EXPECT_TRUE(run.await("[\x03]\x01{")) << run.shown();
  run.type("q");
  EXPECT_EQ(run.finish(), 0);
  EXPECT_TRUE(run.restored());
  EXPECT_EQ(hindcast({"replay", recording}).out, "hello[\x03]\x01{q");
}

TEST_F(Terminal, EnterEndsALineForSemihosting) {
  std::string recording = folder / "rec";
  OnTerminal run({"record", "-o", recording, program("echo", echo_program())});
  ASSERT_TRUE(run.await_raw());
  run.type("bob\r");
  EXPECT_TRUE(run.await("bob\r\nbob\r\n")) << run.shown();  // the echo, and what the guest makes of the line
  run.type("\x01x");
  EXPECT_EQ(run.finish(), 0);
  EXPECT_EQ(hindcast({"replay", recording}).out, "bob\n");
}

TEST_F(Terminal, CtrlAXEndsTheRun) {
  std::string recording = folder / "rec";
  OnTerminal run({"record", "-o", recording, program("serial", serial_echo_program())});
  ASSERT_TRUE(run.await_raw());
  run.type("abc");
  EXPECT_TRUE(run.await("abc"));
  run.type("\x01x");
  EXPECT_EQ(run.finish(), 0);
  EXPECT_TRUE(run.restored());
  EXPECT_EQ(hindcast({"verify", recording}).status, 0);
  EXPECT_EQ(hindcast({"replay", recording}).out, "abc");
}

TEST_F(Terminal, TheStatusLineHasTheBottomRow) {
  OnTerminal run({"run", "--pace", "max", program("counter", counter_program(0, 100'000))});
  ASSERT_TRUE(run.await("MIPS")) << run.shown().substr(0, 200);
  EXPECT_NE(run.shown().find("\x1b[1;23r"), std::string::npos) << "no scrolling region above the status line";
  EXPECT_NE(run.shown().find("\x1b[24;1H"), std::string::npos) << "the status line is not on the bottom row";
  run.type("\x01x");
  EXPECT_EQ(run.finish(), 0);
  EXPECT_NE(run.shown().find("\x1b[r"), std::string::npos) << "the scrolling region was left behind";
  EXPECT_TRUE(run.restored());
}

TEST_F(Terminal, ASignalRestoresTheTerminal) {
  OnTerminal run({"run", program("serial", serial_echo_program())});
  ASSERT_TRUE(run.await_raw());
  run.type("x");
  EXPECT_TRUE(run.await("x"));
  ::kill(run.pid(), SIGTERM);
  EXPECT_EQ(run.finish(), 128 + SIGTERM);
  EXPECT_TRUE(run.restored());
}

}  // namespace
}  // namespace hindcast::cli_test
