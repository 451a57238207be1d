// Corners of the manuals that firmware seldom turns: who an access is checked for, what a bit that is written
// does not do, and when a line or a limit counts.
#include <gtest/gtest.h>

#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kScr = 0xe000ed10, kCcr = 0xe000ed14, kIcsr = 0xe000ed04, kShcsr = 0xe000ed24,
              kCfsr = 0xe000ed28, kMmfar = 0xe000ed34, kCpacr = 0xe000ed88, kMpuCtrl = 0xe000ed94,
              kMpuRbar = 0xe000ed9c, kMpuRasr = 0xe000eda0, kSauCtrl = 0xe000edd0, kSauRbar = 0xe000eddc,
              kSauRlar = 0xe000ede0, kFpccr = 0xe000ef34, kStir = 0xe000ef00, kIser = 0xe000e100,
              kIspr = 0xe000e200, kTickControl = 0xe000e010;
constexpr u32 kAllFaults = 15 << 16;
constexpr u16 kBxLr = 0x4770, kSvc = 0xdf00;

class Corners : public ::testing::TestWithParam<bool> {
 protected:
  /// Data memory is the privileged code's alone (Armv7-M).
  static void close_data(TestMachine& m) {
    m.system(kMpuRbar, kData | 16);
    m.system(kMpuRasr, 1u << 24 | 15 << 1 | 1);
    m.system(kMpuCtrl, 5);
  }
};

TEST_P(Corners, UnprivilegedAccessesOfPrivilegedCodeAreCheckedAsSuch) {
  struct Case {
    u16 first, second;
    bool store;
  };
  // ldrt, ldrbt, ldrht, ldrsbt, ldrsht, strt, strbt, strht: r0, [r1]
  const Case cases[] = {{0xf851, 0x0e00, false}, {0xf811, 0x0e00, false}, {0xf831, 0x0e00, false},
                        {0xf911, 0x0e00, false}, {0xf931, 0x0e00, false}, {0xf841, 0x0e00, true},
                        {0xf801, 0x0e00, true},  {0xf821, 0x0e00, true}};
  for (const Case& c : cases) {
    TestMachine m("cortex-m3", GetParam());
    m.put(kCode, {0x6808, c.first, c.second, c.first, c.second});  // ldr r0, [r1]
    m.r(1) = kData + 0x40;
    m.system(kShcsr, kAllFaults);
    m.run(2);
    EXPECT_EQ(m.state().ipsr, 0u) << "open to all";
    close_data(m);
    m.state().pc = kCode;
    m.run(1);
    EXPECT_EQ(m.state().ipsr, 0u) << "privileged";
    m.run(1);
    EXPECT_EQ(m.state().ipsr, 4u) << std::hex << c.first;
    EXPECT_EQ(m.system(kCfsr), cfsr::kDaccViol | cfsr::kMmarValid);
    EXPECT_EQ(m.system(kMmfar), kData + 0x40);
  }
  TestMachine m("cortex-m3", GetParam());
  m.system(kShcsr, kAllFaults);
  m.put(kCode, {0xf851, 0x0e00});
  m.r(1) = kCcr;
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 5u) << "the private peripheral bus";
}

TEST_P(Corners, LiteralsBeforeTheInstruction) {
  struct Case {
    u16 first;
    u32 want;
  };
  // ldr.w, ldrb.w, ldrh.w, ldrsb.w, ldrsh.w: r0, [pc, #-imm]; with another base their patterns are others'.
  const Case cases[] = {
      {0xf85f, 0x8899aabb}, {0xf81f, 0xbb}, {0xf83f, 0xaabb}, {0xf91f, 0xffffffbb}, {0xf93f, 0xffffaabb}};
  constexpr u32 kAt = kCode + 0x1000;
  for (const Case& c : cases)
    for (const u16 before : {0x000, 0x010, 0x038, 0x104, 0x804, 0x900, 0xb04, 0xc04, 0xd04, 0xe00, 0xf04}) {
      TestMachine m("cortex-m3", GetParam());
      m.put(kAt + 4 - before, {0xaabb, 0x8899});
      m.put(kAt, {c.first, before});
      m.state().pc = kAt;
      m.run(1);
      EXPECT_EQ(m.state().ipsr, 0u) << std::hex << c.first << " -" << before;
      EXPECT_EQ(m.r(0), c.want) << std::hex << c.first << " -" << before;
    }
  TestMachine m("cortex-m3", GetParam());
  m.put(kAt, {0xf81f, 0xf010, 0xf91f, 0xf010});                         // pld, pli
  m.put(kAt + 8, {0xf85f, 0xf000, (kCode | 1) & 0xffff, kCode >> 16});  // a linker's long branch
  m.state().pc = kAt;
  m.run(3);
  EXPECT_EQ(m.state().ipsr, 0u);
  EXPECT_EQ(m.state().pc, kCode);
}

