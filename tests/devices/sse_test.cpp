// The subsystems around an M33 or M55: control, identification, timers, and who may reach what.
#include "targets/arm/security.h"
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

using arm::kNonSecure;
using arm::kSecure;

const arm::SecurityMap& map_of(Board& b) { return *arm::security_map(b.machine->vcpu(0)); }

TEST(Sse, SaysWhatItIs) {
  Board an505("mps2-an505"), an521("mps2-an521"), an547("mps3-an547");
  EXPECT_EQ(an505.read(0x40020000), 0x41743u);
  EXPECT_EQ(an505.read(0x50020004), 0x31u);
  EXPECT_EQ(an505.read(0x50020fe0), 0x58u);
  EXPECT_EQ(an505.read(0x40300ffc), 0x41045050u);
  EXPECT_EQ(an521.read(0x50020000), 0x22041743u);
  EXPECT_EQ(an521.read(0x40300ffc), 0x41045210u);
  EXPECT_EQ(an521.read(0x5001f000), 0u) << "the first CPU";
  EXPECT_EQ(an521.read(0x5001ffe0), 0x55u);
  EXPECT_EQ(an547.read(0x58020000), 0x7e00043bu);
  EXPECT_EQ(an547.read(0x49300ffc), 0x41055470u);
}

TEST(Sse, APortIsOpenWhileItsBitIsSet) {
  Board b("mps2-an505");
  const arm::SecurityMap& map = map_of(b);
  constexpr u32 kUart0 = 0x40200000, kUart1 = 0x40201000, kSecureUart0 = 0x50200000;
  EXPECT_FALSE(map.allows(kUart0, kNonSecure));
  EXPECT_TRUE(map.allows(kSecureUart0, kSecure));
  b.write(0x50080084, 1 << 5);
  EXPECT_TRUE(map.allows(kUart0, kNonSecure));
  EXPECT_FALSE(map.allows(kUart1, kNonSecure));
  b.write(0x50080084, 0);
  EXPECT_FALSE(map.allows(kUart0, kNonSecure));
  EXPECT_TRUE(map.allows(0x40080000, kNonSecure)) << "behind no controller";
}

TEST(Sse, SystemControlIsNeverOpen) {
  Board b("mps3-an547");
  for (u32 at = 0x50080000; at < 0x50080100; at += 4) b.write(at, ~u32{0});
  EXPECT_FALSE(map_of(b).allows(0x48021000, kNonSecure));
  EXPECT_TRUE(map_of(b).allows(0x49303000, kNonSecure));
}

TEST(Sse, BlocksOfOnePageMayBelongToDifferentStates) {
  Board b("mps2-an505");
  const arm::SecurityMap& map = map_of(b);
  EXPECT_EQ(map.granule(0x28000400), AddressSpace::kPage);
  b.write(0x58008018, 0);
  b.write(0x5800801c, 2);
  EXPECT_EQ(map.granule(0x28000400), 0x400u);
  EXPECT_FALSE(map.allows(0x28000000, kNonSecure));
  EXPECT_TRUE(map.allows(0x28000400, kNonSecure));
  EXPECT_FALSE(map.allows(0x38000400, kSecure));
  EXPECT_EQ(map.granule(0x28001000), AddressSpace::kPage);
}

TEST(Sse, TheCauseOfAResetSurvivesIt) {
  Board b("mps2-an505");
  EXPECT_EQ(b.read(0x50021100), 1u) << "power";
  b.write(0x50021100, 0);
  EXPECT_EQ(b.read(0x50021100), 0u);
  b.write(0x50021118, 2);
  b.write(0x50021108, 1 << 9);
  b.pass(80);
  EXPECT_EQ(b.read(0x50021100), 1u << 9);
  EXPECT_EQ(b.read(0x50021118), 0u);
}

TEST(Sse, TimersHaveClocksOfTheirOwn) {
  Board b("mps2-an505");
  b.write(0x5002f008, 1000);
  b.write(0x5002f000, 1);
  b.pass(10'000'000);
  EXPECT_EQ(b.read(0x5002f004), 1000u - 327) << "32,768 Hz";
  b.write(0x40002000, 20);    // the dual timer, by 20 MHz
  b.write(0x40002008, 0xe2);  // periodic, 32 bits, with interrupts
  b.pass(800);
  EXPECT_FALSE(b.pending(5));
  b.pass(400);
  EXPECT_TRUE(b.pending(5));
  b.write(0x40081000, 20);  // the Non-secure watchdog
  b.write(0x40081008, 1);
  b.pass(1200);
  EXPECT_TRUE(b.pending(1));
}

}  // namespace
}  // namespace hindcast::test
