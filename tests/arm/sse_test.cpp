// A bare firmware for what is around the CPU of an SSE-300 and of an IoT Kit: it prints the same here,
// replayed and under QEMU.
#include <gtest/gtest.h>

#include "tests/case_name.h"
#include "tests/cli/process.h"
#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

class Subsystem : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    image_ = guest_path("sse-" + board_.substr(board_.find('-') + 1));
    if (image_.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  }
  const std::string board_ = GetParam();
  std::string image_;
};

TEST_P(Subsystem, ReplaysInBothEngines) {
  cli_test::TempFolder folder;
  const CommandResult recorded =
      run_command({HINDCAST_COMMAND, "record", "-o", folder / "rec", "--summary", "-M", board_, image_});
  EXPECT_EQ(recorded.status, 0) << recorded.err;
  for (const char* engine : {"jit", "interp"}) {
    const CommandResult replayed =
        run_command({HINDCAST_COMMAND, "replay", "--engine", engine, "--summary", folder / "rec"});
    EXPECT_EQ(replayed.status, 0) << replayed.err;
    EXPECT_EQ(replayed.out, recorded.out);
    EXPECT_EQ(replayed.err, recorded.err);
  }
}

TEST_P(Subsystem, DoesWhatQemuDoes) {
  if (std::system("qemu-system-arm --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no qemu-system-arm";
  const CommandResult here = run_command({HINDCAST_COMMAND, "run", "-M", board_, image_});
  EXPECT_EQ(here.status, 0) << here.err;
  // QEMU's semihosting console is its stderr. Boards have a network port in any case, and would warn.
  const CommandResult qemu =
      run_command({"/usr/bin/qemu-system-arm", "-M", board_, "-display", "none", "-monitor", "none",
                   "-serial", "null", "-nic", "user,restrict=on", "-semihosting", "-kernel", image_});
  if (qemu.err.find("unsupported machine type") != std::string::npos) GTEST_SKIP() << qemu.err;
  EXPECT_EQ(qemu.status, 0);
  EXPECT_EQ(here.out, qemu.err);
  EXPECT_NE(here.out.find("faults 00000002\n"), std::string::npos) << here.out;
}

INSTANTIATE_TEST_SUITE_P(Boards, Subsystem, ::testing::Values("mps3-an547", "mps2-an505"),
                         [](const auto& info) { return case_name(info.param); });

}  // namespace
}  // namespace hindcast::testing
