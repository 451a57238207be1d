// Page tables that change all the time, and nobody is told: what was found out about them is never stale.
#include "tests/engine/guest.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kTables = kRam + 0x20000, kFrames = kRam + 0x30000, kPages = 0x4000'0000;
constexpr u32 kFrameCount = 8;
constexpr u32 kSstatus = 0x100, kStvec = 0x105, kSepc = 0x141, kScause = 0x142, kStval = 0x143, kSatp = 0x180,
              kMedeleg = 0x302;
constexpr u32 kSret = 0x1020'0073;

constexpr i64 entry_of(GuestAddr pa, u64 flags) { return static_cast<i64>(pa >> 12 << 10 | flags); }

/// Loads (also across two pages), stores, calls, and a call of an instruction that lies in two pages.
/// Whatever faults is counted and left out.
/// `places` of two megabytes each have the pages.
void emit_accesses(Assembler& a, u32 places) {
  a.srli(s2, s1, 33);  // the page
  a.andi(s2, s2, 7);
  a.slli(s2, s2, 12);
  a.li(t0, kPages);
  a.add(s2, s2, t0);
  a.srli(t1, s1, 51);
  a.andi(t1, t1, static_cast<i32>(places) - 1);
  a.slli(t1, t1, 21);
  a.add(s2, s2, t1);
  a.ld(t2, s2, 0x700);
  a.add(s3, s3, t2);
  a.sd(s1, s2, 0x708);
  a.addi(t1, s2, 0x10);
  a.jalr(ra, t1);
  a.lui(t1, 1);
  a.add(t1, t1, s2);
  a.ld(t2, t1, -4);
  a.add(s3, s3, t2);
  a.addi(t1, t1, -2);
  a.jalr(ra, t1);
}

/// A random entry of one of the last-level tables, and which of them is used.
void emit_changes(Assembler& a) {
  a.srli(t1, s1, 28);
  a.andi(t1, t1, 15);
  a.add(t1, t1, s11);
  a.lbu(t1, t1);
  a.srli(t2, s1, 24);
  a.andi(t2, t2, kFrameCount - 1);
  a.li(t0, kFrames >> 12);
  a.add(t2, t2, t0);
  a.slli(t2, t2, 10);
  a.add(t1, t1, t2);
  a.srli(t2, s1, 20);
  a.andi(t2, t2, 7);
  a.slli(t2, t2, 3);
  a.add(t2, t2, s0);
  a.srli(t0, s1, 45);
  a.andi(t0, t0, 1);
  a.slli(t0, t0, 12);
  a.add(t2, t2, t0);
  a.ld(t0, t2);  // accessed and dirty bits
  a.addi(s8, s8, 1);
  a.mul(s8, s8, t0);
  a.sd(t1, t2);
  a.srli(t2, s1, 50);
  a.andi(t2, t2, 1);
  a.slli(t2, t2, 10);
  a.li(t0, entry_of(kTables + 0x2000, 1));
  a.add(t0, t0, t2);
  a.la(t1, kTables + 0x1000);
  a.sd(t0, t1, 0);
}

void emit_trap_handler(Assembler& a) {
  a.align(4);
  a.label("trap");
  a.addi(t4, zero, 31);
  a.mul(s5, s5, t4);
  a.csrr(t3, kScause);
  a.add(s5, s5, t3);
  a.csrr(t4, kStval);
  a.add(s6, s6, t4);
  a.csrr(t4, kSepc);
  a.add(s7, s7, t4);
  a.addi(s9, s9, 1);
  a.addi(t4, t4, 4);
  a.addi(t3, t3, -12);
  a.bne(t3, zero, "behind");
  a.mv(t4, ra);
  a.addi(s10, s10, 1);
  a.label("behind");
  a.csrw(kSepc, t4);
  a.word(kSret);
}

/// Goes on in supervisor mode at "main", with "trap" for its exceptions: the RAM is one gigapage at its
/// place, kPages has all levels. s0: the table of its pages' entries. `places` of two megabytes each have
/// that table.
void emit_start(Assembler& a, u32 places) {
  a.addi(t0, zero, -1);
  a.csrw(csr::pmpaddr0, t0);
  a.addi(t0, zero, 0x1f);
  a.csrw(csr::pmpcfg0, t0);
  a.la(t0, "trap");
  a.csrw(kStvec, t0);
  a.li(t0, 0xb3ff);
  a.csrw(kMedeleg, t0);
  a.la(s0, kTables);
  a.li(t0, entry_of(kRam, 0xcf));
  a.sd(t0, s0, 16);
  a.li(t0, entry_of(kTables + 0x1000, 1));
  a.sd(t0, s0, 8);
  a.la(t1, kTables + 0x1000);
  a.li(t0, entry_of(kTables + 0x2000, 1));
  for (u32 place = 0; place < places; ++place) a.sd(t0, t1, static_cast<i32>(place) * 8);
  a.la(s0, kTables + 0x2000);
  a.addi(t0, zero, 8);
  a.slli(t0, t0, 60);
  a.li(t1, static_cast<i64>(kTables >> 12));
  a.add(t0, t0, t1);
  a.csrw(kSatp, t0);
  a.li(t0, 0x800);
  a.csrs(csr::mstatus, t0);
  a.la(t0, "main");
  a.csrw(csr::mepc, t0);
  a.word(kMret);
}

