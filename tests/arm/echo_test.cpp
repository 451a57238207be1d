// A bare firmware that lives from interrupts of its serial port and timer, on every board, here and under
// QEMU.
#include <gtest/gtest.h>

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
    {"mps2-an385", "echo-cmsdk"},  {"mps2-an386", "echo-cmsdk"},    {"mps2-an500", "echo-cmsdk"},
    {"mps2-an505", "echo-an505"},  {"mps2-an521", "echo-an505"},    {"mps3-an547", "echo-an547"},
    {"lm3s6965evb", "echo-pl011"}, {"netduinoplus2", "echo-stm32"}, {"olimex-stm32-h405", "echo-stm32"},
    {"microbit", "echo-nrf51"},
};
const std::vector<Keys> kKeys = {{300, "a"}, {20, "bc"}, {20, "t"}, {50, "\n"}, {50, "q"}};
constexpr const char* kShown = "ready\nabcticked\n\nbye\n";

class Echo : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    image_ = guest_path(GetParam().image);
    if (image_.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  }
  std::string image_;
};

TEST_P(Echo, Here) {
  for (const char* engine : {"jit", "interp"}) {
    const CommandResult guest = run_command(
        {HINDCAST_COMMAND, "run", "-M", GetParam().board, "--engine", engine, "--pace", "real", image_},
        kKeys, 20);
    EXPECT_EQ(guest.status, 0) << guest.err;
    EXPECT_EQ(guest.out, kShown) << engine << guest.err;
  }
}

TEST_P(Echo, Replayed) {
  cli_test::TempFolder folder;
  const CommandResult recorded = run_command(
      {HINDCAST_COMMAND, "record", "-o", folder / "rec", "--pace", "real", "-M", GetParam().board, image_},
      kKeys, 20);
  EXPECT_EQ(recorded.out, kShown) << recorded.err;
  const CommandResult replayed = run_command({HINDCAST_COMMAND, "replay", folder / "rec"});
  EXPECT_EQ(replayed.status, 0) << replayed.err;
  EXPECT_EQ(replayed.out, kShown);
}

TEST_P(Echo, UnderQemu) {
  if (std::system("qemu-system-arm --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no qemu-system-arm";
  const CommandResult guest =
      run_command({"/usr/bin/qemu-system-arm", "-M", GetParam().board, "-display", "none", "-monitor", "none",
                   "-serial", "stdio", "-semihosting", "-kernel", image_},
                  kKeys, 20);
  if (guest.err.find("unsupported machine type") != std::string::npos) GTEST_SKIP() << guest.err;
  EXPECT_EQ(guest.out, kShown) << guest.err;
}

INSTANTIATE_TEST_SUITE_P(Boards, Echo, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return case_name(info.param.board); });

}  // namespace
}  // namespace hindcast::testing
