#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

class Rtc : public VirtTest {
 protected:
  static constexpr u64 kStart = 0x17979cfe'362a0000;
  void SetUp() override {
    port.real_time = kStart;
    build();
  }
  u64 time() {
    u64 low = read(kRtc);
    return low | read(kRtc + 4) << 32;
  }
  void alarm(u64 at) {
    write(kRtc + 0x0c, at >> 32);
    write(kRtc + 0x08, at & 0xffffffff);
  }
  bool irq() { return source_level(kRtcSource); }
};

TEST_F(Rtc, AsksOnceAndThenCounts) {
  EXPECT_EQ(port.answers[InputKind::RealTime], 0u);
  EXPECT_EQ(time(), kStart);
  pass(12'345'678'901);
  EXPECT_EQ(time(), kStart + 12'345'678'901);
  machine->reset();
  EXPECT_EQ(time(), kStart + 12'345'678'901);
  EXPECT_EQ(port.answers[InputKind::RealTime], 1u);
}

TEST_F(Rtc, AShortReplyIsNoReasonToFail) {
  port.real_time_bytes = 3;
  EXPECT_EQ(time(), kStart & 0xffffff);
}

TEST_F(Rtc, HighHalfIsLatchedWithTheLow) {
  write(kRtc + 4, 5);
  write(kRtc, 0xfffffff0);
  EXPECT_EQ(read(kRtc), 0xfffffff0u);
  pass(0x100);
  EXPECT_EQ(read(kRtc + 4), 5u);
  EXPECT_EQ(read(kRtc), 0xf0u);
  EXPECT_EQ(read(kRtc + 4), 6u);
}

TEST_F(Rtc, AlarmFiresOnceAndInterruptsIfEnabled) {
  write(kRtc + 0x10, 1);
  alarm(kStart + 1'000'000);
  EXPECT_EQ(read(kRtc + 0x18), 1u);
  pass(999'999);
  EXPECT_FALSE(irq());
  pass(1);
  EXPECT_TRUE(irq());
  EXPECT_EQ(read(kRtc + 0x18), 0u);
  write(kRtc + 0x10, 0);
  EXPECT_FALSE(irq());
  write(kRtc + 0x10, 1);
  EXPECT_TRUE(irq());
  write(kRtc + 0x1c, 1);
  EXPECT_FALSE(irq());
}

TEST_F(Rtc, ClearedAndPastAlarms) {
  write(kRtc + 0x10, 1);
  alarm(kStart + 1'000'000);
  write(kRtc + 0x14, 1);
  EXPECT_EQ(read(kRtc + 0x18), 0u);
  pass(2'000'000);
  EXPECT_FALSE(irq());
  alarm(kStart);
  EXPECT_TRUE(irq()) << "an alarm in the past fires at once";
  alarm(~u64{0});
  EXPECT_EQ(read(kRtc + 0x18), 1u);
}

TEST_F(Rtc, StateSurvives) {
  time();
  alarm(kStart + 500);
  expect_state_survives([&] {
    write(kRtc + 4, 1);
    write(kRtc + 0x10, 1);
    pass(1000);
  });
  EXPECT_EQ(time(), kStart);
}

class FinisherTest : public VirtTest {
 protected:
  void SetUp() override { build(); }
};

TEST_F(FinisherTest, Pass) {
  write(kFinisher, 0x5555);
  EXPECT_EQ(machine->run(machine->icount() + 100), StopReason::Exit);
  EXPECT_EQ(machine->exit_code(), 0);
}

TEST_F(FinisherTest, FailWithCode) {
  write(kFinisher, 42u << 16 | 0x3333);
  EXPECT_TRUE(machine->exited());
  EXPECT_EQ(machine->exit_code(), 42);
}

TEST_F(FinisherTest, ResetStartsAgainAndOtherValuesDoNothing) {
  write(kFinisher, 0x1234);
  write(kFinisher + 4, 0x5555);
  EXPECT_FALSE(machine->exited());
  machine->run(machine->icount() + 100);
  EXPECT_EQ(reg("pc"), kRam);
  write(kFinisher, 0x7777);
  machine->run(machine->icount() + 3);
  EXPECT_EQ(reg("pc"), 0x100cu);
}

}  // namespace
}  // namespace hindcast::test
