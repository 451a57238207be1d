#include "targets/devices/plic.h"

#include <array>

#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using devices::Plic;

/// Remembers the levels of the notifications.
struct Lines final : IrqSink {
  void set_irq(unsigned line, bool level) override { levels.at(line) = level; }
  std::array<bool, 4> levels{};
};

class PlicTest : public testing::Test {
 protected:
  static constexpr unsigned kSources = 96;
  Lines lines;
  Plic plic{"plic", kSources, {IrqLine(&lines, 0), IrqLine(&lines, 1), IrqLine(), IrqLine(&lines, 3)}};

  PlicTest() { plic.reset(); }
  u32 get(u64 offset) { return static_cast<u32>(plic.mmio_read(offset, 4)); }
  void put(u64 offset, u32 value) { plic.mmio_write(offset, 4, value); }
  void enable(unsigned context, unsigned source) {
    u64 at = 0x2000 + 0x80 * context + source / 32 * 4;
    put(at, get(at) | 1u << (source % 32));
  }
  void priority(unsigned source, u32 value) { put(4 * source, value); }
  u64 threshold(unsigned context) { return 0x200000 + 0x1000 * context; }
  u64 claim(unsigned context) { return threshold(context) + 4; }
};

TEST_F(PlicTest, ClaimAndComplete) {
  priority(10, 1);
  enable(0, 10);
  plic.set_irq(10, true);
  EXPECT_TRUE(lines.levels[0]);
  EXPECT_FALSE(lines.levels[1]);
  EXPECT_EQ(get(0x1000), 1u << 10);
  EXPECT_EQ(get(claim(0)), 10u);
  EXPECT_FALSE(lines.levels[0]);
  EXPECT_EQ(get(0x1000), 0u);
  EXPECT_EQ(get(claim(0)), 0u);
  put(claim(0), 10);
  EXPECT_TRUE(lines.levels[0]) << "the line is still high";
  EXPECT_EQ(get(claim(0)), 10u);
  plic.set_irq(10, false);
  put(claim(0), 10);
  EXPECT_FALSE(lines.levels[0]);
  EXPECT_EQ(get(claim(0)), 0u);
}

TEST_F(PlicTest, HighestPriorityThenLowestNumber) {
  for (unsigned source : {5u, 40u, 70u, 96u}) {
    enable(0, source);
    plic.set_irq(source, true);
  }
  priority(5, 2);
  priority(40, 7);
  priority(70, 7);
  priority(96, 3);
  for (unsigned expected : {40u, 70u, 96u, 5u, 0u}) EXPECT_EQ(get(claim(0)), expected);
}

TEST_F(PlicTest, PriorityZeroNeverInterrupts) {
  enable(0, 3);
  plic.set_irq(3, true);
  EXPECT_FALSE(lines.levels[0]);
  EXPECT_EQ(get(claim(0)), 0u);
  priority(3, 1);
  EXPECT_TRUE(lines.levels[0]);
}

TEST_F(PlicTest, ThresholdMasksTheNotificationNotTheClaim) {
  priority(3, 4);
  enable(1, 3);
  put(threshold(1), 4);
  plic.set_irq(3, true);
  EXPECT_FALSE(lines.levels[1]);
  EXPECT_EQ(get(claim(1)), 3u);
  put(claim(1), 3);
  put(threshold(1), 3);
  EXPECT_TRUE(lines.levels[1]);
  EXPECT_EQ(get(threshold(1)), 3u);
}

TEST_F(PlicTest, CompletionBySomeoneNotEnabledIsIgnored) {
  priority(3, 1);
  enable(0, 3);
  plic.set_irq(3, true);
  EXPECT_EQ(get(claim(0)), 3u);
  put(claim(1), 3);
  EXPECT_FALSE(lines.levels[0]);
  for (u32 nonsense : {0u, 97u, 1024u, 0xffffffffu}) put(claim(0), nonsense);
  EXPECT_FALSE(lines.levels[0]);
  put(claim(0), 3);
  EXPECT_TRUE(lines.levels[0]);
}

TEST_F(PlicTest, OneClaimerOfASharedSource) {
  priority(7, 1);
  enable(0, 7);
  enable(3, 7);
  plic.set_irq(7, true);
  EXPECT_TRUE(lines.levels[0] && lines.levels[3]);
  EXPECT_EQ(get(claim(3)), 7u);
  EXPECT_FALSE(lines.levels[0] || lines.levels[3]);
  EXPECT_EQ(get(claim(0)), 0u);
}

TEST_F(PlicTest, WhatIsPendingStaysSoUntilItIsClaimed) {
  priority(7, 1);
  enable(0, 7);
  plic.set_irq(7, true);
  plic.set_irq(7, false);
  EXPECT_TRUE(lines.levels[0]);
  EXPECT_EQ(get(claim(0)), 7u);
  put(claim(0), 7);
  EXPECT_EQ(get(claim(0)), 0u);
}

TEST_F(PlicTest, WhileServedTheLineIsNotLookedAt) {
  priority(7, 1);
  enable(0, 7);
  plic.set_irq(7, true);
  EXPECT_EQ(get(claim(0)), 7u);
  plic.set_irq(7, false);
  plic.set_irq(7, true);
  EXPECT_EQ(get(0x1000), 0u);
  plic.set_irq(7, false);
  put(claim(0), 7);
  EXPECT_EQ(get(0x1000), 0u);
}

