// What the MPS2 and MPS3 boards say about themselves and can be told, as the application notes have it and
// QEMU 7.2 answers.
#include "targets/arm/security.h"
#include "targets/arm/state.h"
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

struct Mps {
  const char* name;
  GuestAddr scc, fpgaio;
  u32 leds, second_hz, third_hz, oscillators;
};
const Mps kMps[] = {{"mps2-an385", 0x4002f000, 0x40028000, 3, 24'576'000, 25'000'000, 3},
                    {"mps2-an386", 0x4002f000, 0x40028000, 3, 24'576'000, 25'000'000, 3},
                    {"mps2-an500", 0x4002f000, 0x40028000, 3, 24'576'000, 25'000'000, 3},
                    {"mps2-an505", 0x40300000, 0x40302000, 3, 24'580'000, 25'000'000, 3},
                    {"mps2-an521", 0x40300000, 0x40302000, 3, 24'580'000, 25'000'000, 3},
                    {"mps3-an547", 0x49300000, 0x49302000, 0x3ff, 32'000'000, 50'000'000, 6}};

TEST(Scc, AfterAReset) {
  for (const Mps& mps : kMps) {
    SCOPED_TRACE(mps.name);
    Board b(mps.name);
    EXPECT_EQ(b.read(mps.scc + 0x010), 2u);
    EXPECT_EQ(b.read(mps.scc + 0x014), 0u);
    EXPECT_EQ(b.read(mps.scc + 0x0a8), 0x00100000u);
    EXPECT_EQ(b.read(mps.scc + 0x0ac), 0u);
    EXPECT_EQ(b.read(mps.scc + 0x100), 0xffff0001u);
    EXPECT_EQ(b.read(mps.scc + 0xff8), 0x00200008u);
    b.write(mps.scc + 0x100, 0);
    EXPECT_EQ(b.read(mps.scc + 0x100), 0xffff0001u);
  }
}

TEST(Scc, OscillatorsAreReadAndSetByCommands) {
  for (const Mps& mps : kMps) {
    SCOPED_TRACE(mps.name);
    Board b(mps.name);
    const auto command = [&](u32 c) {
      b.write(mps.scc + 0xa8, c);
      EXPECT_EQ(b.read(mps.scc + 0xa8), c & 0x7fffffff) << "the start bit is 0 again";
      return b.read(mps.scc + 0xac);
    };
    EXPECT_EQ(command(0x80100001), 1u);
    EXPECT_EQ(b.read(mps.scc + 0xa0), mps.second_hz);
    EXPECT_EQ(command(0x80100002), 1u);
    EXPECT_EQ(b.read(mps.scc + 0xa0), mps.third_hz);
    b.write(mps.scc + 0xa4, 1234);
    EXPECT_EQ(command(0xc0100002), 1u);
    EXPECT_EQ(command(0x80100002), 1u);
    EXPECT_EQ(b.read(mps.scc + 0xa0), 1234u);
    EXPECT_EQ(command(0x80100000 | mps.oscillators), 3u) << "there is none";
    EXPECT_EQ(command(0x80200000), 3u) << "another function";
    EXPECT_EQ(b.read(mps.scc + 0xa0), 1234u);
    EXPECT_EQ(command(0x00100000), 0u) << "not started";
    SaveArchive save;
    b.machine->state(save);
    const Bytes before = save.take();
    command(0xc0100000);
    LoadArchive load(before);
    b.machine->state(load);
    SaveArchive again;
    b.machine->state(again);
    EXPECT_EQ(again.take(), before) << "oscillators belong to the state";
  }
}

TEST(FpgaIo, HasTheBoardsLights) {
  for (const Mps& mps : kMps) {
    SCOPED_TRACE(mps.name);
    Board b(mps.name);
    b.write(mps.fpgaio, ~0u);
    EXPECT_EQ(b.read(mps.fpgaio), mps.leds);
    b.write(mps.fpgaio + 4, 5);
    EXPECT_EQ(b.read(mps.fpgaio + 4), mps.leds > 3 ? 5u : 0u) << "debug control";
  }
}

TEST(Mps3, HasItsSerialFlashAsReadOnlyMemory) {
  Board b("mps3-an547");
  EXPECT_EQ(b.read(0x28000000), 0u);
  EXPECT_EQ(b.read(0x387ffffc), 0u);
  const u8 byte = 0x77;
  EXPECT_TRUE(b.machine->memory().host_write(0x287fffff, &byte, 1)) << "images are loaded there";
  u64 value = 0;
  EXPECT_FALSE(b.machine->memory().read(0x28800000, 4, &value));
  EXPECT_FALSE(arm::security_map(b.machine->vcpu(0))->allows(0x28000000, arm::kNonSecure, true));
}

// ---- Resets --------------------------------------------------------------------------------------------

constexpr u32 kAircrReset = 0x05fa0004;

class Control {
 public:
  explicit Control(const char* name)
      : b(name), base(std::string(name) == "mps3-an547" ? 0x58021000 : 0x50021000) {}
  u32 syndrome() { return b.read(base + 0x100); }
  void warm() {
    b.write(0xe000ed0c, kAircrReset);
    b.pass(80);
  }
  void cold() {
    b.write(base + 0x108, 1 << 9);
    b.pass(80);
  }
  u32 vtor() { return b.machine->vcpu(0).state<arm::ArmState>().bank().vtor; }

