// The serial port on a TCP port.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

sockaddr_in loopback(u16 port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

u16 free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

int connect_to(u16 port) {
  for (int attempt = 0; attempt < 500; ++attempt) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    ::usleep(10'000);
  }
  throw std::runtime_error("nobody listens");
}

std::string read_bytes(int fd, std::size_t size) {
  std::string out(size, 0);
  std::size_t done = 0;
  for (ssize_t n; done < size && (n = ::read(fd, out.data() + done, size - done)) > 0;)
    done += static_cast<std::size_t>(n);
  out.resize(done);
  return out;
}

TEST(Tcp, OneClientAfterTheOther) {
  TempFolder folder;
  const u16 port = free_port();
  std::string first, second, rest;
  std::thread client([&] {
    int fd = connect_to(port);
    EXPECT_EQ(::write(fd, "abc", 3), 3);
    first = read_bytes(fd, 3);
    ::close(fd);
    fd = connect_to(port);
    EXPECT_EQ(::write(fd, "def", 3), 3);
    second = read_bytes(fd, 3);
    EXPECT_EQ(::write(fd, "q", 1), 1);
    rest = read_bytes(fd, 1);  // the end of the run closes the connection
    ::close(fd);
  });
  HostOptions host;
  host.serial = {ConsoleOptions::Kind::Tcp, "127.0.0.1:" + std::to_string(port)};
  RecordOptions options;
  options.path = folder / "rec";
  const RunResult recorded = record(machine_of(echo_program(true)), host, options);
  client.join();
  EXPECT_EQ(recorded.status(), 7);
  EXPECT_EQ(first + second, "abcdef");
  EXPECT_EQ(rest, "");
  EXPECT_EQ(replay_of(folder / "rec").output, "abcdef");
}

TEST(Tcp, AddressesThatCannotBeUsedAreErrors) {
  for (const char* address : {"nowhere", "127.0.0.1:notaport", "127.0.0.1:99999", "127.0.0.1:65536",
                              "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:+80", "192.0.2.1:4444"}) {
    HostOptions host;
    host.serial = {ConsoleOptions::Kind::Tcp, address};
    EXPECT_THROW(run_live(machine_of(echo_program(true)), host), Fatal) << address;
  }
}

}  // namespace
}  // namespace hindcast::replay::test
