// Time is a function of icount wherever it is looked at, and what is due arrives at the exact instruction.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr unsigned kShift = 7;  // 128 ns an instruction: every instruction has its own mtime
constexpr u64 kTick = 100;      // ns, of the board's 10 MHz timer
constexpr u64 mtime_at(Icount icount) { return (icount << kShift) / kTick; }

/// The icount at which the guest is before the first instruction of the image.
Icount icount_of_start(const Board& board) {
  Guest guest(board, interpreter());
  while (guest.pc() != kRam) guest.run_to(guest.icount() + 1);
  return guest.icount();
}

TEST(DeviceTime, ReadsInTheMiddleOfBlocks) {
  Assembler a;
  a.li(t0, kMtime);  // two instructions
  a.label("loop");
  a.addi(a0, a0, 1);
  a.lw(s0, t0);  // 1 after the loop's begin
  a.addi(a0, a0, 1);
  a.addi(a0, a0, 1);
  a.csrr(s1, csr::time);  // 4
  a.addi(a0, a0, 1);
  a.lw(s2, t0);               // 6
  a.csrr(s3, csr::minstret);  // 7
  a.lw(s4, t0);               // 8
  a.lw(s5, t0);               // 9
  a.j("loop");
  constexpr u64 kLength = 11;
  Board board{.image = a.finish(), .icount_shift = kShift};
  const Icount start = icount_of_start(board);
  const Icount before = start + (a.at("loop") - kRam) / 4;
  for (const Engine& engine : engines()) {
    Guest guest(board, engine.options);
    for (const u64 round : {0, 1, 2, 3, 50, 51, 700}) {
      const Icount begin = before + round * kLength;
      guest.run_to(begin + kLength - 1);
      EXPECT_EQ(guest.x(s0), mtime_at(begin + 1)) << engine.name << " round " << round;
      EXPECT_EQ(guest.x(s1), mtime_at(begin + 4)) << engine.name << " round " << round;
      EXPECT_EQ(guest.x(s2), mtime_at(begin + 6)) << engine.name << " round " << round;
      EXPECT_EQ(guest.x(s3), begin + 7) << engine.name << " round " << round;
      EXPECT_EQ(guest.x(s4), mtime_at(begin + 8)) << engine.name << " round " << round;
      EXPECT_EQ(guest.x(s5), mtime_at(begin + 9)) << engine.name << " round " << round;
    }
  }
}

/// A deadline armed in the middle of a block interrupts at the first boundary at which it has passed.
TEST(DeviceTime, ADeadlineArmedInTheMiddleOfABlock) {
  for (i32 ticks = 0; ticks < 60; ticks += ticks < 12 ? 1 : 7) {
    Assembler a;
    a.la(t0, "trap");
    a.csrw(csr::mtvec, t0);
    a.li(t0, kMtime);
    a.li(t1, kMtimecmp);
    a.addi(t2, zero, -1);
    a.sw(t2, t1, 0);  // far away
    a.sw(zero, t1, 4);
    a.addi(t3, zero, 0x80);
    a.csrw(csr::mie, t3);
    a.addi(t3, zero, 8);
    a.csrs(csr::mstatus, t3);
    a.label("arm");
    a.addi(a0, a0, 1);
    a.lw(t3, t0);
    a.addi(t3, t3, ticks);
    a.addi(a0, a0, 1);
    a.label("store");
    a.sw(t3, t1);
    for (int i = 0; i < 25; ++i) a.addi(a0, a0, 1);
    a.label("spin");
    a.addi(a0, a0, 1);
    a.addi(a1, a1, 1);
    a.j("spin");
    a.align(4);
    a.label("trap");
    a.csrr(s0, csr::mepc);
    a.label("end");
    a.j("end");
    Board board{.image = a.finish(), .icount_shift = kShift};
    const auto icount_at = [&, start = icount_of_start(board)](const char* label) {
      return start + (a.at(label) - kRam) / 4;
    };
    const u64 deadline = mtime_at(icount_at("arm") + 1) + static_cast<u64>(ticks);
    Icount due = icount_at("store") + 1;  // at the earliest, right after the store
    while (mtime_at(due) < deadline) ++due;
    for (const Engine& engine : engines()) {
      SCOPED_TRACE(engine.name + ", " + std::to_string(ticks) + " ticks");
      Guest guest(board, engine.options);
      guest.run_to(due);
      EXPECT_NE(guest.pc(), a.at("trap"));
      const GuestAddr interrupted = guest.pc();
      guest.run_to(due + 1);
      EXPECT_EQ(guest.pc(), a.at("trap"));
      guest.run_to(due + 2);
      EXPECT_EQ(guest.x(s0), interrupted);
      // The same without the stops.
      Guest straight(board, engine.options);
      straight.run_to(due + 2);
      EXPECT_EQ(difference(straight, guest), "");
    }
  }
}

/// An interrupt that has been pending is taken right after the instruction that unmasks it.
TEST(DeviceTime, AnInterruptUnmaskedInTheMiddleOfABlock) {
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.li(t0, kClint);
  a.addi(t1, zero, 1);
  a.addi(t2, zero, 8);
  a.csrw(csr::mie, t2);
  a.label("again");
  a.sw(t1, t0);  // msip of this hart
  a.addi(a0, a0, 1);
  a.addi(a0, a0, 1);
  a.csrs(csr::mstatus, t2);
  a.label("after");
  a.addi(a1, a1, 1);
  a.addi(s4, s4, 1);
  a.j("again");
  a.align(4);
  a.label("trap");
  a.csrr(s0, csr::mepc);
  a.add(s1, s1, a1);
  a.sw(zero, t0);
  a.word(i_type(0x73, 3, zero, t3, static_cast<i32>(csr::mstatus)));
  a.addi(t3, zero, 0x80);
  a.word(i_type(0x73, 3, zero, t3, static_cast<i32>(csr::mstatus)));  // MPIE: stay masked after mret
  a.word(kMret);
  Board board{.image = a.finish()};
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options), want(board, interpreter());
    for (int point = 0; point < 4; ++point) EXPECT_SAME_AT(got, want, want.icount() + 501);
    EXPECT_EQ(got.x(s0), a.at("after")) << engine.name;
    EXPECT_GT(got.x(s4), 50u) << engine.name;
  }
}

