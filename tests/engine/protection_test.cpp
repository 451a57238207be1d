// Protection that changes all the time: translations made under one rule are kept, and never run under
// another.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

/// The end of what a user program may execute moves; the program runs into it each time. More rules than the
/// engine keeps translations for, and all of them come back.
TEST(Protection, ExecutionEndsWhereItMay) {
  constexpr u32 kEnds = 300;
  constexpr u64 kRounds = 2 * kEnds + 50, kUser = kRam + 0x4000;
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.la(s0, kUser);
  a.srli(t0, s0, 2);
  a.csrw(csr::pmpaddr0, t0);
  a.addi(t0, zero, -1);
  a.csrw(csr::pmpaddr0 + 2, t0);
  a.li(t0, 0x1b0d00);  // 1: from entry 0's address up, read and execute; 2: everything, read and write
  a.csrw(csr::pmpcfg0, t0);
  a.li(s1, kRounds);
  a.li(s2, kEnds);
  a.j("next");
  a.align(4);
  a.label("trap");
  a.csrr(t0, csr::mcause);
  a.add(s3, s3, t0);
  a.csrr(t0, csr::mepc);
  a.sub(t0, t0, s0);
  a.add(s4, s4, t0);
  a.addi(s1, s1, -1);
  a.label("done");
  a.beq(s1, zero, "done");
  a.label("next");
  a.addi(t0, zero, 7);
  a.mul(t0, s1, t0);
  a.remu(t0, t0, s2);
  a.addi(t0, t0, 1);
  a.srli(t1, s0, 2);
  a.add(t0, t0, t1);
  a.csrw(csr::pmpaddr0 + 1, t0);
  a.csrw(csr::mepc, s0);
  a.li(t0, 0x1800);
  a.word(i_type(0x73, 3, zero, t0, static_cast<i32>(csr::mstatus)));
  a.word(kMret);
  a.org(kUser);
  for (u32 i = 0; i < kEnds; ++i) a.addi(a0, a0, 1);
  const Board board{.image = a.finish()};
  u64 executed = 0;
  for (u64 round = kRounds; round > 0; --round) executed += round * 7 % kEnds + 1;
  const u64 enough = executed + kRounds * 40;
  Guest want(board, interpreter());
  want.run_to(enough);
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options);
    got.run_to(enough);
    EXPECT_EQ(got.x(s1), 0u) << engine.name;
    EXPECT_EQ(got.x(s3), kRounds) << engine.name;  // instruction access faults
    EXPECT_EQ(got.x(s4), 4 * executed) << engine.name;
    EXPECT_EQ(got.x(a0), executed) << engine.name;
    EXPECT_EQ(difference(got, want), "") << engine.name;
  }
}

}  // namespace
}  // namespace hindcast::test
