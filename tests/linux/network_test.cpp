// Linux on a network: its adapter on the PCI bus with a message for each queue, on two harts.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "tests/linux/session.h"

namespace hindcast::linux_test {
namespace {

/// What is answered to `request` at a TCP port of this machine, until the other side closes.
std::string ask(u16 port, const std::string& request) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval limit{kLong.count() / 1000, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  char part[4096];
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()))
    for (ssize_t got = 0; (got = ::recv(socket, part, sizeof part, 0)) > 0;)
      answer.append(part, static_cast<std::size_t>(got));
  ::close(socket);
  return answer;
}

/// The host's port that the first forward was given.
u16 forwarded_port(Process& process) {
  const std::string said = process.await_error("hostfwd", kLong);
  std::smatch found;
  return std::regex_search(said, found, std::regex(R"(127\.0\.0\.1:(\d+))"))
             ? static_cast<u16>(std::stoul(found[1]))
             : 0;
}

std::string numbers(std::size_t count) {
  std::string text;
  for (std::size_t i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST_F(Linux, FilesOverTheNetworkReplay) {
  if (!std::filesystem::exists(kFolder + "/initrd-pci.cpio"))
    GTEST_SKIP() << "no initramfs with modules: remove " << kFolder << ", and scripts/riscv-linux";
  const std::string served = numbers(60'000);
  std::filesystem::create_directory(folder / "tftp");
  cli_test::write_file(folder / "tftp/numbers", served);
  // The modules are in the initramfs whose script turns the machine off: a shell instead of it.
  std::vector<std::string> line = record(rec(), 2, "initrd-pci.cpio");
  for (std::string& word : line) {
    if (word == "virt") word = "virt,virtio=pci,aia=aplic-imsic";
    if (word == "console=ttyS0") word += " rdinit=/bin/sh";
  }
  line.insert(line.end(), {"--net", "user,hostfwd=tcp::0-:80,tftp=" + folder / "tftp"});
  Session shell(line, "~ # ", 5);
  const u16 port = forwarded_port(shell.process());
  ASSERT_NE(port, 0);
  shell.await("~ # ");
  shell.line("mount -t proc proc /proc; for m in failover net_failover virtio_net; do insmod /$m.ko; done");
  shell.line("ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2");
  shell.line("ping -c 3 10.0.2.2");
  shell.line(
      "busybox tftp -g -r numbers -l /tmp/numbers 10.0.2.2; seq 1 60000 | sha256sum; sha256sum /tmp/numbers");
  shell.line("busybox httpd -p 80 -h /tmp");
  const std::string answer = ask(port, "GET /numbers HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + served)) << answer.substr(0, 300);
  shell.line("cat /proc/interrupts");
  const Outcome recorded = shell.finish("poweroff -f");
  ASSERT_EQ(recorded.status, 0) << recorded.describe() << last_shown(recorded);
  for (const char* pattern : {"3 packets received", R"(([0-9a-f]{64})  -\r\n\1  /tmp/numbers)",
                              "PCI-MSIX-0000:00:01.0 +2 Edge +virtio[0-9]-output"})
    EXPECT_TRUE(std::regex_search(recorded.out, std::regex(pattern))) << pattern << last_shown(recorded);

  std::filesystem::remove_all(folder / "tftp");
  expect_same(rec(), recorded);
  ASSERT_EQ(hindcast({"index", "--every", "400000000", rec()}).status, 0);
  expect_same_segments(rec(), {800'000'000, 1'600'000'000}, 7'654'321);
}

}  // namespace
}  // namespace hindcast::linux_test