/// Several harts share a counter without atomics, so that every change of the order of turns shows.
Bytes racing_harts() {
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.csrr(s0, csr::mhartid);
  a.la(s1, kRam + 0x8000);
  a.la(s2, kRam + 0x9000);
  a.li(s3, kClint);
  a.addi(t0, zero, 8);
  a.csrw(csr::mie, t0);
  a.csrs(csr::mstatus, t0);
  a.addi(s5, s0, 3);
  a.label("loop");
  a.lw(t0, s1);
  a.mul(t0, t0, s5);
  a.addi(t0, t0, 1);
  a.add(t0, t0, s0);
  a.sw(t0, s1);
  a.amo_w(2, t1, zero, s2);  // lr, sc: lost when another hart has run
  a.addi(t1, t1, 1);
  a.amo_w(3, t2, t1, s2);
  a.add(s6, s6, t2);
  a.addi(s7, s7, 1);
  a.andi(t2, s7, 0x3ff);
  a.bne(t2, zero, "loop");
  // Wake the next hart, then wait for being woken (hart 0 never waits).
  a.addi(t3, s0, 1);
  a.andi(t3, t3, 3);
  a.slli(t3, t3, 2);
  a.add(t3, t3, s3);
  a.addi(t4, zero, 1);
  a.sw(t4, t3);
  a.beq(s0, zero, "loop");
  a.word(kWfi);
  a.j("loop");
  a.align(4);
  a.label("trap");
  a.addi(s8, s8, 1);
  a.slli(t5, s0, 2);
  a.add(t5, t5, s3);
  a.sw(zero, t5);
  a.word(kMret);
  return a.finish();
}

TEST(SeveralHarts, TakeTheSameTurnsInEveryEngine) {
  Board board{.image = racing_harts(), .smp = 4};
  std::vector<std::unique_ptr<Guest>> guests;
  const std::vector<Engine> all = engines();
  for (const Engine& engine : all) guests.push_back(std::make_unique<Guest>(board, engine.options));
  Guest want(board, interpreter());
  for (int point = 1; point <= 4; ++point) {
    const Icount at = 123'457u * static_cast<u64>(point);
    want.run_to(at);
    for (std::size_t i = 0; i < all.size(); ++i) {
      guests[i]->run_to(at);
      ASSERT_EQ(difference(*guests[i], want), "") << all[i].name << " at icount " << at;
    }
  }
  for (unsigned hart = 0; hart < 4; ++hart) {
    EXPECT_GT(want.x(s7, hart), 1000u) << hart;
    EXPECT_GT(want.x(s8, hart), 0u) << hart;
  }
}

TEST(SeveralHarts, StopAtRandomIcounts) {
  Board board{.image = racing_harts(), .smp = 4};
  Guest got(board, jit()), want(board, interpreter());
  Icount at = 0;
  for (int stop = 0; stop < 120; ++stop) EXPECT_SAME_AT(got, want, at += 1 + (at * 7919 + 13) % 5003);
}

TEST(SeveralHarts, TheSmpGuest) {
  Board board{.image = guest_elf("smp-rv64gc"), .smp = 2, .memory = 16u << 20};
  if (board.image.empty()) GTEST_SKIP() << "guest programs were not built";
  Guest want(board, interpreter());
  while (!want.machine().exited() && want.icount() < 20'000'000) want.run_to(want.icount() + 1'000'000);
  ASSERT_TRUE(want.machine().exited());
  for (const EngineOptions& options : {jit(), chaos(5)}) {
    Guest got(board, options);
    got.run_to(20'000'000);
    EXPECT_EQ(difference(got, want), "");
  }
}

/// An idle guest: its time jumps, its icount does not.
TEST(Warp, TimeJumpsToTheTimer) {
  Assembler a;
  a.li(t0, kMtimecmp);
  a.li(t1, 1'000'000);
  a.sw(t1, t0);
  a.sw(zero, t0, 4);
  a.addi(t2, zero, 0x80);
  a.csrw(csr::mie, t2);
  a.word(kWfi);
  a.label("woken");
  a.li(t3, kMtime);
  a.lw(s0, t3);
  a.label("end");
  a.j("end");
  Board board{.image = a.finish(), .icount_shift = kShift};
  const Icount idle_at = icount_of_start(board) + (a.at("woken") - kRam) / 4;
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest guest(board, engine.options);
    ASSERT_EQ(guest.machine().run(1'000'000), StopReason::Idle);
    EXPECT_EQ(guest.icount(), idle_at);
    EXPECT_EQ(guest.machine().next_wakeup(), 1'000'000 * kTick);
    guest.machine().warp_to(guest.machine().next_wakeup());
    EXPECT_EQ(guest.icount(), idle_at);
    EXPECT_EQ(guest.machine().run(idle_at + 10), StopReason::Limit);
    const Icount load = idle_at + (a.at("end") - a.at("woken")) / 4 - 1;
    EXPECT_EQ(guest.x(s0), 1'000'000 + ((load - idle_at) << kShift) / kTick);
    EXPECT_EQ(guest.icount(), idle_at + 10);
  }
}

}  // namespace
}  // namespace hindcast::test
