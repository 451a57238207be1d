// Memories of the boards: where they are, and which of them show at several addresses, as a program finds
// them (firmware/map.c), here in both engines, and under QEMU.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/case_name.h"
#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

struct Case {
  const char* board;
  const char* image;
  const char* memories;          // first and last address, kind, how far away the last address of the same is
  const char* not_at_qemu = "";  // a line that QEMU's board has not
};
const char* const kAn385 =
    "00000000 003fffff ram 00400000\n"
    "00400000 007fffff ram 00000000\n"
    "01000000 01003fff ram 0000c000\n"
    "01004000 01007fff ram 00008000\n"
    "01008000 0100bfff ram 00004000\n"
    "0100c000 0100ffff ram 00000000\n"
    "20000000 203fffff ram 00400000\n"
    "20400000 207fffff ram 00000000\n"
    "21000000 21ffffff ram 00000000\n";
const char* const kAn500 =
    "00000000 003fffff ram 00400000\n"
    "00400000 007fffff ram 00000000\n"
    "20000000 203fffff ram 00400000\n"
    "20400000 207fffff ram 00000000\n"
    "60000000 60ffffff ram 00000000\n";
const char* const kAn505 =
    "00000000 003fffff ram 10400000\n"
    "00400000 007fffff ram 10000000\n"
    "10000000 103fffff ram 00400000\n"
    "10400000 107fffff ram 00000000\n"
    "20000000 20007fff ram 10000000\n"
    "28000000 283fffff ram 10000000\n"
    "30000000 30007fff ram 00000000\n"
    "38000000 383fffff ram 00000000\n"
    "80000000 80ffffff ram 00000000\n";
const char* const kAn521 =
    "00000000 003fffff ram 10400000\n"
    "00400000 007fffff ram 10000000\n"
    "10000000 103fffff ram 00400000\n"
    "10400000 107fffff ram 00000000\n"
    "20000000 2001ffff ram 10000000\n"
    "28000000 283fffff ram 10000000\n"
    "30000000 3001ffff ram 00000000\n"
    "38000000 383fffff ram 00000000\n"
    "80000000 80ffffff ram 00000000\n";
const char* const kAn547 =
    "00000000 0007ffff ram 10000000\n"
    "01000000 011fffff ram 10000000\n"
    "10000000 1007ffff ram 00000000\n"
    "11000000 111fffff ram 00000000\n"
    "20000000 2007ffff ram 10000000\n"
    "21000000 213fffff ram 10000000\n"
    "28000000 287fffff rom 00000000\n"
    "30000000 3007ffff ram 00000000\n"
    "31000000 313fffff ram 00000000\n"
    "38000000 387fffff rom 00000000\n"
    "60000000 9fffffff ram 00000000\n"
    "b0000000 dfffffff ram 00000000\n";
const char* const kStellaris =
    "00000000 0003ffff rom 00000000\n"
    "20000000 2000ffff ram 00000000\n";
const char* const kMicrobit =
    "00000000 0003ffff rom 00000000\n"
    "20000000 20003fff ram 00000000\n";
const char* const kStm32 =
    "00000000 000fffff rom 00000000\n"
    "08000000 080fffff rom 00000000\n"
    "10000000 1000ffff ram 00000000\n"
    "20000000 2002ffff ram 00000000\n";

const Case kCases[] = {
    {"mps2-an385", "map-mps2", kAn385},
    {"mps2-an386", "map-mps2", kAn385},
    {"mps2-an500", "map-mps2", kAn500},
    {"mps2-an505", "map-an505", kAn505},
    {"mps2-an521", "map-an505", kAn521},
    {"mps3-an547", "map-an547", kAn547},
    {"lm3s6965evb", "map-mps2", kStellaris},
    {"microbit", "map-mps2", kMicrobit},
    {"netduinoplus2", "map-stm32", kStm32, "10000000 1000ffff ram 00000000\n"},
    {"olimex-stm32-h405", "map-stm32", kStm32, "10000000 1000ffff ram 00000000\n"},
};

/// The lines that tell of memory. Of ROM only where asked for: QEMU's MPS2 and Stellaris boards read as 0
/// where nothing is.
std::string memories(const std::string& text, bool rom) {
  std::istringstream in(text);
  std::string result;
  for (std::string line; std::getline(in, line);)
    if (line.find(" ram ") != std::string::npos || (rom && line.find(" rom ") != std::string::npos))
      result += line + "\n";
  return result;
}

class Map : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    image_ = guest_path(GetParam().image);
    if (image_.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  }
  std::string image_;
};

TEST_P(Map, IsTheBoards) {
  for (const char* engine : {"jit", "interp"}) {
    const CommandResult here =
        run_command({HINDCAST_COMMAND, "run", "-M", GetParam().board, "--engine", engine, image_});
    EXPECT_EQ(here.status, 0) << here.err;
    EXPECT_EQ(memories(here.out, true), GetParam().memories) << engine;
  }
}

TEST_P(Map, IsQemus) {
  if (std::system("qemu-system-arm --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no qemu-system-arm";
  const CommandResult qemu =
      run_command({"/usr/bin/qemu-system-arm", "-M", GetParam().board, "-display", "none", "-monitor", "none",
                   "-serial", "null", "-nic", "user,restrict=on", "-semihosting", "-kernel", image_});
  if (qemu.err.find("unsupported machine type") != std::string::npos) GTEST_SKIP() << qemu.err;
  std::string ours = memories(GetParam().memories, false);
  const std::string extra = GetParam().not_at_qemu;
  if (!extra.empty()) ours.erase(ours.find(extra), extra.size());
  EXPECT_EQ(memories(qemu.err, false), ours);
}

/// Programs for the STM32 boards may be made for the flash's place at 0, where the CPU begins.
TEST(FlashAt0, HoldsPrograms) {
  const std::string image = guest_path("map-stm32-at-0");
  if (image.empty()) GTEST_SKIP() << "guest programs were not built (no arm-none-eabi-gcc)";
  for (const char* engine : {"jit", "interp"}) {
    const CommandResult here =
        run_command({HINDCAST_COMMAND, "run", "-M", "netduinoplus2", "--engine", engine, image});
    EXPECT_EQ(here.status, 0) << here.err;
    EXPECT_EQ(memories(here.out, true), kStm32) << engine;
  }
}

INSTANTIATE_TEST_SUITE_P(Boards, Map, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return case_name(info.param.board); });

}  // namespace
}  // namespace hindcast::testing