/// Supervisor code that sets a random entry of one of its two last-level tables in each round, and which of
/// them is used, and never fences. `places`: 2: one of the tables is used in a second place as well.
Bytes paged_program(u32 places) {
  Assembler a;
  a.la(s11, "flags");
  emit_start(a, 2);

  a.label("main");
  a.li(t0, 0x41c64e6d);
  a.mul(s1, s1, t0);
  a.li(t0, 12345);
  a.add(s1, s1, t0);
  emit_changes(a);
  a.li(t0, 0x40000);  // SUM
  a.srli(t1, s1, 40);
  a.andi(t1, t1, 1);
  a.beq(t1, zero, "clear");
  a.csrs(kSstatus, t0);
  a.j("access");
  a.label("clear");
  a.word(i_type(0x73, 3, zero, t0, kSstatus));
  a.label("access");
  emit_accesses(a, places);
  a.j("main");
  emit_trap_handler(a);
  a.align(4);
  a.label("flags");  // what supervisor code may and may not use, with and without accessed and dirty bits
  for (const u32 flags : {0x034bc7cfu, 0x00c94f0fu, 0x0d015fdfu, 0xcbcf4bcbu}) a.word(flags);
  for (u32 f = 0; f < kFrameCount; ++f) {
    const u32 crossing = addi(s4, s4, static_cast<i32>(f) + 1);
    a.org(kFrames + f * 0x1000);
    a.half(crossing >> 16);
    a.half(0x8082);  // ret
    a.org(kFrames + f * 0x1000 + 0x10);
    a.addi(s4, s4, static_cast<i32>(f) + 100);
    a.ret();
    a.org(kFrames + f * 0x1000 + 0xffe);
    a.half(crossing & 0xffff);
  }
  return a.finish();
}

/// Code in pages whose entries it changes itself: what comes next is in another frame at once, also after
/// many stores to entries that are not in use; and code that writes its next instruction. Each round adds 2
/// to s4, 32 to s5, 512 to s6 and 128 to s7; what is stale would add half.
Bytes moving_program() {
  Assembler a;
  emit_start(a, 1);
  a.label("main");
  a.li(a0, entry_of(kFrames, 0xcf));
  a.li(a1, entry_of(kFrames + 0x1000, 0xcf));
  a.li(a2, addi(s6, s6, 256));
  a.li(a3, addi(s6, s6, 512));
  a.label("round");
  a.sd(a0, s0, 0);
  a.sd(a0, s0, 8);
  a.li(t1, static_cast<i64>(kPages) + 0x10);
  a.jalr(ra, t1);
  a.li(t1, static_cast<i64>(kPages) + 0xffa);
  a.jalr(ra, t1);
  a.sd(a0, s0, 0);
  a.li(t1, static_cast<i64>(kPages) + 0x80);
  a.addi(t2, zero, 70);
  a.jalr(ra, t1);
  a.li(t1, static_cast<i64>(kPages) + 0x40);
  a.sw(a2, t1, 4);
  a.jalr(ra, t1);
  a.addi(s9, s9, 1);
  a.j("round");
  a.align(4);
  a.label("trap");
  a.j("trap");
  for (u32 f = 0; f < 2; ++f) {
    const u32 crossing = addi(s5, s5, 16 << f);
    a.org(kFrames + f * 0x1000);
    a.half(crossing >> 16);
    a.half(0x8082);  // ret
    a.org(kFrames + f * 0x1000 + 0x10);
    a.sd(a1, s0, 0);
    a.addi(s4, s4, 1 << f);
    a.ret();
    a.org(kFrames + f * 0x1000 + 0x40);
    a.sw(a3, t1, 4);
    a.addi(s6, s6, 256);
    a.ret();
    a.org(kFrames + f * 0x1000 + 0x80);
    a.label("fill" + std::to_string(f));
    a.sd(zero, s0, 0x400);
    a.addi(t2, t2, -1);
    a.bne(t2, zero, "fill" + std::to_string(f));
    a.sd(a1, s0, 0);
    a.addi(s7, s7, 64 << f);
    a.ret();
    a.org(kFrames + f * 0x1000 + 0xffa);
    a.sd(a1, s0, 8);
    a.half(crossing & 0xffff);
  }
  return a.finish();
}

TEST(MovingCode, ComesFromWhereItsOwnStoreHasPutIt) {
  const Board board{.image = moving_program()};
  for (const Engine& engine : engines()) {
    Guest guest(board, engine.options);
    guest.run_to(30'000);
    const u64 rounds = guest.x(s9);
    EXPECT_GT(rounds, 100u) << engine.name;
    EXPECT_LE(guest.x(s4) - 2 * rounds, 2u) << engine.name;  // the last round may not be over
    EXPECT_LE(guest.x(s5) - 32 * rounds, 32u) << engine.name;
    EXPECT_LE(guest.x(s6) - 512 * rounds, 512u) << engine.name;
    EXPECT_LE(guest.x(s7) - 128 * rounds, 128u) << engine.name;
  }
}

class Paging : public testing::TestWithParam<u32> {};

TEST_P(Paging, TablesThatChangeWithoutAWord) {
  const Board board{.image = paged_program(GetParam())};
  Guest want(board, interpreter());
  std::vector<std::unique_ptr<Guest>> guests;
  const std::vector<Engine> all = engines();
  for (const Engine& engine : all) guests.push_back(std::make_unique<Guest>(board, engine.options));
  for (const Icount at : {9'973u, 40'000u, 130'001u}) {
    want.run_to(at);
    for (std::size_t i = 0; i < all.size(); ++i) {
      guests[i]->run_to(at);
      ASSERT_EQ(difference(*guests[i], want), "") << all[i].name << " at icount " << at;
    }
  }
  EXPECT_GT(want.x(s4), 10'000u);
  EXPECT_GT(want.x(s9), 1'000u);  // faults
  EXPECT_GT(want.x(s10), 100u);   // of fetches
  EXPECT_LT(want.x(s10) * 2, want.x(s9));
}

INSTANTIATE_TEST_SUITE_P(Places, Paging, testing::Values(1u, 2u));

}  // namespace
}  // namespace hindcast::test
