// --board: a machine from a device tree, which the recording carries like everything else.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

/// Each hart prints its number and stays, after a look at the device that nothing models.
std::string program() {
  std::string out;
  for (unsigned insn :
       {0xf1402573u, 0x03050513u, 0x100105b7u, 0x00a5a023u, 0x10012637u, 0x00062683u, 0x0000006fu})
    for (int i = 0; i < 4; ++i) out += static_cast<char>(insn >> (8 * i));
  return out;
}

TEST(Board, FromATreeRecordedAndReplayedWithoutIt) {
  TempFolder folder;
  const std::string board = folder / "board.dts", image = folder / "image", recording = folder / "rec";
  write_file(board, read_file(HINDCAST_SOURCE_DIR "/tests/devices/small_board.dts"));
  write_file(image, program());
  Outcome outcome = hindcast({"record", "-o", recording, "--board", board, "--max-icount=200000", image});
  EXPECT_EQ(outcome.status, 124) << outcome.describe();
  EXPECT_EQ(outcome.out, "01");
  EXPECT_NE(outcome.err.find("/soc/gpio@10012000 (test,gpio): no model"), std::string::npos) << outcome.err;
  std::filesystem::remove(board);
  std::filesystem::remove(image);
  outcome = hindcast({"replay", recording});
  EXPECT_EQ(outcome.status, 124) << outcome.describe();
  EXPECT_EQ(outcome.out, "01");
  EXPECT_EQ(hindcast({"verify", recording}).status, 0);
}

/// 6 KiB of RAM, as small parts have: recorded, replayed and debugged with its true end.
TEST(Board, MemoryNeedNotFillPages) {
  TempFolder folder;
  const std::string board = folder / "board.dts", image = folder / "image", recording = folder / "rec";
  std::string tree = read_file(HINDCAST_SOURCE_DIR "/tests/devices/small_board.dts");
  const std::string whole = "<0x40000000 0x40000>";
  tree.replace(tree.find(whole), whole.size(), "<0x40000000 0x1800>");
  write_file(board, tree);
  // Stores to the last word (t0 := 0x400017fc), then beyond it, which is a fault: it goes on at 0, where
  // nothing is.
  std::string program;
  for (unsigned insn : {0x400022b7u, 0x80428293u, 0xff828293u, 0x0052a023u, 0x0002a303u, 0x0052a223u})
    for (int i = 0; i < 4; ++i) program += static_cast<char>(insn >> (8 * i));
  write_file(image, program);
  for (const char* engine : {"jit", "interp"}) {
    Outcome outcome = hindcast({"record", "--force", "-o", recording, "--engine", engine, "--board", board,
                                "--max-icount=50000", image});
    EXPECT_EQ(outcome.status, 124) << outcome.describe();
    EXPECT_EQ(hindcast({"replay", recording}).status, 124);
    EXPECT_EQ(hindcast({"verify", recording}).status, 0);
    outcome = hindcast({"analyze", recording, "-p", "execlog"});
    EXPECT_NE(outcome.err.find("store, 0x400017fc"), std::string::npos) << outcome.err.substr(0, 2000);
    EXPECT_EQ(outcome.err.find("store, 0x40001800"), std::string::npos) << outcome.err.substr(0, 2000);
  }
}

constexpr const char* kSvd =
    R"(<device><peripherals>
<peripheral><name>PINS</name><baseAddress>0x10012000</baseAddress><registers>
<register><name>IN</name><addressOffset>0</addressOffset></register>
<register><name>OUT</name><addressOffset>4</addressOffset></register>
</registers></peripheral></peripherals></device>)";

TEST(Svd, NamesTheRegistersOfDevices) {
  TempFolder folder;
  const std::string board = folder / "board.dts", image = folder / "image", svd = folder / "names.svd",
                    recording = folder / "rec";
  write_file(board, read_file(HINDCAST_SOURCE_DIR "/tests/devices/small_board.dts"));
  write_file(image, program());
  write_file(svd, kSvd);
  Outcome outcome =
      hindcast({"record", "-o", recording, "--board", board, "--svd", svd, "--max-icount=200000", image});
  EXPECT_EQ(outcome.status, 124) << outcome.describe();
  EXPECT_NE(outcome.err.find("the guest reads 0 (PINS.IN, 4 bytes at 0x10012000"), std::string::npos)
      << outcome.err;
  // The recording carries the names.
  std::filesystem::remove(svd);
  outcome = hindcast({"analyze", recording, "-p", "execlog"});
  EXPECT_NE(outcome.err.find("load, 0x10012000, PINS.IN"), std::string::npos) << outcome.err.substr(0, 2000);
  outcome = hindcast({"analyze", recording, "-p", "hwprofile,pattern=on"});
  EXPECT_NE(outcome.err.find("off:00000000 PINS.IN, "), std::string::npos) << outcome.err.substr(0, 2000);
}

