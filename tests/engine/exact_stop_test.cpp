// The engine stops at any icount, and what it shows there is what the interpreter shows.
#include "tests/engine/programs.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::test {
namespace {

struct Case {
  const char* name;
  const char* cpu;
  Bytes (*program)();
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class ExactStop : public testing::TestWithParam<Case> {
 protected:
  Board board() const {
    Board b;
    b.cpu = GetParam().cpu;
    b.image = GetParam().program();
    return b;
  }
};

TEST_P(ExactStop, AtEveryIcount) {
  Guest got(board(), jit()), want(board(), interpreter());
  for (Icount at = 1; at <= 5000; ++at) EXPECT_SAME_AT(got, want, at);
  EXPECT_EQ(got.icount(), 5000u);
}

TEST_P(ExactStop, AtEveryIcountOfWarmCode) {
  Guest got(board(), jit()), want(board(), interpreter());
  EXPECT_SAME_AT(got, want, 50'000);
  for (Icount at = 50'001; at <= 53'000; ++at) EXPECT_SAME_AT(got, want, at);
}

TEST_P(ExactStop, AtRandomIcounts) {
  Random random(0x57095);
  Guest got(board(), jit()), want(board(), interpreter());
  for (int stop = 0; stop < 300; ++stop) {
    const u64 step = 1 + random.below(u64{1} << (1 + random.below(12)));
    EXPECT_SAME_AT(got, want, want.icount() + step);
  }
  // The stops themselves have changed nothing.
  Guest in_one_go(board(), jit()), interpreted(board(), interpreter());
  in_one_go.run_to(want.icount());
  EXPECT_EQ(difference(in_one_go, want), "");
  interpreted.run_to(want.icount());
  EXPECT_EQ(difference(interpreted, want), "");
}

/// Machines that have never stopped before.
TEST_P(ExactStop, AtTheFirstStop) {
  Random random(0xf1257);
  Guest want(board(), interpreter());
  for (int stop = 0; stop < 25; ++stop) {
    const Icount at = want.icount() + 1 + random.below(4000);
    Guest got(board(), jit());
    EXPECT_SAME_AT(got, want, at);
  }
}

/// A program that did nothing would pass all of the above.
TEST_P(ExactStop, TheProgramDoesWhatItShould) {
  Guest guest(board(), jit());
  ASSERT_EQ(guest.run_to(100'000), StopReason::Limit);
  EXPECT_GT(guest.x(s9) + guest.x(s8), 10u) << "rounds";
  EXPECT_NE(guest.word(kRam + 0x8000 + 0x100), 0u) << "exceptions";
  if (std::string(GetParam().name) != "protected") {
    EXPECT_GT(guest.word(kRam + 0x8000 + 0x108), 20u) << "timer interrupts";
    EXPECT_GT(guest.output().size(), 10u) << "device accesses";
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, ExactStop,
                         testing::Values(Case{"rv64", "rv64", [] { return mixed_program(true); }},
                                         Case{"rv32", "rv32", [] { return mixed_program(false); }},
                                         Case{"protected", "rv64", [] { return protected_program(); }}),
                         [](const auto& info) { return std::string(info.param.name); });

/// The compiler's code, compressed instructions and all.
TEST(ExactStopInGuests, AtRandomIcounts) {
  for (const char* name : {"irq-fifo-rv64gc", "faults-rv32gc", "smc-nofence-rv64gc", "irq-nofifo-rv32imac"}) {
    SCOPED_TRACE(name);
    Board board;
    board.image = guest_elf(name);
    if (board.image.empty()) GTEST_SKIP() << "guest programs were not built";
    board.cpu = std::string(name).find("rv64") != std::string::npos ? "rv64" : "rv32";
    board.memory = 1u << 20;
    Random random(0x6e575);
    Guest got(board, jit()), want(board, interpreter());
    for (int stop = 0; stop < 60 && !want.machine().exited(); ++stop) {
      const u64 step = 1 + random.below(u64{1} << (1 + random.below(16)));
      EXPECT_SAME_AT(got, want, want.icount() + step);
    }
  }
}

}  // namespace
}  // namespace hindcast::test
