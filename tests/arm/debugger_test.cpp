// gdb on Cortex-M: the failing firmware of docs/cortex-m.md, followed back to its cause; and the registers
// that gdb is told of (features m-profile, m-system and vfp).
#include <gtest/gtest.h>

#include "tests/cli/process.h"
#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

class CortexMDebugger : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("gdb-multiarch --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no gdb-multiarch";
  }
  std::string gdb(const std::vector<std::string>& commands) {
    std::vector<std::string> argv = {HINDCAST_COMMAND, "debug", folder_ / "rec", "--gdb", "-q", "-batch"};
    for (const std::string& command : commands) argv.insert(argv.end(), {"-ex", command});
    const CommandResult result = run_command(argv);
    return result.out + result.err;
  }
  cli_test::TempFolder folder_;
};

TEST_F(CortexMDebugger, FollowsAFaultBackToItsCause) {
  const std::string image = guest_path("failing");
  if (image.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  const CommandResult recorded = run_command(
      {HINDCAST_COMMAND, "record", "-o", folder_ / "rec", "--pace", "real", "-M", "mps2-an385", image},
      {{300, "a line too long\n"}, {500, ""}}, 20);
  ASSERT_EQ(recorded.status, 1) << recorded.err;
  EXPECT_EQ(recorded.out, "ready\nfault\n");
  const CommandResult replayed = run_command({HINDCAST_COMMAND, "replay", folder_ / "rec"});
  EXPECT_EQ(replayed.status, 1);
  EXPECT_EQ(replayed.out, recorded.out);
  const std::string said = gdb({"monitor seek end", "maintenance flush register-cache", "reverse-stepi",
                                "watch console.flush", "reverse-continue", "bt 1", "print console.used"});
  EXPECT_NE(said.find("bkpt 0xab"), std::string::npos) << said;
  EXPECT_NE(said.find("Old value = (void (*)(void)) 0x6c206f6f"), std::string::npos) << said;
  EXPECT_NE(said.find("#0  0x"), std::string::npos) << said;
  EXPECT_NE(said.find("in uart_interrupt ()"), std::string::npos) << said;
  EXPECT_NE(said.find("$1 = 12"), std::string::npos) << said;
}

TEST_F(CortexMDebugger, ShowsTheSystemAndFloatingPointRegisters) {
  const std::string image = guest_path("storm-cortex-m4");
  if (image.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  ASSERT_EQ(
      run_command({HINDCAST_COMMAND, "record", "-o", folder_ / "rec", "-M", "mps2-an386", image}).status, 0);
  const std::string said =
      gdb({"monitor seek end", "maintenance flush register-cache",
           "info registers xpsr msp psp primask basepri faultmask control s0 s31 d0 d15 fpscr"});
  // The program ends with both masks set, on the process stack.
  for (const char* row : {"\nxpsr ", "\nmsp ", "\npsp ", "\nbasepri ", "\ns0 ", "\ns31 ", "\nd0 ", "\nd15 ",
                          "\nfpscr ", "\nprimask        0x1", "\nfaultmask      0x1"})
    EXPECT_NE(said.find(row), std::string::npos) << row << "\n" << said;
  EXPECT_EQ(said.find("Invalid register"), std::string::npos) << said;
}

/// gdb reads FPCCR and FPCAR to find where a frame's floating-point registers are.
TEST_F(CortexMDebugger, UnwindsFramesWithFloatingPointState) {
  const std::string image = guest_path("lazy");
  if (image.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  ASSERT_EQ(
      run_command({HINDCAST_COMMAND, "record", "-o", folder_ / "rec", "-M", "mps2-an386", image}).status, 0);
  const auto expect_frames = [](const std::string& said, const char* deep, const char* handler) {
    std::size_t at = 0;
    for (const char* frame : {deep, handler, "<signal handler called>", "worker (", "run_all (", "reset ("}) {
      const std::size_t found = said.find(frame, at);
      EXPECT_NE(found, std::string::npos) << frame << "\n" << said;
      if (found != std::string::npos) at = found;
    }
    EXPECT_EQ(said.find("unwinding is impossible"), std::string::npos) << said;
  };
  const std::vector<std::string> to_lazy = {"break deep_in_handler", "continue", "bt"},
                                 to_stored = {"break deep_in_fp_handler", "continue", "bt"};
  for (const auto& [commands, deep, handler] :
       {std::tuple(to_lazy, "deep_in_handler (", "svc_handler ("),
        std::tuple(to_stored, "deep_in_fp_handler (", "pendsv_handler (")}) {
    expect_frames(gdb(commands), deep, handler);
    std::vector<std::string> back = {"monitor seek end", "maintenance flush register-cache", commands[0],
                                     "reverse-continue", "bt"};
    expect_frames(gdb(back), deep, handler);
  }
  const std::string live = [&] {
    const CommandResult result = run_command({HINDCAST_COMMAND,
                                              "debug",
                                              "-M",
                                              "mps2-an386",
                                              image,
                                              "--gdb",
                                              "-q",
                                              "-batch",
                                              "-ex",
                                              "break deep_in_fp_handler",
                                              "-ex",
                                              "continue",
                                              "-ex",
                                              "bt",
                                              "-ex",
                                              "up 3",
                                              "-ex",
                                              "print $s0",
                                              "-ex",
                                              "x/wx 0xe000ed00"});
    return result.out + result.err;
  }();
  expect_frames(live, "deep_in_fp_handler (", "pendsv_handler (");
  EXPECT_NE(live.find("0xe000ed00:\t0x410fc24"), std::string::npos) << live;
}

}  // namespace
}  // namespace hindcast::testing
