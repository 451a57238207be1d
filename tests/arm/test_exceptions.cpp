// Entry, return, priorities, faults and lockup, in the interpreter and in translated code.
#include <gtest/gtest.h>

#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kIcsr = 0xe000ed04, kVtor = 0xe000ed08, kAircr = 0xe000ed0c, kScr = 0xe000ed10,
              kCcr = 0xe000ed14, kShpr1 = 0xe000ed18, kShpr2 = 0xe000ed1c, kShpr3 = 0xe000ed20,
              kShcsr = 0xe000ed24, kCfsr = 0xe000ed28, kHfsr = 0xe000ed2c, kMmfar = 0xe000ed34,
              kBfar = 0xe000ed38, kIser = 0xe000e100, kIcer = 0xe000e180, kIspr = 0xe000e200,
              kIabr = 0xe000e300, kIpr = 0xe000e400, kTickControl = 0xe000e010, kTickReload = 0xe000e014,
              kTickValue = 0xe000e018;
constexpr u16 kBxLr = 0x4770, kSvc = 0xdf00, kNop = 0xbf00, kUdf = 0xde00;

class Exceptions : public ::testing::TestWithParam<bool> {
 protected:
  TestMachine m{"cortex-m3", GetParam()};
};

TEST_P(Exceptions, ResetTakesStackAndPcFromTheVectors) {
  EXPECT_EQ(m.r(13), kStackTop);
  EXPECT_EQ(m.pc(), kCode);
  EXPECT_EQ(m.r(14), 0xffffffff);
  EXPECT_EQ(read_xpsr(m.state()), u32{1} << 24);
}

TEST_P(Exceptions, SvcStacksAFrameAndReturns) {
  m.put(kCode, {0x2011, kSvc, 0x2122});  // movs r0, #0x11; svc; movs r1, #0x22
  m.put(TestMachine::handler(11), {0x2033, kBxLr});
  m.r(3) = 3;
  m.r(12) = 12;
  m.run(2);
  EXPECT_EQ(m.pc(), TestMachine::handler(11));
  EXPECT_EQ(m.state().ipsr, 11u);
  EXPECT_EQ(m.r(14), 0xfffffff9);
  EXPECT_EQ(m.r(13), kStackTop - 32);
  const GuestAddr frame = kStackTop - 32;
  EXPECT_EQ(m.word(frame), 0x11u);
  EXPECT_EQ(m.word(frame + 12), 3u);
  EXPECT_EQ(m.word(frame + 16), 12u);
  EXPECT_EQ(m.word(frame + 20), 0xffffffff);
  EXPECT_EQ(m.word(frame + 24), kCode + 4);
  EXPECT_EQ(m.word(frame + 28), u32{1} << 24);
  m.run(4);  // movs, bx, the return, movs
  EXPECT_EQ(m.pc(), kCode + 6);
  EXPECT_EQ(m.r(0), 0x11u);
  EXPECT_EQ(m.r(1), 0x22u);
  EXPECT_EQ(m.r(13), kStackTop);
  EXPECT_EQ(m.state().ipsr, 0u);
}

TEST_P(Exceptions, FramesAreAlignedToEightBytes) {
  m.put(kCode, {kSvc});
  m.put(TestMachine::handler(11), {kBxLr});
  m.r(13) = kStackTop - 4;
  m.run(1);
  EXPECT_EQ(m.r(13), kStackTop - 40);
  EXPECT_EQ(m.word(m.r(13) + 28), u32{1} << 24 | 1 << 9);
  m.run(2);
  EXPECT_EQ(m.r(13), kStackTop - 4);
}

TEST_P(Exceptions, ThreadsMayUseTheProcessStack) {
  // msr psp, r0; movs r1, #2; msr control, r1; svc
  m.put(kCode, {0xf380, 0x8809, 0x2102, 0xf381, 0x8814, kSvc});
  m.put(TestMachine::handler(11), {kBxLr});
  m.r(0) = kData + 0x1000;
  m.run(3);
  EXPECT_EQ(m.r(13), kData + 0x1000);
  m.run(1);
  EXPECT_EQ(m.r(14), 0xfffffffd);
  EXPECT_EQ(m.r(13), kStackTop);
  EXPECT_EQ(read_sp(m.state(), true), kData + 0x1000 - 32);
  EXPECT_EQ(m.state().bank().control, 0u);
  m.run(2);
  EXPECT_EQ(m.r(13), kData + 0x1000);
  EXPECT_EQ(m.state().bank().control, control::kSpsel);
}

