// Bytes take their time on the way into the serial ports of Arm boards, however fast the host has them.
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

constexpr u64 kFrame = 86'806;  // ns, at 115200 baud

struct Port {
  const char* board;
  void (*open)(Board&);
  GuestAddr data;
};

const Port kPorts[] = {
    {"mps2-an385",
     [](Board& b) {
       b.write(0x40004010, 217);
       b.write(0x40004008, 3);
     },
     0x40004000},
    {"lm3s6965evb",
     [](Board& b) {
       b.write(0x4000c024, 6);
       b.write(0x4000c028, 50);
       b.write(0x4000c02c, 0x70);
       b.write(0x4000c030, 0x301);
     },
     0x4000c000},
    {"netduinoplus2",
     [](Board& b) {
       b.write(0x40011008, 364);
       b.write(0x4001100c, 0x200c);
     },
     0x40011004},
    {"microbit",
     [](Board& b) {
       b.write(0x40002524, 0x1d7e000);
       b.write(0x40002500, 4);
       b.write(0x40002000, 1);
     },
     0x40002518},
};

TEST(SerialWire, ABytePerFrame) {
  for (const Port& port : kPorts) {
    SCOPED_TRACE(port.board);
    Board b(port.board);
    port.open(b);
    b.pass(2 * kFrame);
    std::string left = "paste";
    left = b.port.type(0, left);
    EXPECT_EQ(left, "aste");
    b.pass(kFrame - 2000);
    EXPECT_EQ(b.port.type(0, left), "aste") << "the wire is busy";
    EXPECT_EQ(b.read(port.data), unsigned{'p'});
    EXPECT_EQ(b.port.type(0, left), "aste") << "so it is when the first has been taken";
    const unsigned before = b.port.readies[0];
    b.pass(4000);
    EXPECT_GT(b.port.readies[0], before) << "more is looked for when it falls idle";
    EXPECT_EQ(b.port.type(0, left), "ste");
    EXPECT_EQ(b.read(port.data), unsigned{'a'});
  }
}

TEST(SerialWire, NrfTellsOfEachByte) {
  constexpr GuestAddr kEvent = 0x40002108;
  Board b("microbit");
  b.write(0x40002524, 0x1d7e000);
  b.write(0x40002500, 4);
  b.write(0x40002000, 1);
  EXPECT_EQ(b.port.type(0, "ab"), "ab")
      << "what was typed before the receiver is on waits for as long as a byte takes";
  b.write(kEvent, 0);
  b.pass(kFrame + 1000);
  EXPECT_EQ(b.port.type(0, "ab"), "b");
  EXPECT_EQ(b.read(kEvent), 1u);
  // A driver that is not through with setting the port up takes the event away; the byte stays.
  b.write(kEvent, 0);
  b.pass(kFrame + 1000);
  EXPECT_EQ(b.port.type(0, "b"), "");
  EXPECT_EQ(b.read(kEvent), 1u) << "the next byte tells";
  b.write(kEvent, 0);
  EXPECT_EQ(b.read(0x40002518), unsigned{'a'});
  EXPECT_EQ(b.read(kEvent), 1u) << "and there is another";
  EXPECT_EQ(b.read(0x40002518), unsigned{'b'});
}

TEST(SerialWire, NoRateIsTooSlowOrTooFast) {
  Board b("microbit");
  b.write(0x40002524, 0);
  b.write(0x40002500, 4);
  b.write(0x40002000, 1);
  b.pass(10'001'000);
  EXPECT_EQ(b.port.type(0, "a"), "");
  b.write(0x40002524, 0xffffffff);
  b.pass(10'001'000);
  EXPECT_EQ(b.port.type(0, "b"), "");
  EXPECT_EQ(b.port.type(0, "c"), "c");
  b.pass(7'000);
  EXPECT_EQ(b.port.type(0, "c"), "");
}

/// TIM2 of the STM32F405, by 1 MHz.
TEST(Stm32Timer, OnePulse) {
  constexpr GuestAddr kTimer = 0x40000000, kDier = kTimer + 0xc, kSr = kTimer + 0x10, kEgr = kTimer + 0x14,
                      kCnt = kTimer + 0x24, kPsc = kTimer + 0x28, kArr = kTimer + 0x2c;
  Board b("netduinoplus2");
  b.write(kPsc, 83);
  b.write(kArr, 100);
  b.write(kEgr, 1);
  EXPECT_EQ(b.read(kSr), 1u);
  b.write(kSr, 0);
  b.write(kTimer, 8 | 4);
  b.write(kEgr, 1);
  EXPECT_EQ(b.read(kSr), 0u) << "URS: only overflows tell";
  b.write(kDier, 1);
  b.write(kTimer, 8 | 1);
  b.pass(50'000);
  EXPECT_EQ(b.read(kTimer), 9u);
  EXPECT_EQ(b.read(kSr), 0u);
  b.pass(60'000);
  EXPECT_EQ(b.read(kTimer), 8u) << "it has stopped";
  EXPECT_EQ(b.read(kSr), 1u);
  EXPECT_EQ(b.read(kCnt), 0u);
  EXPECT_TRUE(b.pending(28));
  b.write(kSr, 0);
  b.take_back(28);
  b.pass(500'000);
  EXPECT_EQ(b.read(kSr), 0u) << "and stays so";
  EXPECT_EQ(b.read(kCnt), 0u);
  EXPECT_FALSE(b.pending(28));
}

TEST(Stm32Timer, CausesAndWhoIsTold) {
  constexpr GuestAddr kTimer = 0x40000000, kDier = kTimer + 0xc, kSr = kTimer + 0x10, kEgr = kTimer + 0x14;
  Board b("netduinoplus2");
  b.write(kDier, 0xffffffff);
  EXPECT_EQ(b.read(kDier), 0x5f5fu);
  b.write(kDier, 1 << 2);
  b.write(kEgr, 1 << 1);
  EXPECT_EQ(b.read(kSr), 1u << 1);
  EXPECT_FALSE(b.pending(28));
  b.write(kEgr, 1 << 2 | 1 << 6);
  EXPECT_EQ(b.read(kSr), 1u << 1 | 1u << 2 | 1u << 6);
  EXPECT_TRUE(b.pending(28));
  b.write(kSr, ~(1u << 2));
  EXPECT_EQ(b.read(kSr), 1u << 1 | 1u << 6) << "zeros clear, ones leave";
  b.take_back(28);
  EXPECT_FALSE(b.pending(28));
}

/// As QEMU 7.2 has it: an eighth of 168 MHz, which is no whole number of its units.
TEST(Stm32Timer, SysTicksReferenceClock) {
  Board b("netduinoplus2");
  EXPECT_EQ(b.read(0xe000e01c), 0x4003344fu);
  Board mps("mps2-an385");
  EXPECT_EQ(mps.read(0xe000e01c), 0x270fu);
}

}  // namespace
}  // namespace hindcast::test