TEST_P(Corners, ARegionThatIsNotThereIsNotWritten) {
  TestMachine m("cortex-m3", GetParam());
  m.system(kMpuRbar, kData | 16 | 3);
  m.system(kMpuRbar, 0xffffffe0 | 16 | 8);  // of 8
  EXPECT_EQ(m.system(kMpuRbar), kData | 3);
}

TEST_P(Corners, ABreakpointInAnItBlockHasNoCondition) {
  TestMachine m("cortex-m3", GetParam());
  m.put(kCode, {0xbf08, 0xbe00});  // it eq; bkpt #0
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 3u);
}

TEST_P(Corners, FloatingPointThatIsNotThereIsUndefinedWhereTheUnitIs) {
  struct Case {
    u16 first, second;
    u32 without, with;
  };
  const Case cases[] = {{0xeeb6, 0x0a40, cfsr::kNoCp, cfsr::kUndefInstr},        // vrintr.f32 s0, s0: FPv5
                        {0xee00, 0x0f10, cfsr::kNoCp, cfsr::kNoCp},              // mcr p15, ...
                        {0xef00, 0x0a00, cfsr::kUndefInstr, cfsr::kUndefInstr},  // Advanced SIMD's
                        {0xff00, 0x0a00, cfsr::kUndefInstr, cfsr::kUndefInstr}};
  for (const Case& c : cases) {
    for (const bool on : {false, true}) {
      TestMachine m("cortex-m4", GetParam());
      m.system(kShcsr, kAllFaults);
      m.system(kCpacr, on ? 0xf << 20 : 0);
      m.put(kCode, {c.first, c.second});
      m.run(1);
      EXPECT_EQ(m.state().ipsr, 6u);
      EXPECT_EQ(m.system(kCfsr), on ? c.with : c.without) << std::hex << c.first << on;
    }
  }
  TestMachine m("cortex-m55", GetParam());
  m.system(kShcsr, kAllFaults);
  m.put(kCode, {0xef00, 0x0140});
  m.run(1);
  EXPECT_EQ(m.system(kCfsr), cfsr::kNoCp) << "the vector extension's space, in Armv8.1-M";
}

TEST_P(Corners, APulseDuringItsHandlerIsNotLost) {
  TestMachine m("cortex-m3", GetParam());
  m.system(kIser, 1);
  m.put(TestMachine::handler(16), {kBxLr});
  m.vcpu().set_irq(0, true);
  m.run(1);
  for (const bool level : {false, true, false}) m.vcpu().set_irq(0, level);
  EXPECT_EQ(m.system(kIspr), 1u);
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 16u) << "once more";
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 0u);
}

TEST_P(Corners, SleepOnExitIsNoWaitForAnEvent) {
  TestMachine m("cortex-m3", GetParam());
  m.system(kScr, scr::kSleepOnExit);
  m.put(kCode, {kSvc, 0x2011});
  m.put(TestMachine::handler(11), {kBxLr});
  m.state().waits_for_event = 1;  // as an earlier WFE leaves it
  EXPECT_EQ(m.run(10), StopReason::Idle);
  EXPECT_EQ(m.r(0), 0u);
}

TEST_P(Corners, OnlyTheLastHandlerSleepsOnExit) {
  TestMachine m("cortex-m3", GetParam());
  m.system(kScr, scr::kSleepOnExit);
  m.system(kCcr, ccr::kNonBaseThread);
  m.put(kCode, {kSvc, 0x2011});
  m.put(TestMachine::handler(11), {kBxLr});
  m.run(1);
  m.state().active.set(exc::kPendSv, true);  // another is active below
  m.state().priority[exc::kPendSv] = 0xff;
  update_exceptions(m.state());
  m.run(3);
  EXPECT_EQ(m.r(0), 0x11u);
}

TEST_P(Corners, FramesOfNegativePriorityMayIgnoreTheStackLimit) {
  for (const bool ignores : {false, true}) {
    TestMachine m("cortex-m33", GetParam());
    if (ignores) m.system(kCcr, ccr::kStkOfHfNmiGn | m.system(kCcr));
    m.state().bank().sp_limit[0] = kStackTop - 8;
    update_stack_limit(m.state());
    m.state().bank().faultmask = 1;
    m.system(kIcsr, u32{1} << 31);  // NMI
    m.run(1);
    EXPECT_EQ(m.r(13), ignores ? kStackTop - 32 : kStackTop - 8);
    EXPECT_EQ(m.system(kCfsr), ignores ? 0 : cfsr::kStkOf);
  }
}

TEST_P(Corners, FramesArePoppedWithTheRightsOfTheirThread) {
  TestMachine m("cortex-m3", GetParam());
  m.system(kShcsr, kAllFaults);
  m.put(kCode, {kSvc});
  m.put(TestMachine::handler(11), {kBxLr});
  m.run(1);
  m.state().bank().control |= control::kNpriv;
  close_data(m);
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kCfsr), cfsr::kMunstkErr);
}

