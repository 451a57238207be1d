// A bare firmware with a small network stack of its own, on the boards that have Ethernet: here, recorded and
// replayed without a network, and under QEMU.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <random>

#include "tests/case_name.h"
#include "tests/cli/process.h"
#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

struct Case {
  const char* board;
  const char* image;
};
const Case kCases[] = {
    {"mps2-an385", "net-lan9118"}, {"mps2-an386", "net-lan9118"}, {"lm3s6965evb", "net-stellaris"}};

/// A program on the host that talks to a port by UDP.
class Peer {
 public:
  explicit Peer(unsigned port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    to_.sin_family = AF_INET;
    to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to_.sin_port = htons(static_cast<std::uint16_t>(port));
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  /// What comes back for it.
  std::string ask(const std::string& text) {
    ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to_), sizeof to_);
    std::string answer(2048, '\0');
    const ssize_t n = ::recv(fd_, answer.data(), answer.size(), 0);
    answer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return answer;
  }

 private:
  int fd_;
  sockaddr_in to_{};
};

class Net : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    image_ = guest_path(GetParam().image);
    if (image_.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  }
  /// Runs the command, sends it datagrams at moments from `seed`, and ends it by one.
  cli_test::Outcome talk(std::vector<std::string> arguments, unsigned seed) {
    arguments.insert(arguments.end(), {"-M", GetParam().board, "--net", "user,hostfwd=udp::0-:7", image_});
    cli_test::Process process(arguments);
    unsigned port = 0;
    const std::string line = process.await_error("hostfwd");
    EXPECT_EQ(std::sscanf(line.c_str(), "hindcast: hostfwd udp: 127.0.0.1:%u", &port), 1) << line;
    EXPECT_TRUE(process.await("ping answered"));
    std::mt19937 random(seed);
    Peer peer(port);
    for (int i = 0; i < 8; ++i) {
      std::string text(1 + random() % 1400, 'a');
      for (char& c : text) c = static_cast<char>(random());
      EXPECT_EQ(peer.ask(text), text);
      ::usleep(random() % 20'000);
    }
    EXPECT_EQ(peer.ask("quit"), "quit");
    return process.finish();
  }
  std::string image_;
};

constexpr const char* kShown =
    "mac 52:54:00:12:34:56\naddress 10.0.2.15 router 10.0.2.2\nping answered\nechoed 9\n"
    "checksums are right\nbye\n";

TEST_P(Net, EchoesInBothEngines) {
  for (const char* engine : {"jit", "interp"}) {
    const cli_test::Outcome guest = talk({"run", "--engine", engine}, 1);
    EXPECT_EQ(guest.status, 0) << guest.describe();
    EXPECT_EQ(guest.out, kShown);
  }
}

TEST_P(Net, ARecordingIsReplayedWithoutANetwork) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    cli_test::TempFolder folder;
    const std::string rec = folder / "rec", pcap = folder / "live.pcap", again = folder / "again.pcap";
    const cli_test::Outcome recorded =
        talk({"record", "-o", rec, "--checkpoints", "every=50000", "--pcap", pcap}, seed);
    EXPECT_EQ(recorded.status, 0) << recorded.describe();
    EXPECT_EQ(recorded.out, kShown);
    for (const char* engine : {"jit", "interp"}) {
      const cli_test::Outcome replayed = cli_test::hindcast(
          {"replay", "--engine", engine, "--chaos-seed", std::to_string(seed + 1), "--pcap", again, rec});
      EXPECT_EQ(replayed.status, 0) << replayed.describe();
      EXPECT_EQ(replayed.out, kShown);
      EXPECT_EQ(cli_test::read_file(again), cli_test::read_file(pcap));
    }
    const cli_test::Outcome late = cli_test::hindcast({"replay", "--from-checkpoint", "200000", rec});
    EXPECT_EQ(late.status, 0) << late.describe();
  }
}

TEST_P(Net, WithoutACableThereIsNoLink) {
  if (GetParam().image != std::string("net-lan9118")) GTEST_SKIP() << "its firmware does not ask";
  const cli_test::Outcome guest = cli_test::hindcast({"run", "-M", GetParam().board, image_});
  EXPECT_EQ(guest.out, "no network\n") << guest.describe();
  EXPECT_NE(guest.status, 0);
}

TEST_P(Net, UnderQemu) {
  if (std::system("qemu-system-arm --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no qemu-system-arm";
  const CommandResult guest =
      run_command({"/usr/bin/qemu-system-arm", "-M", GetParam().board, "-display", "none", "-monitor", "none",
                   "-serial", "stdio", "-semihosting", "-nic", "user", "-kernel", image_},
                  {}, 3);
  EXPECT_EQ(guest.out, std::string(kShown).substr(0, std::string(kShown).find("echoed"))) << guest.err;
}

INSTANTIATE_TEST_SUITE_P(Boards, Net, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return case_name(std::string(info.param.board)); });

}  // namespace
}  // namespace hindcast::testing