TEST(Svd, WhatMakesNoSenseIsOneLine) {
  TempFolder folder;
  const std::string image = folder / "image", svd = folder / "names.svd";
  write_file(image, program());
  for (const char* text : {"", "<device>", "<device/>", "no XML at all", "<a></a>"}) {
    write_file(svd, text);
    const Outcome outcome = hindcast({"run", "-M", "virt", "--svd", svd, image});
    EXPECT_EQ(outcome.status, 125) << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << outcome.err;
    EXPECT_NE(outcome.err.find("names.svd"), std::string::npos) << outcome.err;
  }
}

TEST(Board, NamesDoNotDriveTheTerminal) {
  TempFolder folder;
  const std::string board = folder / "board.dts", image = folder / "image", svd = folder / "names.svd";
  std::string tree = read_file(HINDCAST_SOURCE_DIR "/tests/devices/small_board.dts");
  const std::string named = "\"test,gpio\"";
  ASSERT_NE(tree.find(named), std::string::npos);
  tree.replace(tree.find(named), named.size(), R"("test,\x1b[31m\n\x9b\xc2\x9b\xc3\xa9")");
  write_file(board, tree);
  write_file(image, program());
  std::string names = kSvd;
  names.replace(names.find("PINS"), 4, "P&#x1b;[2J&#x9b;INS\xc2\x9b");
  write_file(svd, names);
  const Outcome outcome = hindcast({"run", "--board", board, "--svd", svd, "--max-icount=200000", image});
  EXPECT_NE(
      outcome.err.find("hindcast: /soc/gpio@10012000 (test,\\x1b[31m\\x0a\\x9b\\xc2\\x9b\xc3\xa9): no model; "
                       "the guest reads 0 (P [2J INS.IN, 4 bytes"),
      std::string::npos)
      << outcome.err;
}

TEST(Board, WhatMakesNoSenseIsOneLine) {
  TempFolder folder;
  const std::string board = folder / "board.dts", image = folder / "image";
  write_file(board, "/dts-v1/; / { };");
  write_file(image, program());
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"run", "--board", board, image},
                                                    {"run", "--board", image, image},
                                                    {"run", "--board", folder / "nothing", image},
                                                    {"run", "-M", "board", image},
                                                    {"run", "-M", "virt", "--board", board, image}}) {
    Outcome outcome = hindcast(arguments);
    EXPECT_EQ(outcome.status, 125) << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << outcome.err;
  }
}

/// GNU ld puts .data and .bss into one segment at the end of flash, where the zeros have no room: the program
/// makes them where it uses them.
TEST(Board, ZerosNeedNoMemoryWhereTheProgramDoesNotUseThem) {
  constexpr std::size_t kMachine = 18, kEntry = 24, kVirtual = 52 + 8, kPhysical = 52 + 12, kSize = 52 + 20;
  TempFolder folder;
  std::string elf = Assembler(32).elf();
  const auto put = [&](std::size_t at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) elf[at + i] = static_cast<char>(value >> (8 * i));
  };
  elf[kMachine] = 40;  // Arm
  elf[kMachine + 1] = 0;
  put(kEntry, 9);
  put(0x1000, 0x20001000);  // the stack
  put(0x1004, 9);           // reset
  put(0x1008, 0xe7fee7fe);  // b .
  put(kVirtual, 0);
  put(kPhysical, 0);
  put(kSize, 0x50000);  // the flash has 0x40000
  const std::string image = folder / "image";
  const std::vector<std::string> command = {"run", "-M", "microbit", "--max-icount=1000", image};
  write_file(image, elf);
  EXPECT_NE(hindcast(command).err.find("end in no memory at 0x40000"), std::string::npos);
  put(kVirtual, 0x20000000);
  write_file(image, elf);
  const Outcome outcome = hindcast(command);
  EXPECT_EQ(outcome.status, 124) << outcome.describe();
}

}  // namespace
}  // namespace hindcast::cli_test
