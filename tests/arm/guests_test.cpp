// Arm guest programs under the hindcast command, in both engines, and recorded and replayed.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

/// The board whose image has this CPU.
const char* board_of(const std::string& cpu) {
  if (cpu == "cortex-m4") return "mps2-an386";
  if (cpu == "cortex-m23" || cpu == "cortex-m33") return "mps2-an505";
  if (cpu == "cortex-m55") return "mps3-an547";
  return cpu == "cortex-m7" ? "mps2-an500" : "mps2-an385";
}

class ArmGuest : public ::testing::TestWithParam<const char*> {
 protected:
  std::string elf(const std::string& program) { return guest_path(program + "-" + GetParam()); }
  CommandResult run(const std::string& elf, std::vector<std::string> options = {},
                    const std::vector<std::string>& arguments = {}) {
    std::vector<std::string> argv = {HINDCAST_COMMAND,     "run",   "-M",
                                     board_of(GetParam()), "--cpu", GetParam()};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(elf);
    if (!arguments.empty()) argv.push_back("--");
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_command(argv);
  }
};

#define NEED(var, program)        \
  std::string var = elf(program); \
  if (var.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)"

TEST_P(ArmGuest, KernelsPrintWhatTheNativeBuildPrints) {
  NEED(kernels, "kernels");
  CommandResult native = run_command({std::string(HINDCAST_GUEST_DIR) + "/kernels_native"});
  CommandResult guest = run(kernels);
  EXPECT_EQ(guest.status, 0) << guest.err;
  EXPECT_EQ(guest.out, native.out);
}

TEST_P(ArmGuest, TheInterpreterAgrees) {
  NEED(kernels, "kernels");
  for (const char* kernel : {"sha256", "listmix", "bytecode", "petri"}) {
    CommandResult native = run_command({std::string(HINDCAST_GUEST_DIR) + "/kernels_native", kernel});
    CommandResult guest = run(kernels, {"--engine", "interp"}, {kernel});
    EXPECT_EQ(guest.status, 0) << guest.err;
    EXPECT_EQ(guest.out, native.out);
  }
}

TEST_P(ArmGuest, ARecordingReplaysToTheSameHashesInBothEngines) {
  NEED(kernels, "kernels");
  const std::string rec = ::testing::TempDir() + "/arm-rec-" + GetParam();
  std::filesystem::remove_all(rec);
  CommandResult recorded = run_command({HINDCAST_COMMAND, "record", "-o", rec, "--summary", "-M",
                                        board_of(GetParam()), "--cpu", GetParam(), kernels, "--", "sha256"});
  EXPECT_EQ(recorded.status, 0) << recorded.err;
  for (const char* engine : {"jit", "interp"}) {
    CommandResult replayed = run_command({HINDCAST_COMMAND, "replay", "--engine", engine, "--summary", rec});
    EXPECT_EQ(replayed.status, 0) << replayed.err;
    EXPECT_EQ(replayed.out, recorded.out);
    EXPECT_EQ(replayed.err, recorded.err);
  }
  std::filesystem::remove_all(rec);
}

TEST(ArmBoard, AUsersTreeIsABoardOfTheCpuThatItNames) {
  const std::string hello = guest_path("hello-cortex-m3");
  if (hello.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  const std::string tree = HINDCAST_SOURCE_DIR "/targets/machines/mps2_an385.dts";
  const CommandResult guest = run_command({HINDCAST_COMMAND, "run", "--board", tree, hello});
  EXPECT_EQ(guest.status, 0) << guest.err;
  EXPECT_EQ(guest.out, "hello, world\n");
}

INSTANTIATE_TEST_SUITE_P(Models, ArmGuest,
                         ::testing::Values("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4",
                                           "cortex-m7", "cortex-m23", "cortex-m33", "cortex-m55"),
                         [](const auto& info) {
                           std::string name = info.param;
                           name.erase(name.find('-'), 1);
                           return name;
                         });

}  // namespace
}  // namespace hindcast::testing
