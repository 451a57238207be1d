#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kCompare = kClint + 0x4000, kMtime = kClint + 0xbff8;
constexpr unsigned kSoftware = 3, kTimer = 7;

class ClintTest : public VirtTest {
 protected:
  void SetUp() override {
    MachineConfig c = config();
    c.smp = 3;
    build(c);
  }
};

TEST_F(ClintTest, SoftwareInterruptsPerHart) {
  for (unsigned hart = 0; hart < 3; ++hart) {
    write(kClint + 4 * hart, 0xfffffffe);
    EXPECT_FALSE(line(kSoftware, hart));
    write(kClint + 4 * hart, 1);
    for (unsigned other = 0; other < 3; ++other) EXPECT_EQ(line(kSoftware, other), other == hart);
    EXPECT_EQ(read(kClint + 4 * hart), 1u);
    write(kClint + 4 * hart, 0);
    EXPECT_FALSE(line(kSoftware, hart));
  }
  write(kClint, 0x1'0000'0001, 8);  // harts 0 and 1 in one access
  EXPECT_TRUE(line(kSoftware, 0));
  EXPECT_TRUE(line(kSoftware, 1));
  write(kClint + 12, 1);  // no hart 3
  EXPECT_EQ(read(kClint + 12), 0u);
}

TEST_F(ClintTest, TimeIsTenMegahertz) {
  u64 before = read(kMtime, 8);
  pass(1'000'000'000);
  EXPECT_EQ(read(kMtime, 8), before + 10'000'000);
}

TEST_F(ClintTest, TimerFiresExactlyAndFalls) {
  write(kMtime, 0, 8);
  write(kCompare + 8, 1000, 8);
  EXPECT_EQ(machine->clock().next_deadline() / 100, machine->clock().now() / 100 + 1000);
  EXPECT_FALSE(line(kTimer, 1));
  pass(99'900);
  EXPECT_FALSE(line(kTimer, 1));
  pass(200);
  EXPECT_TRUE(line(kTimer, 1));
  EXPECT_FALSE(line(kTimer, 0));
  write(kCompare + 8, ~u64{0}, 8);
  EXPECT_FALSE(line(kTimer, 1));
  write(kCompare + 8, 0, 8);
  EXPECT_TRUE(line(kTimer, 1));
}

TEST_F(ClintTest, HalvesAndMovingTime) {
  write(kCompare, 0x89abcdef);
  write(kCompare + 4, 0x01234567);
  EXPECT_EQ(read(kCompare, 8), 0x0123456789abcdefu);
  EXPECT_EQ(read(kCompare + 4), 0x01234567u);
  EXPECT_EQ(read(kCompare + 2, 2), 0x89abu);
  EXPECT_FALSE(line(kTimer));
  write(kMtime, 0x0123456789abcdef, 8);  // setting the time lets it come due
  EXPECT_TRUE(line(kTimer));
  write(kMtime + 4, 0);
  EXPECT_FALSE(line(kTimer));
  EXPECT_EQ(read(kMtime + 4), 0u);
}

TEST_F(ClintTest, FarComparatorsNeverFire) {
  write(kMtime, 0, 8);
  write(kCompare, ~u64{0} - 1, 8);
  write(kCompare + 8, u64{1} << 62, 8);
  write(kCompare + 16, ~u64{0}, 8);
  EXPECT_EQ(machine->clock().next_deadline(), kNever);
}

TEST_F(ClintTest, ResetAndState) {
  write(kMtime, 5000, 8);
  write(kCompare, 9000, 8);
  write(kClint + 8, 1);
  expect_state_survives([&] {
    write(kCompare, 1, 8);
    machine->reset();
    EXPECT_FALSE(line(kTimer));
    EXPECT_FALSE(line(kSoftware, 2));
    EXPECT_EQ(read(kMtime, 8), 0u);
  });
  EXPECT_TRUE(line(kSoftware, 2));
}

TEST_F(ClintTest, TimeEndsWhereItCannotGoOn) {
  // Software that parks the comparator nearly for ever and waits makes time jump there. It must not begin
  // again.
  machine->warp_to(kNever - 50);
  const VirtualNs late = machine->clock().now();
  EXPECT_EQ(late, kNever - 50);
  const Icount icount = machine->icount();
  machine->run(icount + 20);
  EXPECT_GE(machine->clock().now(), late);
  const u64 mtime = read(kMtime, 8);
  write(kCompare, mtime + 5, 8);
  EXPECT_EQ(static_cast<int>(machine->run(icount + 1000)), static_cast<int>(StopReason::Limit));
  EXPECT_EQ(machine->icount(), icount + 1000);
  EXPECT_FALSE(line(kTimer));
}

}  // namespace
}  // namespace hindcast::test