TEST_P(Exceptions, MoreUrgentInterruptsPreempt) {
  m.system(kIpr, 0x00004080);  // 0: 0x80, 1: 0x40
  m.system(kIser, 3);
  m.vcpu().set_irq(0, true);
  m.run(1);
  EXPECT_EQ(m.pc(), TestMachine::handler(16));
  EXPECT_EQ(m.system(kIabr), 1u);
  m.vcpu().set_irq(1, true);
  m.run(1);
  EXPECT_EQ(m.pc(), TestMachine::handler(17));
  EXPECT_EQ(m.r(14), 0xfffffff1);
  EXPECT_EQ(m.system(kIabr), 3u);
}

TEST_P(Exceptions, LessUrgentOnesWaitAndAreChained) {
  m.system(kIpr, 0x00008040);
  m.system(kIser, 3);
  m.put(TestMachine::handler(16), {kNop, kBxLr});
  m.vcpu().set_irq(0, true);
  m.run(1);
  m.vcpu().set_irq(0, false);
  m.vcpu().set_irq(1, true);
  m.run(2);  // nop, bx
  const u32 sp = m.r(13);
  m.run(1);  // the return, which goes straight into the other
  EXPECT_EQ(m.pc(), TestMachine::handler(17));
  EXPECT_EQ(m.r(13), sp);
  EXPECT_EQ(m.r(14), 0xfffffff9);
  EXPECT_EQ(m.system(kIabr), 2u);
}

TEST_P(Exceptions, ALevelThatStaysHighComesAgain) {
  m.system(kIser, 1);
  m.put(TestMachine::handler(16), {kBxLr});
  m.vcpu().set_irq(0, true);
  m.run(2);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 16u);  // chained to itself
  m.vcpu().set_irq(0, false);
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 0u);
}

TEST_P(Exceptions, MasksHoldBackAndGroupsDecide) {
  m.system(kIpr, 0x40);
  m.system(kIser, 1);
  m.state().bank().primask = 1;
  m.vcpu().set_irq(0, true);
  m.run(1);
  EXPECT_EQ(m.pc(), kCode);
  m.state().bank().primask = 0;
  m.state().bank().basepri = 0x40;
  m.run(1);
  EXPECT_EQ(m.pc(), kCode);
  m.state().bank().basepri = 0x60;
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 16u);
  // Another of the same group but more urgent inside it does not preempt.
  m.state().bank().basepri = 0;
  m.system(kAircr, 0x05fa0500);  // group priority: bits 7 and 6
  m.system(kIpr, 0x0040007f);
  m.system(kIser, 5);
  m.vcpu().set_irq(2, true);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 16u);
}

TEST_P(Exceptions, FaultsAreReportedAndEscalate) {
  m.put(kCode, {kUdf, 0x6808});  // udf; ldr r0, [r1]
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 3u);  // usage faults are not enabled
  EXPECT_EQ(m.system(kCfsr), cfsr::kUndefInstr);
  EXPECT_EQ(m.system(kHfsr), hfsr::kForced);
  m.machine.reset();
  m.system(kShcsr, 7 << 16);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 6u);
  EXPECT_EQ(m.system(kHfsr), 0u);
  EXPECT_EQ(m.word(m.r(13) + 24), kCode);
  m.system(kCfsr, ~0u);
  EXPECT_EQ(m.system(kCfsr), 0u);

  m.machine.reset();
  m.system(kShcsr, 7 << 16);
  m.state().pc = kCode + 2;
  m.r(1) = 0x60000004;
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 5u);
  EXPECT_EQ(m.system(kCfsr), cfsr::kPrecisErr | cfsr::kBfarValid);
  EXPECT_EQ(m.system(kBfar), 0x60000004u);
}

TEST_P(Exceptions, AFaultInTheHardFaultHandlerLocksUp) {
  m.put(kCode, {kUdf});
  m.put(TestMachine::handler(3), {kUdf});
  EXPECT_EQ(m.run(10), StopReason::Idle);
  EXPECT_EQ(m.pc(), 0xfffffffeu);
  EXPECT_EQ(m.state().ipsr, 3u);
  // Only the NMI gets out of it.
  m.system(kIcsr, u32{1} << 31);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 2u);
}

