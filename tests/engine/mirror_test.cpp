// Memory that shows at several addresses: one set of bytes, whatever was translated from them at which of
// them.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr u64 kSize = 0x10000;
constexpr GuestAddr kMirror = kRam + 0x100000, kOther = kRam + 0x200000;
constexpr u64 kAway = kMirror - kRam;

constexpr const char* kTree = R"(/dts-v1/;
/ {
  #address-cells = <1>; #size-cells = <1>;
  memory@80000000 {
    device_type = "memory"; reg = <0x80000000 0x10000>; hindcast,mirrors = <0x80100000 0x80200000>;
  };
  cpus {
    #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; compatible = "riscv"; riscv,isa = "rv64imac"; };
  };
};)";

Board board_with(const Bytes& image) { return {.image = image, .cpu = "", .memory = 0, .tree = kTree}; }

template <typename Check>
void expect_everywhere(const Bytes& image, Icount limit, Check&& check) {
  Guest want(board_with(image), interpreter());
  want.run_to(limit);
  check(want);
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest got(board_with(image), engine.options);
    got.run_to(limit);
    check(got);
    EXPECT_EQ(difference(got, want), "");
  }
}

TEST(Mirrors, AreTheSameBytesAndAreSavedOnce) {
  Assembler a;
  a.la(s1, kRam + 0x4000);
  a.la(s2, kMirror + 0x4000);
  a.la(s3, kOther + 0x4000);
  a.li(s0, 1000);
  a.label("loop");
  a.sw(s0, s2);
  a.lw(t0, s1);
  a.lw(t1, s3);
  a.add(s4, s4, t0);
  a.sw(t1, s1, 8);
  a.lw(t2, s3, 8);
  a.add(s5, s5, t2);
  a.addi(s0, s0, -1);
  a.bne(s0, zero, "loop");
  a.label("done");
  a.j("done");
  expect_everywhere(a.finish(), 12'000, [](Guest& g) {
    EXPECT_EQ(g.x(s4), 500'500u);
    EXPECT_EQ(g.x(s5), 500'500u);
    EXPECT_EQ(g.machine().memory().saved_blocks().size(), 1u);
    EXPECT_EQ(g.machine().memory().ram_blocks().size(), 3u);
    EXPECT_EQ(g.word(kOther + 0x4000), 1u);
  });
}

/// Code changes itself through `store_at` while it runs at `run_at`: the immediates 1, 2, ... are added.
Bytes changing(GuestAddr run_at, GuestAddr store_at, int rounds) {
  Assembler a;
  a.li(s0, static_cast<u64>(rounds));
  a.la(t1, "patched");
  a.lw(t2, t1);
  a.li(t4, store_at - kRam);
  a.add(t1, t1, t4);
  a.la(t5, "loop");
  a.li(t4, run_at - kRam);
  a.add(t5, t5, t4);
  a.jr(t5);
  a.label("loop");
  a.label("patched");
  a.addi(a0, a0, 0);
  a.lui(t3, 0x100);
  a.add(t2, t2, t3);
  a.sw(t2, t1);
  a.addi(s0, s0, -1);
  a.bne(s0, zero, "loop");
  a.label("done");
  a.j("done");
  return a.finish();
}

TEST(Mirrors, CodeIsWhatWasWrittenAtAnyOfItsAddresses) {
  constexpr int kRounds = 300;
  for (const GuestAddr run_at : {kRam, kMirror, kOther})
    for (const GuestAddr store_at : {kRam, kMirror, kOther}) {
      SCOPED_TRACE(::testing::Message() << std::hex << run_at << " stores at " << store_at);
      expect_everywhere(changing(run_at, store_at, kRounds), 3000, [](Guest& g) {
        EXPECT_EQ(g.x(a0), u64{kRounds} * (kRounds - 1) / 2);
        EXPECT_EQ(g.x(s0), 0u);
      });
    }
}

/// A function that is called at all of its addresses in turn, and changed in between at only one.
TEST(Mirrors, TranslationsOfAllAddressesGoTogether) {
  constexpr int kRounds = 200;
  Assembler a;
  a.li(s0, kRounds);
  a.la(s1, "function");
  a.li(s2, kAway);
  a.lw(t2, s1);
  a.label("loop");
  a.jalr(ra, s1);
  a.add(t4, s1, s2);
  a.jalr(ra, t4);
  a.add(t4, t4, s2);
  a.jalr(ra, t4);
  a.lui(t3, 0x100);
  a.add(t2, t2, t3);
  a.sw(t2, t4);
  a.addi(s0, s0, -1);
  a.bne(s0, zero, "loop");
  a.label("done");
  a.j("done");
  a.label("function");
  a.addi(a0, a0, 0);
  a.ret();
  expect_everywhere(a.finish(), 5000, [](Guest& g) {
    EXPECT_EQ(g.x(a0), u64{3} * kRounds * (kRounds - 1) / 2);
    EXPECT_EQ(g.x(s0), 0u);
  });
}

TEST(Mirrors, AWatchSeesAccessesAtEveryAddress) {
  Assembler a;
  a.la(s1, kRam + 0x4000);
  a.la(s2, kMirror + 0x4000);
  a.la(s3, kOther + 0x4000);
  a.label("loop");
  a.addi(s0, s0, 1);
  a.sw(s0, s1);
  a.addi(s0, s0, 1);
  a.sw(s0, s2);
  a.addi(s0, s0, 1);
  a.sw(s0, s3);
  a.sw(s0, s3, 8);
  a.j("loop");
  const Bytes image = a.finish();
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest g(board_with(image), engine.options);
    g.machine().memory().set_watches({{kMirror + 0x4000, 4, false, true}});
    for (u64 n = 1; n < 30; ++n) {
      ASSERT_EQ(static_cast<int>(g.run_to(10'000)), static_cast<int>(StopReason::Watchpoint));
      const auto hit = g.machine().memory().take_watch_hit();
      ASSERT_TRUE(hit.has_value());
      EXPECT_EQ(hit->address, kMirror + 0x4000);
      EXPECT_EQ(hit->new_value, n);
    }
  }
}

/// What is watched may begin before one of the addresses of its bytes.
TEST(Mirrors, AWatchAcrossTheBeginningOfOne) {
  AddressSpace memory(32);
  RamBlock& block = memory.add_ram("ram", 0, 0x2000);
  memory.add_ram("before", 0xf000, 0x1000);
  memory.add_mirror("mirror", 0x10000, block);
  memory.set_watches({{0xfffc, 8, false, true}});
  EXPECT_NE(block.page_flags[0] & RamBlock::kWatchStores, 0);
  ASSERT_TRUE(memory.write(0, 4, 1));
  EXPECT_TRUE(memory.watch_hit());
}

TEST(Mirrors, OnlyWholePagesOfMemory) {
  AddressSpace memory(32);
  RamBlock& odd = memory.add_ram("odd", 0x1000, 0x1800);
  EXPECT_THROW(memory.add_mirror("m", 0x10000, odd), Fatal);
  RamBlock& whole = memory.add_ram("whole", 0x8000, 0x2000);
  EXPECT_THROW(memory.add_mirror("m", 0x10010, whole), Fatal);
  EXPECT_THROW(memory.add_mirror("m", 0x9000, whole), Fatal) << "overlaps";
  memory.add_mirror("m", 0x10000, whole);
}

}  // namespace
}  // namespace hindcast::test
