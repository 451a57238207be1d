// The subsystems around an M33 or M55: control, identification, timers, and who may reach what.
#include "targets/arm/security.h"
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

using arm::kNonSecure;
using arm::kSecure;

arm::SecurityMap& map_of(Board& b) { return *arm::security_map(b.machine->vcpu(0)); }

TEST(Sse, SaysWhatItIs) {
  struct {
    const char* name;
    std::map<u32, u32> values;
  } const boards[] = {{"mps2-an505",
                       {{0x40020000, 0x41743},
                        {0x50020004, 0x31},
                        {0x50020fe0, 0x58},
                        {0x50020fe8, 0x0b},
                        {0x50021fe8, 0x0b},
                        {0x40300ffc, 0x41045050}}},
                      {"mps2-an521",
                       {{0x50020000, 0x22041743},
                        {0x50020004, 0x223004f4},
                        {0x50021fe8, 0x1b},
                        {0x40300ffc, 0x41045210},
                        {0x50021118, 2},
                        {0x50021200, 0x7f},
                        {0x5001f000, 0},
                        {0x5001ffe0, 0x55}}},
                      {"mps3-an547",
                       {{0x58020000, 0x7e00043b},
                        {0x48020004, 0x30152},
                        {0x48020fc8, 0x74a0043b},
                        {0x48020fe8, 0x1b},
                        {0x480211fc, 3},
                        {0x48000fe4, 0xb0},
                        {0x48000fe0, 0xb7},
                        {0x49300ffc, 0x41055470}}}};
  for (const auto& [name, values] : boards) {
    SCOPED_TRACE(name);
    Board b(name);
    for (const auto& [at, value] : values) EXPECT_EQ(b.read(at), value) << std::hex << at;
  }
}

TEST(Sse, APortIsOpenWhileItsBitIsSet) {
  Board b("mps2-an505");
  const arm::SecurityMap& map = map_of(b);
  constexpr u32 kUart0 = 0x40200000, kUart1 = 0x40201000, kSecureUart0 = 0x50200000;
  EXPECT_FALSE(map.allows(kUart0, kNonSecure, true));
  EXPECT_TRUE(map.allows(kSecureUart0, kSecure, true));
  b.write(0x50080084, 1 << 5);
  EXPECT_TRUE(map.allows(kUart0, kNonSecure, true));
  EXPECT_FALSE(map.allows(kUart1, kNonSecure, true));
  b.write(0x50080084, 0);
  EXPECT_FALSE(map.allows(kUart0, kNonSecure, true));
  EXPECT_TRUE(map.allows(0x40080000, kNonSecure, true)) << "behind no controller";
}

TEST(Sse, SystemControlIsNeverOpen) {
  Board b("mps3-an547");
  for (u32 at = 0x50080000; at < 0x50080100; at += 4) b.write(at, ~u32{0});
  EXPECT_FALSE(map_of(b).allows(0x48021000, kNonSecure, true));
  EXPECT_TRUE(map_of(b).allows(0x49303000, kNonSecure, true));
}

TEST(Sse, BlocksOfOnePageMayBelongToDifferentStates) {
  Board b("mps2-an505");
  const arm::SecurityMap& map = map_of(b);
  EXPECT_EQ(map.granule(0x28000400), AddressSpace::kPage);
  b.write(0x58008018, 0);
  b.write(0x5800801c, 2);
  EXPECT_EQ(map.granule(0x28000400), 0x400u);
  EXPECT_FALSE(map.allows(0x28000000, kNonSecure, true));
  EXPECT_TRUE(map.allows(0x28000400, kNonSecure, true));
  EXPECT_FALSE(map.allows(0x38000400, kSecure, true));
  EXPECT_EQ(map.granule(0x28001000), AddressSpace::kPage);
}