TEST_P(Corners, NonSecureAccessesMayNotEndInSecureMemory) {
  // With the end of the region at the end of a page, and inside one.
  for (const u32 end : {0x8000u, 0x7fe0u}) {
    TestMachine m("cortex-m33", GetParam());
    m.system(kShcsr, kAllFaults);
    m.system(kSauRbar, 0);
    m.system(kSauRlar, (end - 32) | 1);
    m.system(kSauCtrl, 1);
    m.put(kCode + 0x100, {0x6808, 0x6808});  // ldr r0, [r1]
    m.put(0x9000, {0x4704});                 // bxns r0
    m.state().pc = 0x9000;
    m.r(0) = kCode + 0x100;
    m.r(1) = end - 4;
    m.state().banks[kNonSecure].sp[0] = 0x7000;
    m.run(2);
    EXPECT_EQ(m.state().secure, kNonSecure);
    m.r(1) = end - 2;
    m.run(1);
    EXPECT_EQ(m.state().sfsr, sfsr::kAuViol | sfsr::kSfarValid) << std::hex << end;
    EXPECT_GE(m.state().sfar, end - 2);  // any of the bytes may be named
    EXPECT_LE(m.state().sfar, end);
  }
}

/// Armv7-M B1.5.8: bits 31 to 28 make it an exception's return, whatever the rest; only v8-M's Security
/// Extension knows a function's.
TEST_P(Corners, ADamagedReturnIsAnExceptionsWithoutSecurity) {
  TestMachine m("cortex-m3", GetParam());
  m.system(0xe000ed24, 1 << 18);              // UsageFault
  m.system(0xe000ed18, 0x40 << 16);           // more urgent
  m.system(0xe000ed1c, u32{0x80} << 24);      // than SVC
  m.put(kCode, {0xdf00});                     // svc #0
  m.put(TestMachine::handler(11), {0x4700});  // bx r0
  m.r(0) = 0xf0000009;
  m.run(4);
  EXPECT_EQ(m.state().ipsr, 6u);
  EXPECT_EQ(m.system(0xe000ed28), u32{1} << 18);  // INVPC
  EXPECT_EQ(m.system(0xe000ed24) & 1u << 7, 0u);  // SVC is over
}

TEST_P(Corners, DebugMonitorIsPendedAndSaysWhy) {
  constexpr u32 kDemcr = 0xe000edfc, kDfsr = 0xe000ed30, kMonEn = 1 << 16, kMonPend = 1 << 17;
  TestMachine m("cortex-m3", GetParam());
  m.system(kDemcr, kMonEn);
  m.put(kCode, {0xbe00});  // bkpt #0
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 12u);
  EXPECT_EQ(m.system(kDfsr), 2u);
  m.system(kDfsr, 2);
  EXPECT_EQ(m.system(kDfsr), 0u);
  TestMachine pended("cortex-m3", GetParam());
  pended.system(kDemcr, kMonPend);
  pended.run(1);
  EXPECT_EQ(pended.state().ipsr, 0u);
  EXPECT_EQ(pended.system(kDemcr), kMonPend);
  pended.system(kDemcr, kMonPend | kMonEn);
  pended.run(1);
  EXPECT_EQ(pended.state().ipsr, 12u);
  EXPECT_EQ(pended.system(kDemcr), kMonEn);
}

INSTANTIATE_TEST_SUITE_P(Engines, Corners, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "jit" : "interpreter"; });

TEST(SystemSpace, BitsThatAreNotThereStayZero) {
  TestMachine m33("cortex-m33"), m55("cortex-m55"), m4("cortex-m4"), m0("cortex-m0"), m23("cortex-m23");
  for (TestMachine* m : {&m33, &m55}) m->system(kMpuRasr, 0x20000011);
  EXPECT_EQ(m33.system(kMpuRasr), 0x20000001u);
  EXPECT_EQ(m55.system(kMpuRasr), 0x20000011u) << "PXN";
  m4.system(kFpccr, ~u32{0});
  EXPECT_EQ(m4.system(kFpccr), 0xc000017bu);
  for (TestMachine* m : {&m0, &m23}) {
    m->system(kStir, 3);
    EXPECT_EQ(m->system(kIspr), 0u);
  }
  m4.system(kStir, 3);
  EXPECT_EQ(m4.system(kIspr), 8u);
  EXPECT_EQ(m4.system(kTickControl), 4u) << "the only clock there is";
  // Priorities of reserved exceptions, and what lazily kept floating point needs where there is none.
  for (TestMachine* m : {&m4, &m0}) {
    for (const u32 address : {0xe000ed1cu, 0xe000ed20u}) m->system(address, ~u32{0});
    EXPECT_EQ(m->system(0xe000ed1c), m == &m0 ? 0xc0000000u : 0xff000000u);
    EXPECT_EQ(m->system(0xe000ed20), m == &m0 ? 0xc0c00000u : 0xffff00ffu);
  }
  TestMachine m3("cortex-m3");
  m3.system(0xe000ef38, ~u32{0});
  EXPECT_EQ(m3.system(0xe000ef38), 0u);
  EXPECT_EQ(m33.scs->non_secure_alias().mmio_read(0xd8c, 4), 0u) << "NSACR";
}

}  // namespace
}  // namespace hindcast::test
