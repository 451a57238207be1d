// Whatever the engine keeps or drops, and whatever the host can do, the guest sees the same.
#include "tests/engine/programs.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::test {
namespace {

/// Every engine at the points of a grid against the interpreter; the first one runs undisturbed.
void expect_invisible(const Board& board, Icount grid, int points) {
  std::vector<std::unique_ptr<Guest>> guests;
  const std::vector<Engine> all = engines();
  for (const Engine& engine : all) guests.push_back(std::make_unique<Guest>(board, engine.options));
  Guest want(board, interpreter());
  for (int point = 1; point <= points; ++point) {
    want.run_to(grid * static_cast<u64>(point));
    for (std::size_t i = 0; i < all.size(); ++i) {
      guests[i]->run_to(grid * static_cast<u64>(point));
      ASSERT_EQ(difference(*guests[i], want), "") << all[i].name << " at icount " << want.icount();
    }
  }
}

TEST(TranslationState, IsInvisibleOnRv64) { expect_invisible({.image = mixed_program(true)}, 9'973, 6); }
TEST(TranslationState, IsInvisibleOnRv32) {
  expect_invisible({.image = mixed_program(false), .cpu = "rv32"}, 9'973, 6);
}
TEST(TranslationState, IsInvisibleBehindProtection) {
  expect_invisible({.image = protected_program()}, 9'973, 6);
}

/// More code than the cache holds, several times over.
TEST(TranslationState, ACacheThatOverflowsIsInvisible) {
  constexpr int kFunctions = 700, kInsns = 60;
  Assembler a;
  Random random(0x0f10);
  a.la(s0, "functions");
  a.label("round");
  a.mv(s1, s0);
  a.li(s2, kFunctions);
  a.label("next");
  a.jalr(ra, s1);
  a.addi(s1, s1, 4 * (kInsns + 1));
  a.addi(s2, s2, -1);
  a.bne(s2, zero, "next");
  a.addi(s3, s3, 1);
  a.j("round");
  a.label("functions");
  for (int f = 0; f < kFunctions; ++f) {
    for (int i = 0; i < kInsns; ++i) {
      const u32 rd = a0 + static_cast<u32>(random.below(8)), rs = a0 + static_cast<u32>(random.below(8));
      if (random.chance(50))
        a.addi(rd, rs, static_cast<i32>(random.below(4096)) - 2048);
      else
        a.mul(rd, rd, rs);
    }
    a.ret();
  }
  Board board{.image = a.finish()};
  Guest got(board, [] {
    EngineOptions options;
    options.code_cache_bytes = 1;  // the smallest there is
    return options;
  }());
  Guest want(board, interpreter());
  for (int point = 1; point <= 10; ++point) EXPECT_SAME_AT(got, want, want.icount() + 23'456);
  EXPECT_GT(want.x(s3), 3u);
}

/// The generated code of a guest that is itself a JIT.
TEST(TranslationState, TheStormGuestInASmallCache) {
  Board board{.image = guest_elf("storm-rv64gc"), .memory = 16u << 20};
  if (board.image.empty()) GTEST_SKIP() << "guest programs were not built";
  EngineOptions small;
  small.code_cache_bytes = 256u << 10;
  Guest got(board, small), want(board, interpreter());
  // From the last functions' generation well into their execution.
  for (const Icount at : {20'000'000u, 40'000'000u, 43'000'000u}) EXPECT_SAME_AT(got, want, at);
}

/// The arena overflows at the moment when a block of another context, the only one there, is linked.
TEST(TranslationState, AnOverflowWhileLinkingInASecondContext) {
  constexpr int kRounds = 400, kSize = 64;
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.addi(t0, zero, -1);
  a.csrw(csr::pmpaddr0, t0);
  a.addi(t0, zero, 0x1f);
  a.csrw(csr::pmpcfg0, t0);
  a.la(s0, "machine");
  a.la(s1, "user");
  a.la(s2, "user_second");
  a.li(s3, kRounds);
  a.j("round");
  a.align(4);
  a.label("trap");  // the user program's ecall
  a.addi(s3, s3, -1);
  a.bne(s3, zero, "round");
  a.label("done");
  a.j("done");
  a.label("round");
  a.jalr(ra, s0);
  a.addi(s0, s0, kSize);
  a.lw(t0, s1);  // both user blocks are forgotten
  a.sw(t0, s1);
  a.lw(t0, s2);
  a.sw(t0, s2);
  a.csrw(csr::mepc, s1);
  a.li(t0, 0x1800);
  a.word(i_type(0x73, 3, zero, t0, static_cast<i32>(csr::mstatus)));
  a.word(kMret);
  a.align(4096);
  a.label("user");
  a.addi(a0, a0, 1);
  a.j("user_second");
  a.align(4096);
  a.label("user_second");
  for (int i = 0; i < 40; ++i) a.mul(a0 + static_cast<u32>(i) % 8, a0 + static_cast<u32>(i) % 7, a0);
  a.addi(a1, a1, 3);
  a.word(kEcall);
  a.align(4096);
  a.label("machine");
  for (int f = 0; f < kRounds; ++f) {
    for (int i = 0; i < kSize / 4 - 1; ++i) a.addi(a7, a7, i);
    a.ret();
  }
  Board board{.image = a.finish()};
  Guest want(board, interpreter());
  want.run_to(60'000);
  ASSERT_EQ(want.pc(), a.at("done"));
  for (u64 cache : {256u << 10, 260u << 10, 277u << 10}) {
    EngineOptions small;
    small.code_cache_bytes = cache;
    Guest got(board, small);
    got.run_to(60'000);
    EXPECT_EQ(difference(got, want), "");
  }
}

/// Two harts with the same modes but other PMP entries: what one may execute the other may not.
TEST(TranslationState, TwoHartsWithTheirOwnProtection) {
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.la(gp, kRam + 0x8000);
  // Entry 0: the function's page, executable for hart 0 only; readable data of hart 1's liking. 1: all.
  a.la(t0, kRam + 0x4000);
  a.srli(t0, t0, 2);
  a.addi(t0, t0, 0x1ff);
  a.csrw(csr::pmpaddr0, t0);
  a.addi(t0, zero, -1);
  a.csrw(csr::pmpaddr0 + 1, t0);
  a.csrr(s0, csr::mhartid);
  a.li(t0, 0x1f1d);  // read and execute
  a.beq(s0, zero, "rights");
  a.li(t0, 0x1f1b);  // read and write
  a.label("rights");
  a.csrw(csr::pmpcfg0, t0);
  a.la(t0, "user");
  a.csrw(csr::mepc, t0);
  a.li(t0, 0x1800);
  a.word(i_type(0x73, 3, zero, t0, static_cast<i32>(csr::mstatus)));
  a.word(kMret);
  a.label("user");
  a.la(s1, kRam + 0x4000);
  a.label("again");
  a.sw(s0, s1, 0x100);  // hart 1 may, hart 0 may not
  a.addi(s4, s4, 1);
  a.jalr(ra, s1);  // hart 0 may, hart 1 may not
  a.j("again");
  a.align(4);
  a.label("trap");
  a.csrr(s2, csr::mcause);
  a.addi(t0, zero, 7);
  a.beq(s2, t0, "store");
  a.addi(s5, s5, 1);  // a fetch: return
  a.csrw(csr::mepc, ra);
  a.word(kMret);
  a.label("store");
  a.addi(s6, s6, 1);
  a.csrr(t0, csr::mepc);
  a.addi(t0, t0, 4);
  a.csrw(csr::mepc, t0);
  a.word(kMret);
  a.org(kRam + 0x4000);
  a.addi(s3, s3, 1);
  a.ret();
  Board board{.image = a.finish(), .smp = 2};
  Guest want(board, interpreter());
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options);
    got.run_to(400'000);
    // Hart 0 calls the function and is refused the store; hart 1 the other way round.
    EXPECT_EQ(got.x(s3, 1), 0u) << engine.name;
    EXPECT_GT(got.x(s3, 0), 1000u) << engine.name;
    EXPECT_EQ(got.x(s5, 0), 0u) << engine.name;
    EXPECT_GT(got.x(s5, 1), 1000u) << engine.name;
    EXPECT_GT(got.x(s6, 0), 1000u) << engine.name;
    EXPECT_EQ(got.x(s6, 1), 0u) << engine.name;
    want.run_to(400'000);
    EXPECT_EQ(difference(got, want), "") << engine.name;
  }
}

/// A right that is taken away is gone for loads that have been translated and looked up before.
TEST(TranslationState, ProtectionThatChanges) {
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.la(gp, kRam + 0x8000);
  a.la(t0, kRam + 0x8000);
  a.srli(t0, t0, 2);
  a.addi(t0, t0, 0x1ff);
  a.csrw(csr::pmpaddr0, t0);
  a.addi(t0, zero, -1);
  a.csrw(csr::pmpaddr0 + 1, t0);
  a.la(t0, "user");
  a.csrw(csr::mepc, t0);
  a.j("flip");
  a.align(4);
  a.label("trap");
  a.csrr(t0, csr::mcause);
  a.addi(t0, t0, -8);
  a.beq(t0, zero, "call");
  a.addi(s5, s5, 1);  // refused
  a.csrr(t0, csr::mepc);
  a.addi(t0, t0, 4);
  a.csrw(csr::mepc, t0);
  a.word(kMret);
  a.label("call");
  a.csrr(t0, csr::mepc);
  a.addi(t0, t0, 4);
  a.csrw(csr::mepc, t0);
  a.label("flip");  // no right, then read, then both
  a.addi(s7, s7, 1);
  a.addi(t1, zero, 3);
  a.remu(t0, s7, t1);
  a.slli(t0, t0, 1);
  a.branch(0, t0, zero, "set");
  a.addi(t0, t0, -1);  // 0, 1 or 3
  a.label("set");
  a.li(t1, 0x1f18);
  a.add(t0, t0, t1);
  a.csrw(csr::pmpcfg0, t0);
  a.li(t0, 0x1800);
  a.word(i_type(0x73, 3, zero, t0, static_cast<i32>(csr::mstatus)));
  a.word(kMret);
  a.label("user");
  a.lw(t2, gp, 0);
  a.addi(t2, t2, 1);
  a.sw(t2, gp, 0);
  a.addi(s4, s4, 1);
  a.word(kEcall);
  a.j("user");
  Board board{.image = a.finish()};
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options), want(board, interpreter());
    for (int point = 0; point < 5; ++point) EXPECT_SAME_AT(got, want, want.icount() + 2'001);
    EXPECT_GT(got.x(s5), 100u) << engine.name;
    EXPECT_GT(got.word(kRam + 0x8000), 50u) << engine.name;
  }
}

TEST(TranslationState, AnUnknownHostFeatureIsRefused) {
  EngineOptions options;
  options.host_features_off = {"sse9"};
  EXPECT_THROW(Guest({.image = mixed_program(true)}, options), Fatal);
}

}  // namespace
}  // namespace hindcast::test
