// Watched memory: every way of executing stops at the same accesses, with the same values, however many
// others there are beside the watched bytes.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kArea = kRam + 0x4000 - 0x100;  // stores run over the end of a page
constexpr unsigned kSpan = 0x200, kRounds = 3000;

/// Stores of every width all over the area, and loads. `behind_pmp`: each access goes through the soft TLB.
Bytes stores_everywhere(bool behind_pmp) {
  constexpr u8 kLockedWord = 0x90;  // pmpcfg: locked, 4 bytes, no rights
  Assembler a;
  if (behind_pmp) {
    a.la(t0, kRam + 0x8000);
    a.srli(t0, t0, 2);
    a.csrw(csr::pmpaddr0, t0);
    a.addi(t0, zero, kLockedWord);
    a.csrw(csr::pmpcfg0, t0);
  }
  a.li(s0, kRounds);
  a.la(s1, kArea);
  a.li(t1, 0);
  a.label("loop");
  a.addi(t1, t1, 37);
  a.andi(t1, t1, kSpan - 1);
  a.add(t0, s1, t1);
  a.sb(s0, t0, 0);
  a.sh(s0, t0, 3);
  a.sw(s0, t0, 7);
  a.sd(s0, t0, 19);
  a.lw(t2, t0, 5);
  a.add(s4, s4, t2);
  a.addi(s0, s0, -1);
  a.bne(s0, zero, "loop");
  a.label("done");
  a.j("done");
  return a.finish();
}

using Hits = std::vector<std::tuple<Icount, GuestAddr, unsigned, bool, u64, u64>>;

Hits hits_of(Guest& guest, const std::vector<AddressSpace::Watch>& watches, Icount limit) {
  guest.machine().memory().set_watches(watches);
  Hits hits;
  while (guest.run_to(limit) == StopReason::Watchpoint) {
    const auto hit = guest.machine().memory().take_watch_hit();
    if (!hit) {
      ADD_FAILURE() << "stopped at no access";
      break;
    }
    hits.emplace_back(guest.icount(), hit->address, hit->size, hit->store, hit->old_value, hit->new_value);
  }
  return hits;
}

void expect_same_hits(const std::vector<AddressSpace::Watch>& watches, bool behind_pmp) {
  const Board board{.image = stores_everywhere(behind_pmp)};
  constexpr Icount kLimit = 12 * kRounds;
  Guest want(board, interpreter());
  const Hits expected = hits_of(want, watches, kLimit);
  EXPECT_GT(expected.size(), 20u);
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest got(board, engine.options);
    EXPECT_EQ(hits_of(got, watches, kLimit), expected);
    EXPECT_EQ(difference(got, want), "");
  }
}

class Watch : public ::testing::TestWithParam<bool> {};

TEST_P(Watch, OneByteAmongMany) { expect_same_hits({{kArea + 100, 1, false, true}}, GetParam()); }
TEST_P(Watch, AWordAtAPagesEnd) { expect_same_hits({{kArea + 0xfc, 4, false, true}}, GetParam()); }
TEST_P(Watch, AcrossTwoPages) { expect_same_hits({{kArea + 0xfe, 6, false, true}}, GetParam()); }
TEST_P(Watch, SeveralPlaces) {
  expect_same_hits(
      {{kArea + 20, 2, false, true}, {kArea + 300, 8, false, true}, {kArea + 40, 1, true, false}},
      GetParam());
}
TEST_P(Watch, LoadsAndStores) { expect_same_hits({{kArea + 64, 4, true, true}}, GetParam()); }
INSTANTIATE_TEST_SUITE_P(Contexts, Watch, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "BehindProtection" : "Flat"; });

/// Far from everything, in the same page: nothing stops, nothing changes.
TEST(Watches, NobodyComesNear) {
  const Board board{.image = stores_everywhere(false)};
  Guest plain(board, jit()), watched(board, jit());
  plain.run_to(20'000);
  EXPECT_TRUE(hits_of(watched, {{kRam + 0x3000, 8, false, true}}, 20'000).empty());
  EXPECT_EQ(difference(watched, plain), "");
}

}  // namespace
}  // namespace hindcast::test