  Board b;
  GuestAddr base;
};

TEST(SseReset, RemembersEveryCauseUntilItIsCleared) {
  struct {
    const char* name;
    u32 processor, software;
  } const boards[] = {
      {"mps2-an505", 1 << 4, 1 << 9}, {"mps2-an521", 1 << 4, 1 << 9}, {"mps3-an547", 1 << 8, 1 << 5}};
  for (const auto& [name, processor, software] : boards) {
    SCOPED_TRACE(name);
    Control c(name);
    EXPECT_EQ(c.syndrome(), 1u);
    c.warm();
    EXPECT_EQ(c.syndrome(), 1u | processor);
    c.b.write(c.base + 0x100, 0);
    const u32 wait = c.b.read(c.base + 0x118);
    c.b.write(c.base + 0x118, wait ^ 1);
    c.cold();
    EXPECT_EQ(c.syndrome(), software);
    EXPECT_EQ(c.b.read(c.base + 0x118), wait) << "the rest is as at first";
  }
}

TEST(SseReset, TheProcessorsMayBeMasked) {
  Control c("mps2-an505");
  EXPECT_EQ(c.b.read(c.base + 0x104), 0x30u);
  c.b.write(c.base + 0x104, 0);
  c.b.write(c.base + 0x118, 2);
  c.warm();
  EXPECT_EQ(c.b.read(c.base + 0x118), 2u) << "there was no reset";
  EXPECT_EQ(c.syndrome(), 1u);
}

TEST(SseReset, EachWatchdogHasItsCause) {
  struct {
    GuestAddr at;
    u32 bit;
  } const dogs[] = {{0x40081000, 1 << 1}, {0x50081000, 1 << 2}, {0x5002e000, 1 << 3}};
  for (const auto& [at, bit] : dogs) {
    SCOPED_TRACE(bit);
    Control c("mps2-an505");
    const auto bite = [&] {
      c.b.write(c.base + 0x100, 0);
      c.b.write(at, 2);
      c.b.write(at + 8, 3);
      c.b.pass(400'000);
    };
    if (bit == 2) {
      bite();
      EXPECT_EQ(c.syndrome(), 0u) << "masked after a reset";
      c.b.write(c.base + 0x104, 0x32);
    }
    bite();
    EXPECT_EQ(c.syndrome(), bit);
  }
}

TEST(SseReset, SaysThatTheProcessorWasLockedUp) {
  for (const auto& [name, bit] :
       {std::pair{"mps2-an505", 1u << 6}, {"mps2-an521", 1u << 6}, {"mps3-an547", 1u << 12}}) {
    SCOPED_TRACE(name);
    Control c(name);
    c.cold();
    EXPECT_EQ(c.syndrome() & bit, 0u);
    c.b.machine->vcpu(0).state<arm::ArmState>().lockup = 1;
    c.cold();
    EXPECT_EQ(c.syndrome() & bit, bit);
    EXPECT_EQ(c.b.machine->vcpu(0).state<arm::ArmState>().lockup, 0u);
  }
}

TEST(Sse200, TellsTheUserThatItsSecondCpuIsNotThere) {
  Control c("mps2-an521");
  c.b.write(c.base + 0x118, 2);
  EXPECT_TRUE(c.b.notes.empty());
  c.b.write(c.base + 0x118, 0);
  ASSERT_EQ(c.b.notes.size(), 1u);
  EXPECT_NE(c.b.notes[0].find("the second CPU, which has no model, is to run"), std::string::npos);
  c.b.write(c.base + 0x118, 0);
  EXPECT_EQ(c.b.notes.size(), 1u);
}

TEST(SseReset, SoftwareMovesTheVectorsAndLeavesItselfAMessage) {
  for (const char* name : {"mps2-an505", "mps3-an547"}) {
    SCOPED_TRACE(name);
    Control c(name);
    const u32 first = c.vtor(), second = first + 0x10000;
    c.b.write(c.base + 0x10c, 0x12345);
    EXPECT_EQ(c.b.read(c.base + 0x10c), 0x2345u) << "16 bits";
    c.b.write(c.base + 0x110, second + 0x41);
    EXPECT_EQ(c.b.read(c.base + 0x110), second + 1) << "locked";
    c.b.write(c.base + 0x110, first);
    EXPECT_EQ(c.b.read(c.base + 0x110), second + 1);
    c.warm();
    EXPECT_EQ(c.vtor(), second);
    EXPECT_EQ(c.b.read(c.base + 0x110), second) << "open again";
    EXPECT_EQ(c.b.read(c.base + 0x10c), 0x2345u);
    c.cold();
    EXPECT_EQ(c.vtor(), second);
    EXPECT_EQ(c.b.read(c.base + 0x10c), 0u);
    c.b.machine->request_reset();
    c.b.pass(80);
    EXPECT_EQ(c.vtor(), first) << "the user's reset";
  }
}

}  // namespace
}  // namespace hindcast::test
