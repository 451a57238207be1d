// What an exception does to memory before its handler begins: who watches sees it, and where no handler can
// be found it happens once.
#include <gtest/gtest.h>

#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kVtor = 0xe000ed08, kIser = 0xe000e100, kIspr = 0xe000e200;
constexpr u16 kSvc = 0xdf01, kSpin = 0xe7fe, kBxLr = 0x4770;
constexpr u32 kFrameBytes = 32, kPcAt = 24;

class Stacking : public ::testing::TestWithParam<bool> {
 protected:
  void watch(u32 address, bool loads) { m.machine.memory().set_watches({{address, 4, loads, !loads}}); }
  AddressSpace::WatchHit hit() {
    const auto found = m.machine.memory().take_watch_hit();
    EXPECT_TRUE(found.has_value());
    return found.value_or(AddressSpace::WatchHit{});
  }
  TestMachine m{"cortex-m3", GetParam()};
};

TEST_P(Stacking, OfAnExceptionIsSeenByWatches) {
  m.put(kCode, {kSvc, kSpin});
  m.word(kStackTop - kFrameBytes + kPcAt, 0x1234);
  watch(kStackTop - kFrameBytes + kPcAt, false);
  ASSERT_EQ(static_cast<int>(m.run(10)), static_cast<int>(StopReason::Watchpoint));
  EXPECT_EQ(m.state().ipsr, 11u) << "before the handler's first instruction";
  EXPECT_EQ(m.pc(), TestMachine::handler(11));
  const AddressSpace::WatchHit found = hit();
  EXPECT_EQ(found.old_value, 0x1234u);
  EXPECT_EQ(found.new_value, kCode + 2);
}

TEST_P(Stacking, OfAnInterruptIsSeenByWatches) {
  m.put(kCode, {0x6001, kSpin});  // str r1, [r0]
  m.system(kIser, 1);
  m.r(0) = kIspr;
  m.r(1) = 1;
  watch(kStackTop - kFrameBytes + kPcAt, false);
  ASSERT_EQ(static_cast<int>(m.run(10)), static_cast<int>(StopReason::Watchpoint));
  EXPECT_EQ(m.state().ipsr, 16u);
  EXPECT_EQ(m.pc(), TestMachine::handler(16));
  EXPECT_EQ(hit().new_value, kCode + 2);
}

TEST_P(Stacking, AReturnReadsWhatIsWatched) {
  m.put(kCode, {kSvc, kSpin});
  m.put(TestMachine::handler(11), {kBxLr});
  watch(kStackTop - kFrameBytes + kPcAt, true);
  ASSERT_EQ(static_cast<int>(m.run(10)), static_cast<int>(StopReason::Watchpoint));
  EXPECT_EQ(m.pc(), kCode + 2);
  EXPECT_EQ(hit().new_value, kCode + 2);
}

TEST_P(Stacking, HappensOnceWhereNoVectorCanBeRead) {
  m.put(kCode, {kSvc, kSpin});
  m.system(kVtor, 0x60000000);  // nothing is there
  EXPECT_EQ(static_cast<int>(m.run(1000)), static_cast<int>(StopReason::Idle));
  EXPECT_EQ(m.state().lockup, 1u);
  EXPECT_EQ(m.state().ipsr, 3u);
  EXPECT_EQ(m.r(13), kStackTop - kFrameBytes);
}

INSTANTIATE_TEST_SUITE_P(Engines, Stacking, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Jit" : "Interpreter"; });

}  // namespace
}  // namespace hindcast::test
