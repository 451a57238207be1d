// The peripherals of the Arm boards and the CPU's own trace units, as drivers use them.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "targets/arm/arm.h"
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

TEST(BitBand, AWordOfTheAliasIsABit) {
  Board b("mps2-an385");
  b.write(0x20000100, 0x00010000);
  EXPECT_EQ(b.read(0x22000000 + 0x100 * 32 + 16 * 4), 1u);
  EXPECT_EQ(b.read(0x22000000 + 0x100 * 32 + 17 * 4), 0u);
  b.write(0x22000000 + 0x100 * 32 + 31 * 4, 3);
  EXPECT_EQ(b.read(0x20000100), 0x80010000u);
  b.write(0x22000000 + 0x100 * 32 + 16 * 4, 2);
  EXPECT_EQ(b.read(0x20000100), 0x80000000u);
  b.write(0x42000000 + 0x28000 * 32 + 4, 1);  // a light of FPGAIO
  EXPECT_EQ(b.read(0x40028000), 2u);
  b.write(0x22000000 + 0x103 * 32 + 4, 1, 1);
  EXPECT_EQ(b.read(0x20000100), 0x82000000u);
}

TEST(BitBand, BitsOfNothingAreNotThere) {
  Board b("lm3s6965evb");
  u64 value = 0;
  EXPECT_TRUE(b.machine->memory().read(0x22000000, 4, &value));
  EXPECT_FALSE(b.machine->memory().read(0x22000000 + 0x10000 * 32, 4, &value)) << "behind 64 KB";
  EXPECT_FALSE(b.machine->memory().write(0x42000000 + 0xf0000 * 32, 4, 1));
}

TEST(BitBand, OnlyWhereTheCpuHasIt) {
  Board b("mps2-an500");
  u64 value = 0;
  EXPECT_FALSE(b.machine->memory().read(0x42000000, 4, &value));
}

