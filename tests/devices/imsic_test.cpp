#include "targets/devices/imsic.h"

#include <array>

#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using devices::Imsic;

struct Lines final : IrqSink {
  void set_irq(unsigned line, bool level) override { levels.at(line) = level; }
  std::array<bool, 2> levels{};
};

class ImsicTest : public testing::Test {
 protected:
  static constexpr unsigned kDelivery = 0x70, kThreshold = 0x72, kPending = 0x80, kEnabled = 0xc0;
  Lines lines;
  Imsic imsic{"imsic", 127, {IrqLine(&lines, 0), IrqLine(&lines, 1)}};

  ImsicTest() { imsic.reset(); }
  void send(unsigned hart, u32 id) { imsic.mmio_write(0x1000 * hart, 4, id); }
  void enable(unsigned hart, unsigned id) {
    const unsigned at = kEnabled + id / 32;
    imsic.write(hart, at, 32, imsic.read(hart, at, 32) | 1u << (id % 32));
  }
};

TEST_F(ImsicTest, LowestIdentityFirst) {
  imsic.write(0, kDelivery, 64, 1);
  for (unsigned id : {100u, 33u, 5u}) {
    enable(0, id);
    send(0, id);
  }
  send(0, 4);  // not enabled
  EXPECT_TRUE(lines.levels[0]);
  EXPECT_FALSE(lines.levels[1]);
  for (unsigned id : {5u, 33u, 100u}) {
    EXPECT_EQ(imsic.top(0), id);
    EXPECT_TRUE(lines.levels[0]);
    imsic.claim(0);
  }
  EXPECT_EQ(imsic.top(0), 0u);
  EXPECT_FALSE(lines.levels[0]);
  imsic.claim(0);
  EXPECT_EQ(imsic.read(0, kPending, 64), 1u << 4);
}

TEST_F(ImsicTest, DeliveryAndThresholdHoldBack) {
  enable(1, 20);
  send(1, 20);
  EXPECT_EQ(imsic.top(1), 20u);
  EXPECT_FALSE(lines.levels[1]) << "not delivered";
  imsic.write(1, kDelivery, 64, 0x40000001);
  EXPECT_EQ(imsic.read(1, kDelivery, 64), 1u);
  EXPECT_TRUE(lines.levels[1]);
  imsic.write(1, kThreshold, 64, 20);
  EXPECT_EQ(imsic.top(1), 0u);
  EXPECT_FALSE(lines.levels[1]);
  imsic.write(1, kThreshold, 64, 21);
  EXPECT_TRUE(lines.levels[1]);
  imsic.write(1, kThreshold, 64, ~u64{0});
  EXPECT_EQ(imsic.read(1, kThreshold, 64), 127u);
}

TEST_F(ImsicTest, ArraysInWordsAndDoublewords) {
  imsic.write(0, kPending, 64, ~u64{0});
  EXPECT_EQ(imsic.read(0, kPending, 64), ~u64{1}) << "identity 0 is none";
  EXPECT_EQ(imsic.read(0, kPending, 32), 0xfffffffeu);
  EXPECT_EQ(imsic.read(0, kPending + 1, 32), 0xffffffffu);
  EXPECT_EQ(imsic.read(0, kPending + 1, 64), 0u);
  imsic.write(0, kEnabled + 3, 32, 5);
  EXPECT_EQ(imsic.read(0, kEnabled + 2, 64), u64{5} << 32);
  imsic.write(0, kEnabled + 4, 32, 5);
  EXPECT_EQ(imsic.read(0, kEnabled + 4, 32), 0u) << "beyond the last";
  EXPECT_EQ(imsic.read(0, 0x71, 64), 0u);
}

TEST_F(ImsicTest, PortsOfThePages) {
  imsic.mmio_write(4, 4, 3u << 24);
  EXPECT_EQ(imsic.read(0, kPending, 32), 1u << 3) << "the big-endian port";
  imsic.mmio_write(0x1000, 2, 3);
  imsic.mmio_write(0x1008, 4, 3);
  imsic.mmio_write(0x1ffc, 4, 3);
  for (u32 id : {0u, 128u, ~u32{0}}) send(1, id);
  send(2, 3);
  for (unsigned word = 0; word < 4; ++word) EXPECT_EQ(imsic.read(1, kPending + word, 32), 0u);
  EXPECT_EQ(imsic.mmio_read(0, 4), 0u);
}

/// The file, as the hart that it belongs to and devices reach it on a board.
TEST_F(VirtTest, FilesAreTheHarts) {
  MachineConfig c = config();
  c.machine_options["aia"] = "aplic-imsic";
  c.smp = 3;
  build(c);
  for (const auto& [name, base, line_bit] : {std::tuple{Imsic::kMachineFiles, GuestAddr{0x24000000}, 11u},
                                             {Imsic::kSupervisorFiles, GuestAddr{0x28000000}, 9u}}) {
    auto* files = machine->extension<Imsic>(name);
    ASSERT_NE(files, nullptr);
    ASSERT_EQ(files->hart_count(), 3u);
    files->write(2, 0x70, 64, 1);
    files->write(2, 0xc6, 64, ~u64{0});
    write(base + 0x2000, 255);
    EXPECT_EQ(files->top(2), 255u);
    EXPECT_TRUE(line(line_bit, 2));
    EXPECT_FALSE(line(line_bit, 1));
  }
  auto* files = machine->extension<Imsic>(Imsic::kSupervisorFiles);
  files->write(2, 0x72, 64, 100);
  expect_state_survives([&] {
    write(0x28002000, 254);
    for (unsigned number : {0x70u, 0x72u, 0x86u, 0xc6u}) files->write(2, number, 64, 0);
  });
  EXPECT_EQ(files->read(2, 0x70, 64), 1u);
  EXPECT_EQ(files->read(2, 0x72, 64), 100u);
  EXPECT_EQ(files->read(2, 0x86, 64), u64{1} << 63);
  EXPECT_EQ(files->read(2, 0xc6, 64), ~u64{0});
}

}  // namespace
}  // namespace hindcast::test
