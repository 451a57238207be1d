// Memories that do not fill whole pages of the host: every access ends at their true ends, in every engine.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr u64 kRamSize = 0x3400;  // ends within a page
constexpr GuestAddr kRamEnd = kRam + kRamSize;
constexpr GuestAddr kOddBegin = kRam + 0x3800, kOddEnd = kOddBegin + 0x1408;  // in the same page as that end
constexpr GuestAddr kJoined = kOddEnd;                                        // RAM goes on without a gap
constexpr u64 kJoinedSize = 0x3f8;

constexpr const char* kTree = R"(/dts-v1/;
/ {
  #address-cells = <1>; #size-cells = <1>;
  memory@80000000 { device_type = "memory"; reg = <0x80000000 0x3400 0x80003800 0x1408 0x80004c08 0x3f8>; };
  cpus {
    #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; compatible = "riscv"; riscv,isa = "rv64imac"; };
  };
};)";

/// The same with whole memories first, so that the odd one is not the RAM that the JIT knows best.
constexpr const char* kLargeElsewhere = R"(/dts-v1/;
/ {
  #address-cells = <1>; #size-cells = <1>;
  memory@80000000 { device_type = "memory"; reg = <0x80000000 0x3400 0x80003800 0x1408 0x80004c08 0x3f8>; };
  memory@90000000 { device_type = "memory"; reg = <0x90000000 0x10000>; };
  cpus {
    #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; compatible = "riscv"; riscv,isa = "rv64imac"; };
  };
};)";

/// ... and all of it in the memory that begins within a page.
constexpr const char* kOddLargest = R"(/dts-v1/;
/ {
  #address-cells = <1>; #size-cells = <1>;
  memory@80000000 { device_type = "memory"; reg = <0x80000000 0x3400 0x80003800 0x1408 0x80004c08 0x3f8>; };
  memory@90000400 { device_type = "memory"; reg = <0x90000400 0x10000>; };
  cpus {
    #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; compatible = "riscv"; riscv,isa = "rv64imac"; };
  };
};)";

bool in_memory(GuestAddr at) {
  return (at >= kRam && at < kRamEnd) || (at >= kOddBegin && at < kJoined + kJoinedSize);
}

template <typename Check>
void expect_everywhere(const Bytes& image, const std::string& tree, Icount limit, Check&& check) {
  const Board board{.image = image, .cpu = "", .memory = 0, .tree = tree};
  Guest want(board, interpreter());
  want.run_to(limit);
  check(want);
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest got(board, engine.options);
    got.run_to(limit);
    check(got);
    EXPECT_EQ(difference(got, want), "");
  }
}

/// Every size and alignment across each border, many times over; s3 counts the faults, s4 sums their
/// addresses.
TEST(PartialPages, AccessesEndWithTheMemory) {
  struct Access {
    unsigned size;
    void (*emit)(Assembler&);
  };
  const Access accesses[] = {
      {1, [](Assembler& a) { a.lb(a0, s0); }}, {2, [](Assembler& a) { a.lhu(a0, s0); }},
      {4, [](Assembler& a) { a.lw(a0, s0); }}, {8, [](Assembler& a) { a.ld(a0, s0); }},
      {1, [](Assembler& a) { a.sb(s0, s0); }}, {4, [](Assembler& a) { a.sw(s0, s0); }},
      {8, [](Assembler& a) { a.sd(s0, s0); }},
  };
  constexpr u32 kSpan = 32;
  const GuestAddr borders[] = {kRamEnd, kOddBegin, kOddEnd, kJoined + kJoinedSize};
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.j("begin");
  a.align(4);
  a.label("trap");
  a.addi(s3, s3, 1);
  a.csrr(t0, csr::mtval);
  a.add(s4, s4, t0);
  a.csrr(t0, csr::mepc);
  a.addi(t0, t0, 4);
  a.csrw(csr::mepc, t0);
  a.word(kMret);
  a.label("begin");
  u64 faults = 0, sum = 0;
  int n = 0;
  for (const GuestAddr border : borders) {
    const std::string loop = "loop" + std::to_string(n++);
    a.la(s0, border - kSpan / 2);
    a.la(s1, border + kSpan / 2);
    a.label(loop);
    for (const Access& access : accesses) access.emit(a);
    a.addi(s0, s0, 1);
    a.bne(s0, s1, loop);
    for (GuestAddr at = border - kSpan / 2; at < border + kSpan / 2; ++at)
      for (const Access& access : accesses) {
        bool there = true;
        for (unsigned k = 0; k < access.size; ++k) there = there && in_memory(at + k);
        if (there) continue;
        ++faults;
        sum += at;
      }
  }
  a.label("done");
  a.j("done");
  for (const char* tree : {kTree, kLargeElsewhere, kOddLargest})
    expect_everywhere(a.finish(), tree, 10000, [&](Guest& g) {
      EXPECT_EQ(g.x(s3), faults);
      EXPECT_EQ(g.x(s4), sum);
    });
}