TEST_F(PlicTest, ResetForgetsEverything) {
  priority(7, 1);
  enable(0, 7);
  put(threshold(1), 3);
  plic.set_irq(7, true);
  plic.reset();
  EXPECT_FALSE(lines.levels[0]);
  EXPECT_EQ(get(0x1000), 0u);
  EXPECT_EQ(get(4 * 7), 0u);
  EXPECT_EQ(get(0x2000), 0u);
  EXPECT_EQ(get(threshold(1)), 0u);
}

TEST_F(PlicTest, RegistersHoldWhatExists) {
  put(0, 7);
  EXPECT_EQ(get(0), 0u);
  put(4 * 96, 0xffffffff);
  EXPECT_EQ(get(4 * 96), 7u);
  put(4 * 97, 7);
  EXPECT_EQ(get(4 * 97), 0u);
  for (u64 word = 0; word < 4; ++word) put(0x2000 + 4 * word, 0xffffffff);
  EXPECT_EQ(get(0x2000), 0xfffffffeu);
  EXPECT_EQ(get(0x2004), 0xffffffffu);
  EXPECT_EQ(get(0x200c), 1u);
  put(0x2010, 0xffffffff);
  EXPECT_EQ(get(0x2010), 0u);
  put(0x1000, 0xffffffff);
  EXPECT_EQ(get(0x1000), 0u);
  put(threshold(0), 0xff);
  EXPECT_EQ(get(threshold(0)), 7u);
  // Far beyond the last context, and sources out of range.
  EXPECT_EQ(get(0x5ffffc), 0u);
  put(0x5ffffc, 1);
  plic.set_irq(0, true);
  plic.set_irq(97, true);
  plic.set_irq(~0u, true);
  EXPECT_EQ(get(0x1000), 0u);
}

TEST_F(PlicTest, StateSurvives) {
  priority(3, 1);
  priority(90, 5);
  enable(0, 3);
  enable(1, 90);
  plic.set_irq(3, true);
  plic.set_irq(90, true);
  get(claim(1));
  SaveArchive save;
  plic.state(save);
  Lines other_lines;
  Plic other("plic", kSources, {IrqLine(&other_lines, 0), IrqLine(&other_lines, 1), IrqLine(), IrqLine()});
  LoadArchive load(save.bytes());
  other.state(load);
  EXPECT_TRUE(load.at_end());
  SaveArchive again;
  other.state(again);
  EXPECT_EQ(again.bytes(), save.bytes());
  other.mmio_write(claim(1), 4, 90);
  EXPECT_TRUE(other_lines.levels[1]);
}

TEST_F(PlicTest, StateThatNoGuestCanMakeIsRefused) {
  SaveArchive save;
  plic.state(save);
  // In the order of the state: 97 priorities, then 4 words each of levels, pending, claimed and context 0's
  // enable bits, then its threshold.
  const std::size_t priorities = 0, levels = 97, pending = levels + 4, claimed = pending + 4,
                    enable = claimed + 4, threshold = enable + 4;
  struct Case {
    std::size_t word;
    u32 value;
    bool good;
  };
  const Case cases[] = {
      {priorities, 1, false},   {priorities + 96, 7, true}, {priorities + 96, 8, false},
      {levels, 1, false},       {levels + 3, 1, true},      {levels + 3, 2, false},
      {pending, 1, false},      {pending + 3, 1, true},     {pending + 3, 0x80000000, false},
      {claimed + 3, 3, false},  {enable, 1, false},         {enable, 0xfffffffe, true},
      {enable + 3, ~0u, false}, {threshold, 7, true},       {threshold, 8, false}};
  for (const Case& c : cases) {
    SCOPED_TRACE(std::to_string(c.word) + " = " + std::to_string(c.value));
    Bytes state = save.bytes();
    for (unsigned i = 0; i < 4; ++i) state[4 * c.word + i] = static_cast<u8>(c.value >> (8 * i));
    LoadArchive load(state);
    const std::string message = fatal_message([&] { plic.state(load); });
    EXPECT_EQ(message.empty(), c.good) << message;
    // Refused or not, what was loaded stays within what there is.
    EXPECT_LE(get(claim(0)), kSources);
    plic.reset();
  }
}

class PlicOnBoard : public VirtTest {};

TEST_F(PlicOnBoard, ContextsAreMachineAndSupervisorPerHart) {
  MachineConfig c = config();
  c.smp = 2;
  build(c);
  write(kPlic + 4 * kUartSource, 1);
  write(kPlic + 0x2000 + 0x80 * 2, 1u << kUartSource);  // context 2: M mode of hart 1
  write(kUart + 1, 2, 1);                               // the transmitter is empty
  EXPECT_FALSE(line(11, 0));
  EXPECT_TRUE(line(11, 1));
  EXPECT_EQ(read(kPlic + 0x200000 + 0x2000 + 4), kUartSource);
  EXPECT_FALSE(line(11, 1));
}

}  // namespace
}  // namespace hindcast::test
