// IT blocks across the ends of units and where translated code is left: every instruction keeps its
// condition, and ITSTATE advances with each, in the interpreter and in translated code.
#include <gtest/gtest.h>

#include "engine/instrument.h"
#include "targets/arm/flags.h"
#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr GuestAddr kPageEnd = 0x4000;
constexpr u16 kIttteEq = 0xbf03;
constexpr u32 kShcsr = 0xe000ed24;

/// Sees everything and asks for nothing.
class Watcher final : public Instrumentation {
 public:
  void translated(Vcpu&, InstrBlock&) override {}
  void discontinuity(Vcpu&, Discontinuity, GuestAddr, GuestAddr) override {}
  void idle(Vcpu&) override {}
  void resumed(Vcpu&) override {}
  void forgotten() override {}
};

/// Whether it is translated, whether the condition holds, whether somebody observes.
class ItBlocks : public ::testing::TestWithParam<std::tuple<bool, bool, bool>> {
 protected:
  ItBlocks() {
    if (std::get<2>(GetParam())) m.machine.observe(&watcher);
    m.system(kShcsr, 7 << 16);
    write_nzcv(m.state(), taken() ? kZ : 0);
  }
  bool taken() const { return std::get<1>(GetParam()); }
  u32 if_taken(u32 value) const { return taken() ? value : 0; }
  u32 if_not(u32 value) const { return taken() ? 0 : value; }

  Watcher watcher;
  TestMachine m{"cortex-m3", std::get<0>(GetParam())};
};

TEST_P(ItBlocks, ContinueOnTheNextPage) {
  // ittte eq; moveq r0, #1 | moveq r1, #2; ldreq r2, [r6]; movne r3, #4
  for (unsigned before = 1; before <= 5; ++before) {
    m.machine.reset();
    write_nzcv(m.state(), taken() ? kZ : 0);
    m.put(kPageEnd - 2 * before, {kIttteEq, 0x2001, 0x2102, 0x6832, 0x2304, 0xe7fe});
    m.machine.flush_translations();
    m.state().pc = kPageEnd - 2 * before;
    for (const unsigned n : {0, 1, 2, 3}) m.r(n) = 0;
    m.r(6) = kData + 0x100;
    m.word(kData + 0x100, 0x33);
    m.run(20);
    EXPECT_EQ(m.r(0), if_taken(1)) << before;
    EXPECT_EQ(m.r(1), if_taken(2)) << before;
    EXPECT_EQ(m.r(2), if_taken(0x33)) << before;
    EXPECT_EQ(m.r(3), if_not(4)) << before;
    EXPECT_EQ(m.state().it, 0u) << before;
  }
}

TEST_P(ItBlocks, GoOnBehindAnAccessToADevice) {
  // ittte eq; ldreq r0, [r6]; moveq r1, #2; moveq r2, #3; movne r3, #4
  m.put(kCode, {kIttteEq, 0x6830, 0x2102, 0x2203, 0x2304});
  for (int times = 0; times < 4; ++times) {
    m.state().pc = kCode;
    for (const unsigned n : {0, 1, 2, 3}) m.r(n) = 0;
    m.r(6) = kShcsr;
    m.run(20);
    EXPECT_EQ(m.r(0), if_taken(7 << 16)) << times;
    EXPECT_EQ(m.r(1), if_taken(2)) << times;
    EXPECT_EQ(m.r(2), if_taken(3)) << times;
    EXPECT_EQ(m.r(3), if_not(4)) << times;
    EXPECT_EQ(m.state().it, 0u) << times;
  }
}

TEST_P(ItBlocks, GoOnBehindAStoreIntoTheirPage) {
  // ittte eq; streq r0, [r6]; moveq r1, #2; moveq r2, #3; movne r3, #4
  m.put(kCode, {kIttteEq, 0x6030, 0x2102, 0x2203, 0x2304});
  for (int times = 0; times < 4; ++times) {
    m.state().pc = kCode;
    for (const unsigned n : {1, 2, 3}) m.r(n) = 0;
    m.r(0) = 0x55;
    m.r(6) = kCode + 0x80;
    m.run(20);
    EXPECT_EQ(m.word(kCode + 0x80), taken() ? 0x55 : 0xe7fee7fe) << times;
    EXPECT_EQ(m.r(1), if_taken(2)) << times;
    EXPECT_EQ(m.r(2), if_taken(3)) << times;
    EXPECT_EQ(m.r(3), if_not(4)) << times;
    EXPECT_EQ(m.state().it, 0u) << times;
  }
}

TEST_P(ItBlocks, FaultInTheirMiddleOnTheNextPage) {
  // ittee eq; moveq r0, #1 | moveq r1, #2; ldrdne r2, r3, [r6]; movne r5, #5
  m.put(kPageEnd - 4, {0xbf07, 0x2001, 0x2102, 0xe9d6, 0x2300, 0x2505});
  for (const u32 wrong : {0, 2}) {
    m.state().pc = kPageEnd - 4;
    for (const unsigned n : {0, 1, 2, 5}) m.r(n) = 0;
    m.r(6) = kData + 0x100 + wrong;
    m.word(kData + 0x100, 0x33);
    m.run(20);
    const bool faults = wrong != 0 && !taken();
    EXPECT_EQ(m.r(0), if_taken(1));
    EXPECT_EQ(m.r(1), if_taken(2));
    EXPECT_EQ(m.r(2), faults ? 0 : if_not(0x33));
    EXPECT_EQ(m.r(5), faults ? 0 : if_not(5));
    EXPECT_EQ(m.state().ipsr, faults ? exc::kUsageFault : 0);
    EXPECT_EQ(m.state().it, 0u);
    if (!faults) continue;
    EXPECT_EQ(m.word(m.r(13) + 24), kPageEnd + 2);
    // ITSTATE in the frame: two instructions left, both NE.
    EXPECT_EQ(m.word(m.r(13) + 28) & 0x0600fc00, u32{0x1c >> 2} << 10);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, ItBlocks,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(), ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "Jit" : "Interp") +
                                  (std::get<1>(info.param) ? "Taken" : "NotTaken") +
                                  (std::get<2>(info.param) ? "Observed" : "");
                         });

}  // namespace
}  // namespace hindcast::test