TEST(Dwt, CountsCyclesOnSysTicksClock) {
  Board b("mps2-an386");
  b.write(0xe0001000, 1);
  b.pass(8000);
  EXPECT_EQ(b.read(0xe0001004), 0u) << "without TRCENA";
  b.write(0xe000edfc, 1 << 24);
  b.write(0xe0001000, 1);
  b.write(0xe000e014, 0xffffff);
  b.write(0xe000e018, 0);
  b.write(0xe000e010, 5);
  b.pass(80'000);
  EXPECT_EQ(b.read(0xe0001004), 2000u);
  EXPECT_EQ(b.read(0xe0001004), 0x1000000 - b.read(0xe000e018));
  b.write(0xe000edfc, 0);
  b.pass(80'000);
  EXPECT_EQ(b.read(0xe0001004), 2000u) << "it stands still";
  b.write(0xe000edfc, 1 << 24);
  b.write(0xe0001004, 5);
  b.write(0xe0001000, 0);
  b.pass(80'000);
  EXPECT_EQ(b.read(0xe0001004), 5u);
  EXPECT_EQ(b.read(0xe0001000) >> 28, 4u);
  b.write(0xe0001028, 5);
  EXPECT_EQ(b.read(0xe0001028), 5u);
}

TEST(Nvic, PrioritiesHaveTheBitsOfTheChip) {
  const std::pair<const char*, u32> chips[] = {
      {"netduinoplus2", 0xf0}, {"lm3s6965evb", 0xe0}, {"mps2-an385", 0xff}};
  for (const auto& [name, kept] : chips) {
    Board b(name);
    Vcpu& vcpu = b.machine->vcpu(0);
    b.write(0xe000e400, 0xff, 1);
    EXPECT_EQ(b.read(0xe000e400, 1), kept) << name;
    b.write(0xe000ed23, 0xff, 1);
    EXPECT_EQ(b.read(0xe000ed23, 1), kept) << name;
    const auto rows = vcpu.arch().registers();
    for (unsigned row = 0; row < rows.size(); ++row) {
      if (std::string_view(rows[row].name) != "basepri") continue;
      EXPECT_TRUE(vcpu.arch().write_register(vcpu, row, 0xff));
      EXPECT_EQ(vcpu.arch().read_register(vcpu, row), kept) << name;
    }
  }
}

TEST(Itm, PortsAreOpenToAllUnlessTheirPrivilegeSaysOtherwise) {
  Board b("mps2-an385");
  Vcpu& vcpu = b.machine->vcpu(0);
  b.write(0xe000edfc, 1 << 24);
  b.write(0xe0000fb0, 0xc5acce55);
  b.write(0xe0000e00, ~u32{0});
  b.write(0xe0000e40, 2);  // ports 8 to 15
  b.write(0xe0000e80, 1);
  vcpu.state<arm::ArmState>().banks[0].control = arm::control::kNpriv;
  EXPECT_TRUE(vcpu.arch().translate(vcpu, 0xe0000000, 4, Access::Write).ok);
  EXPECT_TRUE(vcpu.arch().translate(vcpu, 0xe000007c, 4, Access::Read).ok);
  EXPECT_FALSE(vcpu.arch().translate(vcpu, 0xe0000e40, 4, Access::Write).ok);
  EXPECT_EQ(b.read(0xe000001c), 1u);
  EXPECT_EQ(b.read(0xe0000020), 0u);
  EXPECT_EQ(b.read(0xe0000040), 1u);
}

TEST(Itm, PrintsLinesForTheUser) {
  Board b("mps2-an385");
  b.write(0xe0000000, 'x', 1);
  EXPECT_EQ(b.read(0xe0000000), 0u) << "not enabled";
  b.write(0xe000edfc, 1 << 24);
  b.write(0xe0000fb0, 0xc5acce55);
  b.write(0xe0000e00, 3);
  b.write(0xe0000e80, 1);
  EXPECT_EQ(b.read(0xe0000000), 1u);
  for (const char c : std::string("hello\n")) b.write(0xe0000000, static_cast<u8>(c), 1);
  b.write(0xe0000004, 0x0a6b6f01);  // four bytes at once
  EXPECT_EQ(b.notes, (std::vector<std::string>{"itm0: hello", "itm1: \\x01ok"}));
}

TEST(Itm, PrintsOnTheSerialConsoleIfAsked) {
  Board b("mps2-an385", {{"itm", "serial"}});
  b.write(0xe000edfc, 1 << 24);
  b.write(0xe0000e00, 1);
  b.write(0xe0000e80, 1);
  b.write(0xe0000000, 'a', 1);
  EXPECT_EQ(b.port.outputs[0], "a");
  EXPECT_TRUE(b.notes.empty());
  EXPECT_THROW(Board("mps2-an385", {{"itm", "x"}}), Fatal);
  EXPECT_THROW(Board("mps2-an385", {{"else", "x"}}), Fatal);
}

TEST(DualTimer, InterruptsAndReloads) {
  Board b("mps2-an385");
  b.write(0x40002000, 250);
  b.write(0x40002008, 0xe2);  // on, periodic, interrupt, 32 bits
  b.pass(8'000);              // 200 clocks of 40 ns
  EXPECT_EQ(b.read(0x40002004), 50u);
  EXPECT_FALSE(b.pending(10));
  b.pass(4'000);
  EXPECT_TRUE(b.pending(10));
  EXPECT_EQ(b.read(0x40002014), 1u);
  EXPECT_EQ(b.read(0x40002004), 250u - 49);
  b.write(0x4000200c, 1);
  EXPECT_EQ(b.read(0x40002010), 0u);
  b.write(0x40002028, 0x83 | 4);  // the second: one shot, by 16
  b.write(0x40002020, 10);
  b.pass(6'400 + 80);
  EXPECT_EQ(b.read(0x40002024), 0u);
  b.pass(100'000);
  EXPECT_EQ(b.read(0x40002024), 0u);
  EXPECT_EQ(b.read(0x40002fe0), 0x23u);
}

TEST(Watchdog, InterruptsThenResets) {
  Board b("mps2-an385");
  b.write(0x20000200, 77);
  b.write(0x40008000, 100);
  b.write(0x40008008, 3);
  b.write(0x40008c00, 1);
  b.write(0x40008008, 0);
  EXPECT_EQ(b.read(0x40008008), 3u) << "locked";
  b.pass(4'080);
  EXPECT_EQ(b.read(0x40008010), 1u);
  EXPECT_EQ(b.read(0xe000ed04) & 0x1ff, 2u) << "NMI is taken";
  b.pass(4'080);
  EXPECT_EQ(b.read(0x40008008), 0u) << "reset";
}

TEST(Mps2, BoardRegisters) {
  Board b("mps2-an385");
  EXPECT_EQ(b.read(0x4002fffc), 0x41043850u);
  b.write(0x40028014, 0);
  b.pass(30'000'000);
  EXPECT_EQ(b.read(0x40028014), 3u) << "100 Hz";
  b.write(0x40010010, 0x0f);  // outputs
  b.write(0x40010004, 0xff);
  EXPECT_EQ(b.read(0x40010000), 0x0fu);
  b.write(0x40010400 + 4 * 3, 0);
  EXPECT_EQ(b.read(0x40010000), 0x0cu);
  EXPECT_EQ(b.read(0x4002000c), 3u);
}

TEST(Lan9118, IsFoundAndHasNoLink) {
  for (const auto& [board, base] :
       {std::pair{"mps2-an385", 0x40200000u}, std::pair{"mps2-an500", 0xa0000000u}}) {
    Board b(board);
    EXPECT_EQ(b.read(base + 0x64), 0x87654321u);
    EXPECT_EQ(b.read(base + 0x50) >> 16, 0x118u);
    b.write(base + 0x74, 1);
    EXPECT_EQ(b.read(base + 0x74) & 1, 0u);
    EXPECT_EQ(b.read(base + 0x84) & 1, 1u);
    b.write(base + 0xa4, 0xc0000003);
    EXPECT_EQ(b.read(base + 0xa4) >> 31, 0u);
    EXPECT_EQ(b.read(base + 0xa8), 0x12005452u);
    b.write(base + 0xa8, 1 << 11 | 2 << 6 | 1);  // PHY register 2
    b.write(base + 0xa4, 0x80000006);
    b.write(base + 0xa4, 0xc0000007);
    EXPECT_EQ(b.read(base + 0xa8), 0x0007u);
    b.write(base + 0xa8, 1 << 11 | 1 << 6 | 1);
    b.write(base + 0xa4, 0x80000006);
    b.write(base + 0xa4, 0xc0000007);
    EXPECT_EQ(b.read(base + 0xa8) & 4, 0u) << "no link";
  }
}

TEST(Stellaris, TimersInterrupt) {
  Board b("lm3s6965evb");
  b.write(0x40030000, 0);    // 32 bits
  b.write(0x40030004, 2);    // periodic
  b.write(0x40030028, 125);  // 10 microseconds
  b.write(0x40030018, 1);
  b.write(0x4003000c, 1);
  b.pass(10'080);
  EXPECT_EQ(b.read(0x40030020), 1u);
  EXPECT_TRUE(b.pending(19));
  b.write(0x40030024, 1);
  EXPECT_EQ(b.read(0x4003001c), 0u);
  b.write(0x40031000, 4);
  b.write(0x40031008, 1);  // B alone, once
  b.write(0x4003102c, 10);
  b.write(0x4003103c, 9);
  b.write(0x4003100c, 0x100);
  b.pass(8'080);
  EXPECT_EQ(b.read(0x4003101c), 0x100u);
  EXPECT_EQ(b.read(0x4003100c), 0u);
}

TEST(Stellaris, PinsAndSystemControl) {
  Board b("lm3s6965evb");
  b.write(0x40025400, 1);  // GPIO F0 is an output
  b.write(0x400253fc, 3);
  EXPECT_EQ(b.read(0x400253fc), 1u);
  EXPECT_EQ(b.read(0x40025000 + 4 * 2), 0u);
  b.write(0x40025400, 3);
  b.write(0x400253fc, 3);
  b.write(0x40025400, 1);
  EXPECT_EQ(b.read(0x400253fc), 1u) << "an input reads low";
  EXPECT_EQ(b.read(0x400fe050) & 0x40, 0x40u) << "the PLL is locked";
  EXPECT_EQ(b.read(0x400fe000), 0x10010002u);
  b.write(0x40048020, 1);
  EXPECT_EQ(b.read(0x40048020) & 1, 0u) << "an access to the PHY is over at once";
}

TEST(Stm32, TimersCountUp) {
  Board b("netduinoplus2");
  b.write(0x40000428, 83);  // TIM3: a microsecond a count
  b.write(0x4000042c, 999);
  b.write(0x40000414, 1);
  b.write(0x40000410, 0);
  b.write(0x4000040c, 1);
  b.write(0x40000400, 1);
  b.pass(250'080);
  EXPECT_EQ(b.read(0x40000424), 250u);
  EXPECT_EQ(b.read(0x40000410), 0u);
  b.pass(760'000);
  EXPECT_EQ(b.read(0x40000410) & 1, 1u);
  EXPECT_TRUE(b.pending(29));
  b.write(0x40000410, 0);
  EXPECT_EQ(b.read(0x40000410) & 1, 0u);
}

TEST(Stm32, BeginsAt0WhereTheFlashShowsAgain) {
  Board b("olimex-stm32-h405");
  EXPECT_EQ(b.read(0xe000ed08), 0u) << "VTOR";
  EXPECT_EQ(b.read(4), b.read(0x08000004));
  const u32 word = 0x12345678;
  EXPECT_TRUE(b.machine->memory().host_write(0x080ffffc, &word, 4));
  EXPECT_EQ(b.read(0xffffc), word);
}

TEST(Stm32, AChannelMatchesOncePerRound) {
  Board b("netduinoplus2");
  b.write(0x40000428, 83);  // TIM3: a microsecond a count
  b.write(0x4000042c, 999);
  b.write(0x40000414, 1);
  b.write(0x40000438, 300);   // channel 2
  b.write(0x40000440, 5000);  // channel 4: beyond the end
  b.write(0x4000041c, 1);     // channel 3 captures
  b.write(0x40000410, 0);
  b.write(0x4000040c, 4);
  b.write(0x40000400, 1);
  b.pass(299'000);
  EXPECT_EQ(b.read(0x40000410), 0u);
  EXPECT_FALSE(b.pending(29));
  b.pass(2'000);
  EXPECT_TRUE(b.pending(29)) << "at the match, with nobody looking";
  EXPECT_EQ(b.read(0x40000410), 4u);
  b.write(0x40000410, 0);
  b.take_back(29);
  EXPECT_FALSE(b.pending(29)) << "the count goes on from the match";
  b.pass(701'000);
  EXPECT_EQ(b.read(0x40000410), 0x13u) << "the end: update, channel 1 at 0, channel 4";
  EXPECT_FALSE(b.pending(29));
  b.pass(300'000);
  EXPECT_TRUE(b.pending(29)) << "the next round";
}

TEST(Stm32, ACompareValueWithPreloadWaitsForTheUpdate) {
  Board b("netduinoplus2");
  b.write(0x40000428, 83);
  b.write(0x4000042c, 999);
  b.write(0x40000418, 8);  // OC1PE
  b.write(0x40000434, 200);
  b.write(0x40000414, 1);
  b.write(0x40000410, 0);
  b.write(0x40000400, 1);
  b.write(0x40000434, 500);
  EXPECT_EQ(b.read(0x40000434), 500u);
  b.pass(250'000);
  EXPECT_EQ(b.read(0x40000410) & 2, 2u) << "at 200";
  b.write(0x40000410, 0);
  b.pass(300'000);
  EXPECT_EQ(b.read(0x40000410) & 2, 0u);
  b.pass(450'000 + 400'000);
  EXPECT_EQ(b.read(0x40000410) & 2, 0u) << "at 400 of the next round";
  b.pass(150'000);
  EXPECT_EQ(b.read(0x40000410) & 2, 2u) << "at 500";
}

TEST(Stm32, AdvancedTimersHaveALineForTheirChannels) {
  Board b("olimex-stm32-h405");
  b.write(0x40010028, 167);  // TIM1
  b.write(0x4001002c, 99);
  b.write(0x40010014, 1);
  b.write(0x40010010, 0);
  b.write(0x40010034, 50);
  b.write(0x4001000c, 3);
  b.write(0x40010000, 1);
  b.pass(60'000);
  EXPECT_TRUE(b.pending(27));
  EXPECT_FALSE(b.pending(25));
  b.pass(60'000);
  EXPECT_TRUE(b.pending(25));
}

TEST(Stm32, ABasicTimerHasNoChannels) {
  Board b("olimex-stm32-h405");
  b.write(0x4000102c, 9);  // TIM6
  b.write(0x40001000, 1);
  b.pass(10'000);
  EXPECT_EQ(b.read(0x40001010), 1u);
}

TEST(Stm32, ClocksAreReadyAndInterruptsComeFromSoftware) {
  Board b("olimex-stm32-h405");
  b.write(0x40023800, 1 << 16 | 1 << 24);
  EXPECT_EQ(b.read(0x40023800) & (1 << 17 | 1 << 25), 1u << 17 | 1u << 25);
  b.write(0x40023808, 2);
  EXPECT_EQ(b.read(0x40023808) & 0xf, 0xau);
  b.write(0x40013c00, 1 << 7);
  b.write(0x40013c10, 1 << 7);
  EXPECT_TRUE(b.pending(23));
  EXPECT_EQ(b.read(0x40013c14), 1u << 7);
  b.write(0x40013c14, 1 << 7);
  EXPECT_EQ(b.read(0x40013c14), 0u);
  b.write(0x40020000, 1 << 2);  // PA1 is an output
  b.write(0x40020018, 1 << 1);
  EXPECT_EQ(b.read(0x40020010), 2u);
  b.write(0x40020018, 1 << 17);
  EXPECT_EQ(b.read(0x40020010), 0u);
}

TEST(Stm32, RandomNumbersComeThroughTheDoor) {
  Board b("netduinoplus2");
  EXPECT_EQ(b.read(0x50060804), 0u);
  b.write(0x50060800, 4);
  EXPECT_EQ(b.read(0x50060804), 1u);
  EXPECT_EQ(b.read(0x50060808), 0x13121110u);
  EXPECT_EQ(b.port.answers[InputKind::Entropy], 1u);
}

TEST(UsersBoard, TreesAsZephyrsBuildsLeaveThem) {
  targets::register_all();
  std::ifstream in(HINDCAST_SOURCE_DIR "/tests/devices/zephyr_like.dts", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  Bytes image = {0x00, 0x10, 0x00, 0x20, 0x09, 0x80, 0x00, 0x00, 0xfe, 0xe7};
  MachineConfig config;
  config.machine = "board";
  config.files.push_back({"board", "zephyr_like.dts", kNever, Bytes(text.begin(), text.end())});
  config.files.push_back({"load", "program", 0x8000, image});
  EngineOptions engine;
  engine.jit = false;
  std::vector<std::string> notes;
  engine.note = [&](const std::string& line) { notes.push_back(line); };
  FakePort port;
  const auto machine = Registry::instance().build(config, engine, port);
  EXPECT_EQ(config.cpu, "cortex-m4");
  machine->run(2);
  EXPECT_EQ(machine->vcpu(0).pc(), 0x8008u) << "vectors lie where zephyr,flash says";
  AddressSpace& memory = machine->memory();
  u64 value = 0;
  memory.write(0xe000edfc, 4, 1 << 24);
  memory.write(0xe0001000, 4, 1);
  machine->run(machine->icount() + 100);
  ASSERT_TRUE(memory.read(0xe0001004, 4, &value));
  EXPECT_EQ(value, 80u) << "cycles of 10 ns";
  memory.write(0x50000518, 4, 1 << 3);  // direction
  memory.write(0x50000508, 4, 1 << 3);
  ASSERT_TRUE(memory.read(0x50000510, 4, &value));
  EXPECT_EQ(value, 1u << 3);
  memory.write(0x40021004, 4, 2);
  memory.read(0x40021004, 4, &value);
  EXPECT_EQ(value, 0xau);
  memory.read(0x10001014, 4, &value);
  EXPECT_EQ(value, 0xffffffffu);
  EXPECT_EQ(memory.name_at(0x40020410), "gpio1") << "in its controller, which has no model";
  EXPECT_EQ(memory.name_at(0x40023000).substr(0, 7), "unnamed") << "disabled: a stub like what no tree names";
  EXPECT_EQ(memory.name_at(0x5fffffff).substr(0, 7), "unnamed");
  EXPECT_FALSE(memory.read(0x60000000, 4, &value));
  EXPECT_TRUE(notes.empty());
  EXPECT_TRUE(memory.read(0xe0042004, 4, &value)) << "a maker's own registers on the private bus";
  ASSERT_EQ(notes.size(), 1u);
  notes.clear();
  memory.read(0x4001c004, 4, &value);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].find("/soc/pwm@4001c000 (test,pwm): no model; the guest reads 0"), 0u) << notes[0];
}

/// Values that several compares have are met by all of them at once: at zero, which a clock counts by, too.
TEST(Nrf51Timer, EqualComparesMatchTogether) {
  constexpr GuestAddr kTimer = 0x40009000;
  Board b("microbit");
  b.write(kTimer + 0x510, 4);  // a microsecond
  b.write(kTimer + 0x540, 100);
  b.write(kTimer + 0x548, 100);
  b.write(kTimer, 1);
  const auto events = [&] {
    u32 all = 0;
    for (unsigned i = 0; i < 4; ++i) {
      all |= b.read(kTimer + 0x140 + 4 * i) << i;
      b.write(kTimer + 0x140 + 4 * i, 0);
    }
    return all;
  };
  b.pass(90'000);
  EXPECT_EQ(events(), 0u);
  b.pass(20'000);
  EXPECT_EQ(events(), 0b0101u);
  b.pass(65'500'000);
  EXPECT_EQ(events(), 0b1010u) << "16 bits wrapped";
  b.pass(65'536'000);
  EXPECT_EQ(events(), 0b1111u);
}

/// An instruction of 256 ns takes four ticks and more: what comes due within it is not lost, and a period
/// keeps its length.
TEST(Nrf51Timer, MatchesWithinAnInstructionCount) {
  constexpr GuestAddr kTimer = 0x40008000;
  MachineConfig config = arm_config("microbit");
  config.icount_shift = 8;
  FakePort port;
  EngineOptions engine;
  engine.jit = false;
  const auto machine = Registry::instance().build(config, engine, port);
  const auto write = [&](u32 offset, u32 value) { machine->memory().write(kTimer + offset, 4, value); };
  write(0x510, 0);   // 62.5 ns
  write(0x508, 3);   // 32 bits
  write(0x540, 13);  // compare 0...
  write(0x200, 1);   // clears the counter
  write(0x000, 1);
  u64 matches = 0, counter = 0;
  for (unsigned n = 0; n < 1300; ++n) {
    machine->run(machine->icount() + 1);
    u64 event = 0;
    machine->memory().read(kTimer + 0x140, 4, &event);
    matches += event;
    write(0x140, 0);
  }
  constexpr u64 kTicks = 1300 * 256 * 16 / 1000;
  EXPECT_EQ(matches, kTicks / 13);
  write(0x44, 1);  // capture 1
  machine->memory().read(kTimer + 0x544, 4, &counter);
  EXPECT_EQ(counter, kTicks % 13);
}

}  // namespace
}  // namespace hindcast::test