/// A copy of a routine that changes itself runs in pages that are not all memory, up to the last byte; what
/// follows it is no code.
TEST(PartialPages, CodeRunsToTheEndAndChanges) {
  constexpr int kRounds = 60;
  const GuestAddr places[] = {kRamEnd - 16, kOddBegin, kOddEnd - 8, kJoined + kJoinedSize - 16};
  Assembler a;
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.j("begin");
  a.align(4);
  a.label("trap");
  a.addi(s3, s3, 1);
  a.csrr(t0, csr::mtval);
  a.add(s4, s4, t0);
  a.jalr(zero, s5);
  a.label("routine");
  a.addi(a0, a0, 0);
  a.addi(a1, a1, 1);
  a.addi(a2, a2, 1);
  a.addi(a3, a3, 1);
  a.label("begin");
  u64 faults = 0, sum = 0;
  int n = 0;
  for (const GuestAddr place : places) {
    const std::string loop = "loop" + std::to_string(n), back = "back" + std::to_string(n);
    ++n;
    const bool open = in_memory(place + 16);
    a.la(s5, back);
    a.la(s6, place);
    a.la(t1, "routine");
    for (int k = 0; k < 16; k += 4) {
      a.lw(t2, t1, k);
      a.sw(t2, s6, k);
    }
    if (open) {  // it goes back by itself
      a.li(t2, 0x000a8067);
      a.sw(t2, s6, 16);
    }
    a.li(s0, kRounds);
    a.label(loop);
    a.jalr(zero, s6);
    a.label(back);
    a.lw(t2, s6);
    a.lui(t3, 0x100);
    a.add(t2, t2, t3);
    a.sw(t2, s6);
    a.addi(s0, s0, -1);
    a.bne(s0, zero, loop);
    if (open) continue;
    faults += kRounds;
    sum += kRounds * (place + 16);
  }
  a.label("done");
  a.j("done");
  for (const char* tree : {kTree, kLargeElsewhere, kOddLargest})
    expect_everywhere(a.finish(), tree, 10000, [&](Guest& g) {
      EXPECT_EQ(g.x(a0), u64{kRounds * (kRounds - 1) / 2 * std::size(places)});
      EXPECT_EQ(g.x(a3), u64{kRounds * std::size(places)});
      EXPECT_EQ(g.x(s3), faults);
      EXPECT_EQ(g.x(s4), sum);
    });
}

TEST(PartialPages, WatchedAndWritten) {
  Assembler a;
  a.la(s0, kRamEnd - 16);
  a.label("loop");
  a.ld(t0, s0);
  a.addi(t0, t0, 1);
  a.sd(t0, s0);
  a.sd(t0, s0, 8);
  a.ld(t1, s0, 8);
  a.j("loop");
  const Board board{.image = a.finish(), .cpu = "", .memory = 0, .tree = kTree};
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest g(board, engine.options);
    g.run_to(1000);
    g.machine().memory().set_watches({{kRamEnd - 8, 8, false, true}});
    for (int k = 0; k < 3; ++k) {
      EXPECT_EQ(static_cast<int>(g.run_to(10000)), static_cast<int>(StopReason::Watchpoint));
      const auto hit = g.machine().memory().take_watch_hit();
      ASSERT_TRUE(hit.has_value());
      EXPECT_EQ(hit->address, kRamEnd - 8);
      EXPECT_EQ(hit->new_value, hit->old_value + 1);
    }
    g.machine().memory().set_watches({{kRamEnd - 8, 8, true, false}});
    EXPECT_EQ(static_cast<int>(g.run_to(10000)), static_cast<int>(StopReason::Watchpoint));
    EXPECT_FALSE(g.machine().memory().take_watch_hit()->store);
    g.machine().memory().set_watches({});
    EXPECT_EQ(static_cast<int>(g.run_to(10000)), static_cast<int>(StopReason::Limit));
  }
}

}  // namespace
}  // namespace hindcast::test