TEST_P(Exceptions, JumpsToBadPlacesFault) {
  m.system(kShcsr, 7 << 16);
  m.put(kCode, {0x4708});  // bx r1
  m.r(1) = kCode + 0x100;
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 6u);
  EXPECT_EQ(m.system(kCfsr), cfsr::kInvState);
  EXPECT_EQ(m.word(m.r(13) + 24), kCode + 0x100);

  m.machine.reset();
  m.system(kShcsr, 7 << 16);
  m.r(1) = 0x40000001;
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kCfsr), cfsr::kIaccViol);

  // Thread mode cannot return from an exception.
  m.machine.reset();
  m.system(kShcsr, 7 << 16);
  m.r(1) = 0xfffffff9;
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
}

TEST_P(Exceptions, ABadReturnIsAUsageFault) {
  m.system(kShcsr, 7 << 16);
  m.put(kCode, {kSvc});
  m.put(TestMachine::handler(11), {0x4708});  // bx r1
  m.r(1) = 0xfffffff1;                        // to a handler that there is not
  m.run(3);
  EXPECT_EQ(m.state().ipsr, 6u);
  EXPECT_EQ(m.system(kCfsr), cfsr::kInvPc);
  EXPECT_EQ(m.r(14), 0xfffffff1);
}

TEST_P(Exceptions, ItStateSurvivesAnException) {
  // it: ITTE EQ; svc; movs r0, #1; movs r0, #2, with Z set.
  m.put(kCode, {0xbf06, kSvc, 0x2001, 0x2002, 0x2103});
  m.put(TestMachine::handler(11), {kBxLr});
  write_xpsr(m.state(), 1 << 24 | 1 << 30);
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 11u);
  EXPECT_EQ(m.state().it, 0u);
  const u32 stacked = m.word(m.r(13) + 28);
  EXPECT_NE(stacked & 0x0600fc00, 0u);
  m.run(5);
  EXPECT_EQ(m.pc(), kCode + 10);
  EXPECT_EQ(m.r(0), 1u);
  EXPECT_EQ(m.r(1), 3u);
}

TEST_P(Exceptions, TheTickTimerInterrupts) {
  // 125 MHz: one tick for each instruction at the default shift.
  m.system(kTickReload, 99);
  m.system(kTickValue, 0);
  m.system(kTickControl, 7);
  m.run(50);
  EXPECT_EQ(m.system(kTickValue), 50u);
  EXPECT_EQ(m.state().ipsr, 0u);
  m.run(60);
  EXPECT_EQ(m.state().ipsr, 15u);
  EXPECT_EQ(m.system(kTickControl), 7u | 1 << 16);
  EXPECT_EQ(m.system(kTickControl), 7u);
}

TEST_P(Exceptions, WaitsEndWithAnInterruptEvenIfMasked) {
  m.put(kCode, {0xbf30, 0x2001});  // wfi; movs r0, #1
  m.state().bank().primask = 1;
  m.system(kIser, 1);
  EXPECT_EQ(m.run(10), StopReason::Idle);
  EXPECT_EQ(m.pc(), kCode + 2);
  m.vcpu().set_irq(0, true);
  m.run(1);
  EXPECT_EQ(m.r(0), 1u);
  EXPECT_EQ(m.state().ipsr, 0u);
}

/// What is masked is no event (DDI 0403, B1.5.18), unless SEVONPEND makes it one.
TEST_P(Exceptions, WaitsForEventsDoNotEndWithAMaskedInterrupt) {
  struct Mask {
    u32 primask, basepri, faultmask;
  };
  for (const Mask& mask : {Mask{1, 0, 0}, Mask{0, 0x20, 0}, Mask{0, 0, 1}}) {
    for (const u32 asked : {0u, scr::kSevOnPend}) {
      m.machine.reset();
      m.put(kCode, {0xbf20, 0x2001});  // wfe; movs r0, #1
      m.state().bank().primask = mask.primask;
      m.state().bank().basepri = mask.basepri;
      m.state().bank().faultmask = mask.faultmask;
      m.system(kIser, 1);
      m.system(0xe000e400, 0x20);
      m.system(kScr, asked);
      EXPECT_EQ(m.run(10), StopReason::Idle);
      m.vcpu().set_irq(0, true);
      EXPECT_EQ(m.run(1), asked != 0 ? StopReason::Limit : StopReason::Idle);
      EXPECT_EQ(m.r(0), asked != 0 ? 1u : 0u);
      EXPECT_EQ(m.state().ipsr, 0u);
      m.vcpu().set_irq(0, false);
    }
  }
  m.machine.reset();
  m.system(kIser, 1);
  EXPECT_EQ(m.run(10), StopReason::Idle);
  m.vcpu().set_irq(0, true);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 16u) << "what is taken ends it";
}

