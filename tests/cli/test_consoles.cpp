// What --serial and --semihosting chardev= connect to: files, named pipes, sockets, pseudo-terminals, each in
// both directions, and the recording that comes of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

/// The other end of a console.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) { EXPECT_GE(fd, 0) << strerror(errno); }
  ~Peer() { close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  void type(const std::string& text) {
    EXPECT_EQ(::write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  /// As many bytes, fewer at the end or after some seconds without any.
  std::string read(std::size_t size) {
    std::string out;
    char c;
    for (pollfd p{fd_, POLLIN, 0}; out.size() < size && ::poll(&p, 1, 10'000) > 0 && ::read(fd_, &c, 1) == 1;)
      out += c;
    return out;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

int connect_to(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0 ? fd : -1;
}

class Consoles : public ::testing::Test {
 protected:
  std::string program(const std::string& name, const std::string& elf) {
    write_file(folder / name, elf);
    return folder / name;
  }
  void replays(const std::string& console, int status) {
    EXPECT_EQ(hindcast({"verify", recording}).status, 0);
    const Outcome outcome = hindcast({"replay", recording});
    EXPECT_EQ(outcome.status, status) << outcome.describe();
    EXPECT_EQ(outcome.out, console);
  }
  std::string last_word(const std::string& line) { return line.substr(line.rfind(' ') + 1); }
  TempFolder folder;
  std::string recording = folder / "rec";
};

TEST_F(Consoles, SemihostingToAFile) {
  const Outcome outcome =
      hindcast({"record", "-o", recording, "--semihosting=target=chardev,chardev=file:" + (folder / "out"),
                program("some", counter_program(3, 1))});
  EXPECT_EQ(outcome.status, 5) << outcome.describe();
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(read_file(folder / "out"), counter_text(3));
  replays(counter_text(3), 5);
}

TEST_F(Consoles, UnixSocketsOnBothLinesAtOnce) {
  const std::string serial = folder / "serial", semihosting = folder / "semihosting";
  Process process({"record", "-o", recording, "--serial", "unix:" + serial,
                   "--semihosting=chardev=unix:" + semihosting, program("exchange", exchange_program())});
  EXPECT_EQ(last_word(process.await_error("semihosting console waits")), semihosting);
  Peer talker(connect_to(semihosting));
  EXPECT_EQ(last_word(process.await_error("serial port waits")), serial);
  Peer port(connect_to(serial));
  // What is typed on one line is never taken for the other's.
  talker.type("12");
  port.type("a");
  EXPECT_EQ(talker.read(1), "a");
  EXPECT_EQ(port.read(1), "1");
  port.type("bc");
  EXPECT_EQ(talker.read(2), "bc");
  EXPECT_EQ(port.read(1), "2");
  talker.type("3");
  EXPECT_EQ(port.read(1), "3");
  port.type("q");
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 0) << outcome.describe();
  EXPECT_EQ(::access(serial.c_str(), F_OK), -1);
  replays("a1b2c3", 0);
}

TEST_F(Consoles, ASocketLeftBehindIsReplacedAFileIsNot) {
  const std::string path = folder / "socket", image = program("echo", serial_echo_program());
  {
    Process killed({"run", "--serial", "unix:" + path, image});
    killed.await_error("waits");
    killed.signal(SIGKILL);
    killed.finish();
  }
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  Process process({"run", "--serial", "unix:" + path, image});
  process.await_error("waits");
  Peer peer(connect_to(path));
  const Outcome taken = hindcast({"run", "--serial", "unix:" + path, image});
  EXPECT_EQ(taken.status, 125) << taken.describe();
  EXPECT_TRUE(taken.one_line()) << taken.err;
  peer.type("xq");
  EXPECT_EQ(peer.read(2), "xq");
  EXPECT_EQ(process.finish().status, 0);
  for (const std::string& bad : {path, std::string(200, 'x')}) {
    write_file(folder / "socket", "mine");
    const Outcome refused = hindcast({"run", "--serial", "unix:" + bad, image});
    EXPECT_EQ(refused.status, 125) << refused.describe();
    EXPECT_TRUE(refused.one_line()) << refused.err;
    EXPECT_EQ(read_file(path), "mine");
  }
}

TEST_F(Consoles, APseudoTerminalUntilItsUserCloses) {
  Process process({"record", "-o", recording, "--semihosting=chardev=pty", program("echo", echo_program())});
  Peer user(::open(last_word(process.await_error("waits for somebody to open")).c_str(), O_RDWR | O_NOCTTY));
  for (const std::string line : {"one\r", "two\x03\n"}) {
    user.type(line);
    EXPECT_EQ(user.read(line.size()), line);  // as it was typed, once
  }
  user.close();
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 7) << outcome.describe();
  replays("one\rtwo\x03\n", 7);
}

TEST_F(Consoles, NobodyOpensThePseudoTerminal) {
  Process process({"run", "--serial", "pty", program("echo", serial_echo_program())});
  EXPECT_NE(process.await_error("waits for somebody to open"), "");
  process.signal(SIGTERM);
  EXPECT_EQ(process.finish().status, 128 + SIGTERM);
}

TEST_F(Consoles, NamedPipes) {
  const std::string path = folder / "pipe", image = program("echo", serial_echo_program());
  const Outcome none = hindcast({"run", "--serial", "pipe:" + path, image});
  EXPECT_EQ(none.status, 125);
  EXPECT_TRUE(none.one_line()) << none.err;
  ASSERT_EQ(::mkfifo((path + ".in").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((path + ".out").c_str(), 0600), 0);
  Process process({"record", "-o", recording, "--serial", "pipe:" + path, image});
  Peer in(::open((path + ".in").c_str(), O_RDWR)), out(::open((path + ".out").c_str(), O_RDWR));
  in.type("pipes");
  EXPECT_EQ(out.read(5), "pipes");
  in.type("q");
  EXPECT_EQ(process.finish().status, 0);
  replays("pipesq", 0);
  write_file(path, "");
  ::unlink((path + ".in").c_str());
  EXPECT_EQ(hindcast({"run", "--serial", "pipe:" + path, image}).status, 125);
}

TEST_F(Consoles, OptionsThatSayNothingUsable) {
  const std::string image = program("some", counter_program(3, 1));
  for (const std::string option :
       {"--serial=ttyS0", "--serial=file:", "--serial=unix:", "--serial=pipe:", "--semihosting=chardev=",
        "--semihosting=chardev=x", "--semihosting=target=chardev", "--semihosting=target=nowhere",
        "--semihosting=userspace=off", "--semihosting=chardev=tcp:1"}) {
    const Outcome outcome = hindcast({"run", option, image});
    EXPECT_EQ(outcome.status, 125) << option << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

}  // namespace
}  // namespace hindcast::cli_test
