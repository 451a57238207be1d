// --net and --pcap as the user meets them: what is refused, in one line, before anything is run or made.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

class Networks : public ::testing::Test {
 protected:
  Networks() {
    write_file(image, exit_program(0));
    write_file(folder / "plain", "");
  }
  TempFolder folder;
  std::string image = folder / "exit.elf";
};

TEST_F(Networks, WhatMakesNoSenseIsRefusedInOneLine) {
  const std::pair<std::string, const char*> kCases[] = {
      {"usr", "neither none nor user"},
      {"", "neither none nor user"},
      {"user,speed=10", "not known; use hostfwd"},
      {"user,hostfwd=tcp", "not tcp:[ADDRESS]:PORT-[ADDRESS]:PORT"},
      {"user,hostfwd=sctp::1-:2", "not tcp:[ADDRESS]:PORT-[ADDRESS]:PORT"},
      {"user,hostfwd=tcp::70000-:22", "--net hostfwd"},
      {"user,hostfwd=tcp::2222-:0", "--net hostfwd"},
      {"user,hostfwd=tcp:localhost:2222-:22", "'localhost' is no IPv4 address"},
      {"user,net=10.0.2.0", "not like 10.0.2.0/24"},
      {"user,net=10.0.2.0/30", "--net net"},
      {"user,host=10.0.3.2", "not in the network"},
      {"user,dns=10.0.2.2", "is that of"},
      {"user,mac=52:54:00:12:34", "no address like"},
      {"user,mac=53:54:00:12:34:56", "a group's address"},
      {"user,tftp=" + (folder / "plain"), "is no folder"},
      {"user,restrict=maybe", "--net restrict"},
  };
  for (const auto& [net, says] : kCases) {
    const Outcome outcome = hindcast({"record", "-o", folder / "rec", "--net", net, image});
    EXPECT_EQ(outcome.status, 125) << net << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << net << outcome.describe();
    EXPECT_NE(outcome.err.find(says), std::string::npos) << net << outcome.describe();
    EXPECT_FALSE(std::filesystem::exists(folder / "rec")) << net;
  }
}

TEST_F(Networks, ACaptureThatCannotBeWrittenIsRefused) {
  const Outcome outcome =
      hindcast({"record", "-o", folder / "rec", "--pcap", folder / "no/such/folder", image});
  EXPECT_EQ(outcome.status, 125) << outcome.describe();
  EXPECT_TRUE(outcome.one_line()) << outcome.describe();
  EXPECT_FALSE(std::filesystem::exists(folder / "rec"));
  const Outcome full = hindcast({"run", "--pcap", "/dev/full", image});
  EXPECT_EQ(full.status, 125) << full.describe();
  EXPECT_NE(full.err.find("--pcap: /dev/full: No space left"), std::string::npos) << full.describe();
}

TEST_F(Networks, NoneIsNoNetwork) {
  const Outcome outcome = hindcast({"run", "--net", "none", image});
  EXPECT_EQ(outcome.status, 0) << outcome.describe();
}

}  // namespace
}  // namespace hindcast::cli_test