TEST_P(Exceptions, AnEventIsRememberedOnce) {
  m.put(kCode, {0xbf40, 0xbf20, 0x2001, 0xbf20});  // sev; wfe; movs r0, #1; wfe
  EXPECT_EQ(m.run(20), StopReason::Idle);
  EXPECT_EQ(m.r(0), 1u);
  EXPECT_EQ(m.pc(), kCode + 8);
}

TEST_P(Exceptions, APendingInterruptIsAnEventIfAsked) {
  m.put(kCode, {0xbf20, 0xbf20, 0x2011, 0xe7fe});  // wfe; wfe; movs r0, #0x11; b .
  m.system(kScr, scr::kSevOnPend);
  m.state().event = 1;
  EXPECT_EQ(m.run(10), StopReason::Idle) << "the first takes the event, the second sleeps";
  EXPECT_EQ(m.r(0), 0u);
  m.system(kIspr, 1);  // not enabled: it wakes, and is not taken
  m.machine.input_delivered();
  m.run(4);
  EXPECT_EQ(m.r(0), 0x11u);
  EXPECT_EQ(m.state().ipsr, 0u);
}

TEST_P(Exceptions, FaultmaskCanBeClearedUnderItself) {
  // msr faultmask, r1 (1); msr faultmask, r2 (0)
  m.put(kCode, {0xf381, 0x8813, 0xf382, 0x8813});
  m.r(1) = 1;
  m.r(2) = 0;
  m.run(1);
  EXPECT_EQ(m.state().bank().faultmask, 1u);
  m.run(1);
  EXPECT_EQ(m.state().bank().faultmask, 0u);
}

TEST_P(Exceptions, SleepOnExitReturnsToSleep) {
  m.system(kScr, scr::kSleepOnExit);
  m.system(kIser, 1);
  m.put(TestMachine::handler(16), {kBxLr});
  m.vcpu().set_irq(0, true);
  m.run(1);
  m.vcpu().set_irq(0, false);
  EXPECT_EQ(m.run(10), StopReason::Idle);
  EXPECT_EQ(m.state().ipsr, 0u);
}

TEST_P(Exceptions, UnprivilegedCodeCannotReachTheSystem) {
  m.system(kShcsr, 7 << 16);
  m.put(kCode, {0x6808, 0x6008});  // ldr r0, [r1]; str r0, [r1]
  m.state().bank().control = control::kNpriv;
  m.r(1) = kVtor;
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 5u);
  EXPECT_EQ(m.system(kBfar), kVtor);
}

TEST_P(Exceptions, StateIsSavedWhole) {
  m.system(kIpr, 0x00004080);
  m.system(kIser, 3);
  m.system(kTickReload, 999);
  m.system(kTickControl, 3);
  m.vcpu().set_irq(0, true);
  m.run(7);
  SaveArchive save;
  m.machine.state(save);
  TestMachine other("cortex-m3", GetParam());
  for (GuestAddr at = 0; at < kRamBytes; at += 4) {
    other.word(at, m.word(at));
    other.word(kData + at, m.word(kData + at));
  }
  LoadArchive load(save.bytes());
  other.machine.state(load);
  EXPECT_TRUE(load.at_end());
  m.run(2000);
  other.run(2000);
  SaveArchive a, b;
  m.machine.state(a);
  other.machine.state(b);
  EXPECT_EQ(a.bytes(), b.bytes());
}

INSTANTIATE_TEST_SUITE_P(Engines, Exceptions, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "jit" : "interpreter"; });

TEST(ExceptionsV6, EveryFaultIsAHardFault) {
  TestMachine m("cortex-m0");
  m.put(kCode, {0x6808});  // ldr r0, [r1]
  m.r(1) = kData + 2;      // misaligned
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 3u);
  EXPECT_EQ(m.system(kCfsr), 0u);
  EXPECT_EQ(m.word(m.r(13) + 24), kCode);
}

}  // namespace
}  // namespace hindcast::test