TEST(Sse, SecureCodeIsHeldToTheGatesFromTheFirstAccess) {
  Board b("mps2-an505");
  b.write(0x58008018, 0);
  b.write(0x58008000, 0x110);  // a bus fault, not zeros
  b.write(0x5800801c, 2);      // the second block is the Non-secure state's
  auto& s = b.machine->vcpu(0).state<arm::ArmState>();
  const u16 loads[] = {0x6808, 0x6811};  // ldr r0, [r1]; ldr r1, [r2]
  EXPECT_TRUE(b.machine->memory().host_write(map_of(b).physical(0x100), loads, sizeof loads));
  b.machine->flush_translations();
  s.r[1] = 0x38000000;
  s.r[2] = 0x38000400;
  b.machine->run(b.machine->icount() + 1);
  EXPECT_EQ(s.ipsr, 0u);
  b.machine->run(b.machine->icount() + 1);
  EXPECT_EQ(s.ipsr, 3u) << "a bus fault, which is not enabled";
  EXPECT_EQ(s.bfar, 0x38000400u);
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

TEST(Sse, ARefusedTransactionReadsAsNothingOrFaultsAndInterrupts) {
  for (const char* name : {"mps2-an505", "mps2-an521", "mps3-an547"}) {
    SCOPED_TRACE(name);
    Board b(name);
    arm::SecurityMap& map = map_of(b);
    const u32 memory = b.machine->memory().name_at(0x21000000).empty() ? 0x20000000 : 0x21000000;
    const auto place = map.refuse(memory + 0x1234, kNonSecure, true);
    ASSERT_TRUE(place.has_value());
    b.write(*place, 77);
    EXPECT_EQ(b.read(*place), 0u);
    EXPECT_TRUE(b.pending(9));
    EXPECT_EQ(b.read(0x5008001c), 1u);
    EXPECT_EQ(b.read(0x5008302c), 0x1234u);
    EXPECT_EQ(b.read(0x50083030), 1u << 16);
    map.refuse(memory + 0x4000, kNonSecure, true);
    EXPECT_EQ(b.read(0x5008302c), 0x1234u) << "the first stays";
    b.write(0x50083024, 1);
    EXPECT_EQ(b.read(0x5008001c), 0u);
    b.write(0x50083000, 0x110);
    EXPECT_FALSE(map.refuse(memory, kNonSecure, true).has_value());
    b.write(0x50083000, 1u << 31);
    b.write(0x50083000, 0);
    b.write(0x5008301c, 1);
    EXPECT_EQ(b.read(0x50083000), 1u << 31) << "until the next reset";
    EXPECT_FALSE(map.allows(memory, kNonSecure, true));
  }
}

TEST(Sse, ARefusalOfAPeripheralSaysWhichController) {
  Board b("mps2-an505");
  arm::SecurityMap& map = map_of(b);
  EXPECT_TRUE(map.refuse(0x40200000, kNonSecure, true).has_value());
  EXPECT_EQ(b.read(0x50080020), 1u << 5);
  EXPECT_FALSE(b.pending(10)) << "not enabled";
  EXPECT_TRUE(map.refuse(0x40100000, kNonSecure, true).has_value());
  EXPECT_TRUE(map.refuse(0x40000000, kNonSecure, true).has_value());
  EXPECT_EQ(b.read(0x50080020), 1u << 5 | 1u << 20 | 1u);
  b.write(0x50080028, 1);
  EXPECT_TRUE(b.pending(10));
  b.write(0x50080024, 1u << 20 | 1u);
  EXPECT_EQ(b.read(0x50080020), 1u << 5);
  b.write(0x50080010, 1);
  EXPECT_FALSE(map.refuse(0x40000000, kNonSecure, true).has_value());
}

TEST(Sse, APortThatIsOneStatesIsNotTheOthers) {
  Board b("mps2-an505");
  const arm::SecurityMap& map = map_of(b);
  EXPECT_TRUE(map.allows(0x50200000, kSecure, true));
  EXPECT_FALSE(map.allows(0x50200000, kSecure, false));
  b.write(0x500800c4, 1 << 5);
  EXPECT_TRUE(map.allows(0x50200000, kSecure, false));
  b.write(0x50080084, 1 << 5);
  EXPECT_FALSE(map.allows(0x50200000, kSecure, true));
  EXPECT_FALSE(map.allows(0x40200000, kNonSecure, false));
  b.write(0x400800c4, 1 << 5);
  EXPECT_TRUE(map.allows(0x40200000, kNonSecure, false));
}

TEST(Sse, AnUnprivilegedAccessOfPrivilegedCodeIsRefusedAsSuch) {
  constexpr u32 kScratch = 0x50200010;  // UART0's divider, behind a port that unprivileged code may not use
  Board b("mps2-an505");
  auto& s = b.machine->vcpu(0).state<arm::ArmState>();
  b.write(kScratch, 0x55);
  const u32 kPsram = 0x10000100;
  // ldr r0, [r1]; ldrt r2, [r1]; strt r3, [r1]
  const u16 code[] = {0x6808, 0xf851, 0x2e00, 0xf841, 0x3e00, 0xe7fe};
  EXPECT_TRUE(b.machine->memory().host_write(map_of(b).physical(kPsram), code, sizeof code));
  for (const bool open : {false, true}) {
    b.write(0x500800c4, open ? 1 << 5 : 0);
    b.machine->flush_translations();
    s.pc = kPsram;
    s.r[1] = kScratch;
    s.r[2] = 0x77;
    s.r[3] = 0x99;
    b.machine->run(b.machine->icount() + 3);
    EXPECT_EQ(s.ipsr, 0u) << "refusals are no faults here";
    EXPECT_EQ(s.pc, kPsram + 10);
    EXPECT_EQ(s.r[0], 0x55u) << "privileged";
    EXPECT_EQ(s.r[2], open ? 0x55u : 0u);
    EXPECT_EQ(b.read(kScratch), open ? 0x99u : 0x55u);
    EXPECT_EQ(b.read(0x50080020), open ? 0 : 1u << 5) << "noted";
    b.write(0x50080024, 1u << 5);
  }
  b.write(0x500800c4, 0);
  b.write(0x50080010, 1);  // and where they are
  b.machine->flush_translations();
  s.pc = kPsram + 2;
  b.machine->run(b.machine->icount() + 1);
  EXPECT_EQ(s.ipsr, 3u);
}

constexpr u32 kCounter = 0x58100000, kTimer = 0x58000000;

TEST(SseTimers, TheCounterGoesOnByItsScale) {
  Board b("mps3-an547");
  b.pass(8000);
  EXPECT_EQ(b.read(kCounter + 8), 0u) << "it stands still at first";
  b.write(kCounter + 0xc, 1);
  b.write(kCounter + 8, 0xfffffff0);
  b.write(kCounter, 1);
  b.pass(1000);
  EXPECT_EQ(b.read(kCounter + 8), 16u) << "32 clocks";
  EXPECT_EQ(b.read(0x48101004), 2u);
  b.write(kCounter, 0);
  b.write(kCounter + 0x10, 0x00800000);
  b.write(kCounter, 5);
  b.pass(1000);
  EXPECT_EQ(b.read(0x48101000), 32u);
  EXPECT_EQ(b.read(kTimer), 32u);
}

TEST(SseTimers, ATimerIsDueAtItsValue) {
  Board b("mps3-an547");
  const u32 irqs[] = {3, 4, 5, 27};
  b.write(kCounter, 1);
  for (u32 i = 0; i < 4; ++i) {
    const u32 timer = kTimer + i * 0x1000;
    b.write(timer + 0x28, 320);
    b.write(timer + 0x2c, 1);
    b.pass(9800);
    EXPECT_FALSE(b.pending(irqs[i]));
    EXPECT_EQ(b.read(timer + 0x2c), 1u);
    b.pass(400);
    EXPECT_TRUE(b.pending(irqs[i]));
    EXPECT_EQ(b.read(timer + 0x2c), 5u);
    EXPECT_EQ(static_cast<i32>(b.read(timer + 0x28)) <= 0, true);
  }
}

TEST(SseTimers, ATimerIncrementsByItself) {
  Board b("mps3-an547");
  b.write(kCounter, 1);
  b.write(kTimer + 0x48, 32);
  b.write(kTimer + 0x4c, 1);
  b.write(kTimer + 0x2c, 1);
  b.pass(800);
  EXPECT_EQ(b.read(kTimer + 0x4c), 1u);
  b.pass(400);
  EXPECT_EQ(b.read(kTimer + 0x4c), 3u);
  EXPECT_EQ(b.read(kTimer + 0x40), 64u);
  b.write(kTimer + 0x4c, 1);
  EXPECT_EQ(b.read(kTimer + 0x2c), 1u);
  b.pass(1000);
  EXPECT_EQ(b.read(kTimer + 0x4c), 3u);
}

TEST(SseTimers, NoValueMakesThemSpin) {
  Board b("mps3-an547");
  b.write(kCounter + 0xc, ~u32{0});
  b.write(kCounter + 8, ~u32{0});
  b.write(kCounter + 0x10, ~u32{0});
  b.write(kTimer + 0x48, 0);
  b.write(kTimer + 0x4c, 1);
  b.write(kTimer + 0x2c, 1);
  b.write(kCounter, 5);
  b.pass(100'000);
  EXPECT_EQ(b.read(kTimer + 0x4c), 3u);
  b.write(kCounter + 0x10, 0);
  b.pass(100'000);
}

}  // namespace
}  // namespace hindcast::test
