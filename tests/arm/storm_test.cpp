// Interrupts and faults at random places (firmware/storm.c), and in two security states
// (firmware/worlds_*.c): the whole trace of handler entries, with frames and status registers, in both
// engines, replayed, and under QEMU on the same board. QEMU runs one instruction at a time there: otherwise
// it would look for interrupts at the end of a block only.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/types.h"
#include "tests/case_name.h"
#include "tests/cli/process.h"
#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

struct Case {
  const char* board;
  const char* image;
  u32 steps;
};
const Case kCases[] = {{"mps2-an385", "storm-cortex-m3", 400},
                       {"mps2-an386", "storm-cortex-m4", 400},
                       {"mps2-an500", "storm-cortex-m7", 400},
                       {"mps2-an505", "worlds-cortex-m33", 40},
                       {"mps3-an547", "worlds-cortex-m55", 40}};

class Storm : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    image_ = guest_path(GetParam().image);
    if (image_.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  }
  /// The firmware with this seed.
  std::string seeded(u32 seed) {
    std::ifstream in(image_, std::ios::binary);
    std::string elf((std::istreambuf_iterator<char>(in)), {});
    const u32 parameters[3] = {0x5eed5eed, seed, GetParam().steps};
    const std::size_t at = elf.find(std::string(reinterpret_cast<const char*>(parameters), 4));
    EXPECT_NE(at, std::string::npos);
    std::memcpy(elf.data() + at, parameters, sizeof parameters);
    const std::string path = folder_ / (std::to_string(seed) + ".elf");
    std::ofstream(path, std::ios::binary) << elf;
    return path;
  }
  std::string image_;
  cli_test::TempFolder folder_;
};

/// The first line that differs, with its number: the texts are long.
std::string difference(const std::string& a, const std::string& b) {
  if (a == b) return "";
  const auto [at, ignored] =
      std::mismatch(a.begin(), a.begin() + static_cast<long>(std::min(a.size(), b.size())), b.begin());
  const std::size_t where = static_cast<std::size_t>(at - a.begin());
  const auto line = [&](const std::string& text) {
    const std::size_t begin = where == 0 ? 0 : text.rfind('\n', where - 1) + 1;
    return text.substr(begin, text.find('\n', where) - begin);
  };
  return "line " + std::to_string(std::count(a.begin(), at, '\n') + 1) + ":\n" + line(a) + "\n" + line(b);
}

TEST_P(Storm, BothEnginesTellTheSameStory) {
  for (const u32 seed : {1u, 2u, 3u, 4u}) {
    const std::string image = seeded(seed);
    const CommandResult jit = run_command({HINDCAST_COMMAND, "run", "-M", GetParam().board, image});
    EXPECT_EQ(jit.status, 0) << jit.err;
    EXPECT_GT(std::count(jit.out.begin(), jit.out.end(), '\n'), long{GetParam().steps});
    const CommandResult interp =
        run_command({HINDCAST_COMMAND, "run", "-M", GetParam().board, "--engine", "interp", image});
    EXPECT_EQ(difference(jit.out, interp.out), "") << "seed " << seed;
  }
}

TEST_P(Storm, Replayed) {
  const CommandResult recorded = run_command(
      {HINDCAST_COMMAND, "record", "-o", folder_ / "rec", "--summary", "-M", GetParam().board, seeded(5)});
  EXPECT_EQ(recorded.status, 0) << recorded.err;
  const CommandResult replayed = run_command({HINDCAST_COMMAND, "replay", "--summary", folder_ / "rec"});
  EXPECT_EQ(difference(recorded.out, replayed.out), "");
  EXPECT_EQ(recorded.err, replayed.err);
}

TEST_P(Storm, AgreesWithQemu) {
  if (std::system("qemu-system-arm --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no qemu-system-arm";
  for (const u32 seed : {1u, 6u, 7u}) {
    const std::string image = seeded(seed);
    const CommandResult here = run_command({HINDCAST_COMMAND, "run", "-M", GetParam().board, image});
    const CommandResult there =
        run_command({"/usr/bin/qemu-system-arm", "-M", GetParam().board, "-singlestep", "-display", "none",
                     "-monitor", "none", "-serial", "stdio", "-semihosting", "-kernel", image});
    EXPECT_EQ(difference(here.out, there.out), "") << "seed " << seed << " " << there.err;
  }
}

INSTANTIATE_TEST_SUITE_P(Boards, Storm, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return case_name(info.param.board); });

}  // namespace
}  // namespace hindcast::testing
