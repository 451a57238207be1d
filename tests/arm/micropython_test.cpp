// Debian's MicroPython for the micro:bit: a session typed at random moments, recorded, and replayed bit for
// bit in both engines; and debugged
// backwards from its end.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

constexpr const char* kFirmware = "/usr/share/firmware-microbit-micropython/firmware.hex";

struct Line {
  std::string typed, answer;
};
const std::vector<Line> kSession = {
    {"print(6*7)", "\n42\r"},
    {"import random", ""},
    {"len([random.randrange(1000) for i in range(9)])", "\n9\r"},
    {"sum(i * i for i in range(100))", "\n328350\r"},
    {"1/0", "ZeroDivisionError: division by zero"},
    {"from microbit import *", ""},
    {"accelerometer.get_values()", "\n(0, 0, -1024)\r"},
    {"t = running_time()", ""},
    {"sleep(200)", ""},  // longer than the clock's counter has room for
    {"200 <= running_time() - t < 20000", "\nTrue\r"},
};

class MicroPython : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access(kFirmware, R_OK) != 0)
      GTEST_SKIP() << "no " << kFirmware << " (package firmware-microbit-micropython)";
  }

  /// Types the session into a recording; what the console showed.
  Outcome record(const std::string& recording) {
    SpawnOptions keys;
    keys.input = Stream::Pipe;
    Process guest({"record", "-o", recording, "--summary", "--pace", "real", "-M", "microbit", kFirmware},
                  keys);
    std::minstd_rand random(5);
    EXPECT_TRUE(guest.await("\n>>> "));
    for (const Line& line : kSession) {
      for (const char c : line.typed + "\r") {
        std::this_thread::sleep_for(Milliseconds(random() % 20));
        guest.write(std::string(1, c));
      }
      EXPECT_TRUE(guest.await(line.typed + "\r\n")) << line.typed;
      if (!line.answer.empty()) {
        EXPECT_TRUE(guest.await(line.answer)) << line.typed;
      }
    }
    guest.signal(SIGTERM);
    return guest.finish();
  }
};

/// The line of --summary.
std::string summary(const std::string& err) {
  const std::size_t at = err.find("hindcast: icount ");
  return at == std::string::npos ? "none" : err.substr(at, err.find('\n', at) - at);
}

TEST_F(MicroPython, ATypedSessionReplaysBitForBit) {
  TempFolder folder;
  const std::string recording = folder / "session.rec";
  const Outcome recorded = record(recording);
  EXPECT_NE(recorded.out.find("MicroPython v"), std::string::npos) << recorded.describe();
  for (const char* engine : {"jit", "interp"}) {
    const Outcome replayed = hindcast({"replay", "--engine", engine, "--summary", recording});
    EXPECT_EQ(replayed.out, recorded.out) << engine;
    EXPECT_EQ(summary(replayed.err), summary(recorded.err)) << engine;
  }
  const Outcome verified = hindcast({"verify", recording});
  EXPECT_EQ(verified.status, 0) << verified.describe();
}

TEST_F(MicroPython, GdbGoesBackFromTheEnd) {
  if (std::system("gdb-multiarch --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no gdb-multiarch";
  TempFolder folder;
  const std::string recording = folder / "session.rec";
  record(recording);
  // A word below the stack pointer was last written by an instruction further back.
  write_file(folder / "commands",
             "set pagination off\nset confirm off\nmonitor seek end\nmaintenance flush register-cache\n"
             "printf \"end %x %x\\n\", $sp == $msp, $primask\n"
             "eval \"watch *(unsigned*)%u\", $sp - 8\nreverse-continue\n"
             "printf \"back %x %x %x\\n\", $pc, $xpsr, $lr\nstepi\nreverse-stepi\n"
             "printf \"again %x %x %x\\n\", $pc, $xpsr, $lr\nkill\n");
  const Outcome gdb =
      hindcast({"debug", recording, "--gdb", "-nx", "-q", "-batch", "-x", folder / "commands"});
  EXPECT_NE(gdb.out.find("end 1 0\n"), std::string::npos) << gdb.describe();
  EXPECT_NE(gdb.out.find("New value = "), std::string::npos) << gdb.describe();
  const auto after = [&](const std::string& word) {
    const std::size_t at = gdb.out.find(word);
    return at == std::string::npos
               ? word
               : gdb.out.substr(at + word.size(), gdb.out.find('\n', at) - at - word.size());
  };
  EXPECT_EQ(after("back "), after("again ")) << gdb.describe();
}

}  // namespace
}  // namespace hindcast::cli_test
