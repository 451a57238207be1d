// The guest programs under the hindcast command, in both engines, and recorded and replayed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/guests/run_command.h"

namespace hindcast::testing {
namespace {

class Guest : public ::testing::TestWithParam<std::string> {
 protected:
  /// The ELF of this variant; "" and a skipped test if it was not built.
  std::string need(const std::string& program) { return need_exactly(program + "-" + GetParam()); }
  std::string need_exactly(const std::string& name) {
    std::string path = guest_path(name);
    if (path.empty()) skip_ = true;
    return path;
  }
  CommandResult run(const std::string& elf, std::vector<std::string> options = {},
                    const std::vector<Keys>& keys = {}) {
    std::vector<std::string> argv = {HINDCAST_COMMAND, "run"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(elf);
    return run_command(argv, keys);
  }
  bool skip_ = false;
};

#define NEED(var, program)         \
  std::string var = need(program); \
  if (skip_) GTEST_SKIP() << "guest programs were not built (no riscv64-unknown-elf-gcc)"

using Firmware = Guest;
using Kernels = Guest;

TEST_P(Kernels, PrintWhatTheNativeBuildPrints) {
  NEED(elf, "kernels");
  CommandResult native = run_command({std::string(HINDCAST_GUEST_DIR) + "/kernels_native"});
  ASSERT_EQ(native.status, 0);
  ASSERT_EQ(native.out.find("00badbad"), std::string::npos) << native.out;
  CommandResult guest = run(elf);
  EXPECT_EQ(guest.status, 0) << guest.err;
  EXPECT_EQ(guest.out, native.out);
}

TEST_P(Kernels, TakeTheirArguments) {
  NEED(elf, "kernels");
  CommandResult native = run_command({std::string(HINDCAST_GUEST_DIR) + "/kernels_native", "crc", "3"});
  CommandResult guest = run_command({HINDCAST_COMMAND, "run", elf, "--", "crc", "3"});
  EXPECT_EQ(guest.status, 0) << guest.err;
  EXPECT_EQ(guest.out, native.out);
  EXPECT_EQ(run_command({HINDCAST_COMMAND, "run", elf, "--", "nonsense", "3"}).status, 2);
}

TEST_P(Kernels, InterpreterAgrees) {
  NEED(elf, "kernels");
  for (const char* kernel : {"sha256", "listmix", "bytecode", "petri", "fft", "nbody", "memops"}) {
    CommandResult native = run_command({std::string(HINDCAST_GUEST_DIR) + "/kernels_native", kernel});
    CommandResult guest = run_command({HINDCAST_COMMAND, "run", "--engine", "interp", elf, "--", kernel});
    EXPECT_EQ(guest.status, 0) << guest.err;
    EXPECT_EQ(guest.out, native.out);
  }
}

TEST_P(Firmware, SelfModifyingCodeIsCoherent) {
  for (const char* program : {"smc", "smc-nofence"}) {
    NEED(elf, program);
    for (const char* engine : {"jit", "interp"}) {
      CommandResult r = run(elf, {"--engine", engine});
      EXPECT_EQ(r.status, 0) << program << ' ' << engine << ' ' << r.err;
      EXPECT_EQ(r.out,
                "own loop ok 0001e942\nnext instruction ok 00001388\npatched function ok 00100bb8\n"
                "mixed page ok 001b7740\nacross pages ok 0001eb14\n")
          << program << ' ' << engine;
    }
  }
}

TEST_P(Firmware, GeneratedCodeOverflowsTheCache) {
  NEED(elf, "storm");
  CommandResult r = run(elf);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "round 0 69b95460\nround 1 980363c0\nround 2 400bdc40\n");
}

TEST_P(Firmware, FaultsAreReportedExactly) {
  NEED(elf, "faults");
  for (const char* engine : {"jit", "interp"}) {
    CommandResult r = run(elf, {"--engine", engine});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.out,
              "load from nowhere cause 05 tval 08000000\n"
              "store to nowhere cause 07 tval 08000004\n"
              "byte load behind RAM cause 05 tval fffffff0\n"
              "jump to nowhere cause 01 tval 08000000\n"
              "jump to 0 cause 01 tval 00000000\n"
              "write to ROM cause 07 tval 00001000\n"
              "ROM unchanged\n"
              "illegal zero cause 02 tval 00000000\n"
              "illegal ones cause 02 tval ffffffff\n"
              "illegal in OP cause 02 tval fe000033\n"
              "ebreak cause 03\n"
              "ecall cause 0b tval 00000000\n"
              "no such CSR cause 02 tval 5c002073\n"
              "write to a read-only CSR cause 02 tval c0001073\n"
              "read with csrrs x0 of a read-only CSR -\n"
              "misaligned lr cause 04 tval 80e00002\n"
              "misaligned amo cause 06 tval 80e00001\n"
              "amo on nowhere cause 07 tval 08000000\n"
              "lr on nowhere cause 05 tval 08000000\n"
              "float while off cause 02 tval 00000053\n")
        << engine;
  }
}

TEST_P(Firmware, ResetAndExitCode) {
  NEED(elf, "reset");
  CommandResult r = run(elf);
  EXPECT_EQ(r.status, 42) << r.err;
  EXPECT_EQ(r.out, "boot 1 ier 00 mstatus.MIE 0\nboot 2 ier 00 mstatus.MIE 0\nboot 3 ier 00 mstatus.MIE 0\n");
}

TEST_P(Firmware, TwoHartsAreDeterministic) {
  NEED(elf, "smp");
  CommandResult first = run(elf, {"--smp", "2"});
  EXPECT_EQ(first.status, 0) << first.err;
  const std::string sums =
      "amoadd 00003a98\nlr/sc 000088b8\nlock 00002710\nxor 00006d88\nmaxu 0c118402\nminu 00004803\n"
      "max 000458fc\nwide 017d64b8\npings 00640064\norder ";
  EXPECT_EQ(first.out.substr(0, sums.size()), sums);
  EXPECT_EQ(run(elf, {"--smp", "2"}).out, first.out);
  EXPECT_EQ(run(elf, {"--smp", "2", "--engine", "interp"}).out, first.out);
}

TEST_P(Firmware, EndlessGuestsAreStopped) {
  NEED(spins, "loop3");
  for (const char* engine : {"jit", "interp"}) {
    CommandResult r = run(spins, {"--max-icount", "500000", "--engine", engine});
    EXPECT_EQ(r.status, 124) << engine << ' ' << r.err;
    EXPECT_EQ(r.out, "");
    for (const char* program : {"loop0", "loop1"}) {  // their handlers fault: nothing can ever change
      NEED(elf, program);
      CommandResult r = run(elf, {"--engine", engine});
      EXPECT_EQ(r.status, 124) << program << ' ' << engine << ' ' << r.err;
      EXPECT_NE(r.err.find("the same exception for ever at pc"), std::string::npos) << r.err;
      EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    }
  }
  NEED(waits, "loop2");  // with stdin closed nothing can wake it
  CommandResult r = run(waits);
  EXPECT_EQ(r.status, 124) << r.err;
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
}

TEST_P(Firmware, TypedBytesReplayAtTheirInstruction) {
  const std::vector<Keys> keys = {{150, "h"}, {3, "e"}, {7, "l"}, {31, "lo"}, {45, " and a burst of bytes "},
                                  {60, "q"}};
  for (const char* program : {"irq-fifo", "irq-nofifo"}) {
    NEED(elf, program);
    auto recording = std::filesystem::temp_directory_path() / ("hindcast-irq-" + std::to_string(getpid()));
    CommandResult live = run_command(
        {HINDCAST_COMMAND, "record", "--force", "--pace", "real", "-o", recording.string(), elf}, keys);
    EXPECT_EQ(live.status, 0) << live.err;
    EXPECT_NE(live.out.find("received hello and a burst of bytes q\n"), std::string::npos) << live.out;
    for (int i = 0; i < 2; i++) {
      CommandResult again = run_command({HINDCAST_COMMAND, "replay", recording.string()});
      EXPECT_EQ(again.status, 0) << again.err;
      EXPECT_EQ(again.out, live.out);
    }
    std::filesystem::remove_all(recording);
  }
}

INSTANTIATE_TEST_SUITE_P(RiscV, Kernels, ::testing::Values("rv64gc", "rv32gc", "rv32imac", "rv32imc"),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(RiscV, Firmware, ::testing::Values("rv64gc", "rv32gc", "rv32imac"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace hindcast::testing
