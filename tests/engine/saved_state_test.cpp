// A machine continues from another one's state and memory as that one does.
#include <algorithm>

#include "tests/engine/programs.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::test {
namespace {

void expect_continues(const Board& board, Icount range, u64 seed) {
  Random random(seed);
  for (int round = 0; round < 12; ++round) {
    const EngineOptions from = round % 2 == 0 ? jit() : interpreter();
    const EngineOptions to = round % 4 < 2 ? jit() : round % 4 == 2 ? interpreter() : chaos(9);
    SCOPED_TRACE("round " + std::to_string(round));
    Guest original(board, from);
    original.run_to(1 + random.below(range));
    const Bytes saved = original.state();
    Guest copy(board, to);
    copy.run_to(random.below(range));  // what it has run before leaves no trace
    copy.copy_ram_from(original);
    copy.load(saved);
    ASSERT_EQ(copy.state(), saved);
    const std::string begun = copy.output(), began = original.output();
    for (const u64 step : {u64{1}, u64{2}, 1 + random.below(100), 1 + random.below(5000), range}) {
      const Icount at = original.icount() + step;
      ASSERT_EQ(static_cast<int>(copy.run_to(at)), static_cast<int>(original.run_to(at)));
      ASSERT_EQ(copy.state(), original.state()) << "icount " << at;
      for (std::size_t block = 0; block < copy.ram().size(); ++block)
        ASSERT_TRUE(std::ranges::equal(copy.ram()[block], original.ram()[block])) << "icount " << at;
    }
    EXPECT_EQ(copy.output().substr(begun.size()), original.output().substr(began.size()));
  }
}

TEST(SavedState, ContinuesOnRv64) { expect_continues({.image = mixed_program(true)}, 20'000, 1); }
TEST(SavedState, ContinuesOnRv32) {
  expect_continues({.image = mixed_program(false), .cpu = "rv32"}, 20'000, 2);
}
TEST(SavedState, ContinuesBehindProtection) { expect_continues({.image = protected_program()}, 20'000, 3); }
TEST(SavedState, ContinuesInTheGuests) {
  for (const char* name : {"irq-fifo-rv64gc", "smc-rv64gc", "smp-rv64gc"}) {
    Board board{.image = guest_elf(name), .smp = 2, .memory = 512u << 10};
    if (board.image.empty()) GTEST_SKIP() << "guest programs were not built";
    SCOPED_TRACE(name);
    expect_continues(board, 30'000, 4);
  }
}

TEST(SavedState, OfAnotherMachineIsRefused) {
  Guest one({.image = mixed_program(true)}, jit()), two({.image = mixed_program(true), .smp = 2}, jit());
  EXPECT_THROW(one.load(two.state()), Fatal);
  Bytes short_one = two.state();
  short_one.resize(short_one.size() / 2);
  EXPECT_THROW(two.load(short_one), Fatal);
}

}  // namespace
}  // namespace hindcast::test
