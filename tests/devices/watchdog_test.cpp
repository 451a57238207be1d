// Watchdogs of single-chip boards, what these say of resets, and what is there without a model.
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

constexpr u64 kMillisecond = 1'000'000;

TEST(Stm32Watchdog, ResetsUnlessItIsFed) {
  constexpr GuestAddr kDog = 0x40003000, kCsr = 0x40023874, kCanary = 0x40023830;
  constexpr u32 kPin = 1 << 26, kSoftware = 1 << 28, kBitten = 1 << 29;
  Board b("netduinoplus2");
  EXPECT_EQ(b.read(kCsr), 0x0e000000u) << "power-on";
  b.write(kCsr, 1 << 24);
  EXPECT_EQ(b.read(kCsr), 0u);
  b.write(kCanary, 0x55);
  b.write(kDog + 8, 9);
  EXPECT_EQ(b.read(kDog + 8), 0xfffu) << "locked";
  b.write(kDog, 0x5555);
  b.write(kDog + 8, 9);
  b.write(kDog + 4, 1);
  EXPECT_EQ(b.read(kDog + 8), 9u);
  b.write(kDog, 0xaaaa);
  b.pass(5 * kMillisecond);
  EXPECT_EQ(b.read(kCanary), 0x55u) << "not begun";
  b.write(kDog, 0xcccc);  // 10 times 8 clocks of 32 kHz
  for (int i = 0; i < 4; ++i) {
    b.pass(2 * kMillisecond);
    b.write(kDog, 0xaaaa);
  }
  EXPECT_EQ(b.read(kCanary), 0x55u);
  b.pass(3 * kMillisecond);
  EXPECT_EQ(b.read(kCanary), 0x00100000u);
  EXPECT_EQ(b.read(kCsr), kBitten | kPin);
  b.pass(5 * kMillisecond);
  b.write(kCanary, 0x55);
  b.write(0xe000ed0c, 0x05fa0004);
  b.pass(80);
  EXPECT_EQ(b.read(kCanary), 0x00100000u);
  EXPECT_EQ(b.read(kCsr), kBitten | kPin | kSoftware);
  b.write(kCsr, 1 << 24);
  b.write(kDog, 0x5555);
  b.write(kDog + 8, 0);
  b.write(kDog, 0xcccc);
  b.pass(kMillisecond);
  EXPECT_EQ(b.read(kCsr), 0u) << "begins with the most";
  b.write(kDog, 0xaaaa);
  b.pass(kMillisecond / 8 + 80);  // a clock of 8 kHz
  EXPECT_EQ(b.read(kCsr), kBitten | kPin);
}

TEST(NrfWatchdog, ResetsUnlessAllThatItAsksForFeedIt) {
  constexpr GuestAddr kDog = 0x40010000, kCauses = 0x40000400, kRetained = 0x4000051c;
  constexpr u32 kFood = 0x6e524635;
  Board b("microbit");
  EXPECT_EQ(b.read(kCauses), 0u);
  b.write(kRetained, 0x1aa);
  b.write(kDog + 0x504, 32);
  b.write(kDog + 0x508, 3);
  b.write(kDog, 1);
  b.write(kDog + 0x504, 1000);
  EXPECT_EQ(b.read(kDog + 0x504), 32u) << "begun";
  EXPECT_EQ(b.read(kDog + 0x400), 1u);
  for (int i = 0; i < 4; ++i) {
    b.pass(kMillisecond * 3 / 4);
    b.write(kDog + 0x600, kFood);
    EXPECT_EQ(b.read(kDog + 0x404), 2u);
    b.write(kDog + 0x604, kFood + 1);
    EXPECT_EQ(b.read(kDog + 0x404), 2u) << "not the word";
    b.write(kDog + 0x604, kFood);
    EXPECT_EQ(b.read(kDog + 0x404), 3u);
  }
  EXPECT_EQ(b.read(kDog + 0x100), 0u);
  b.pass(kMillisecond * 3 / 4);
  b.write(kDog + 0x600, kFood);
  b.pass(kMillisecond / 4 + 20'000);
  EXPECT_EQ(b.read(kDog + 0x100), 1u) << "two clocks before";
  b.pass(kMillisecond);
  EXPECT_EQ(b.read(kDog + 0x400), 0u) << "after the reset";
  EXPECT_EQ(b.read(kCauses), 2u);
  EXPECT_EQ(b.read(kRetained), 0u);
  b.write(kRetained, 0x1aa);
  b.write(kDog + 0x504, 32);
  b.write(kDog, 1);
  b.write(0xe000ed0c, 0x05fa0004);
  b.pass(80);
  EXPECT_EQ(b.read(kCauses), 6u);
  EXPECT_EQ(b.read(kRetained), 0xaau) << "for the boot loader";
  EXPECT_EQ(b.read(kDog + 0x400), 1u) << "a soft reset does not end it";
  b.write(kCauses, 2);
  EXPECT_EQ(b.read(kCauses), 4u);
  b.pass(2 * kMillisecond);
  EXPECT_EQ(b.read(kDog + 0x400), 0u);
  EXPECT_EQ(b.read(kCauses), 6u);
}

TEST(Stubs, AreWhereSoftwareForTheBoardLooks) {
  struct {
    const char* board;
    std::vector<GuestAddr> at;
  } const boards[] = {{"netduinoplus2", {0x40026000, 0x40002800, 0x40023000, 0x50000000, 0x40007400}},
                      {"lm3s6965evb", {0x40028000, 0x4002c000, 0x400fc000}},
                      {"microbit", {0x40005000, 0x40020000, 0x50001000}},
                      {"mps2-an385", {0x40003000, 0x41000000, 0x4002b000}},
                      {"mps2-an505", {0x40301000, 0x41000000, 0x40110000}},
                      {"mps3-an547", {0x48007000, 0x48102000}}};
  for (const auto& [board, at] : boards) {
    SCOPED_TRACE(board);
    Board b(board);
    for (const GuestAddr address : at) {
      b.write(address, 1);
      EXPECT_EQ(b.read(address), 0u);
    }
    EXPECT_EQ(b.notes.size(), 2 * at.size());
  }
}

TEST(Stm32Timers, AreAllThere) {
  Board b("netduinoplus2");
  const std::pair<GuestAddr, unsigned> timers[] = {{0x40001800, 43}, {0x40001c00, 44}, {0x40002000, 45},
                                                   {0x40010000, 25}, {0x40010400, 44}, {0x40014000, 24},
                                                   {0x40014400, 25}, {0x40014800, 26}};
  for (const auto& [at, irq] : timers) {
    b.write(at + 0x2c, 10);
    b.write(at + 0x0c, 1);
    b.write(at, 1);
    b.pass(kMillisecond / 100);
    EXPECT_TRUE(b.pending(irq)) << std::hex << at;
    b.write(at, 0);
    b.write(at + 0x10, 0);
    b.take_back(irq);
    EXPECT_FALSE(b.pending(irq));
  }
}

}  // namespace
}  // namespace hindcast::test
