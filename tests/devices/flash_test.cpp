#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

constexpr u32 both(u16 chip) { return u32{chip} * 0x10001; }
constexpr u64 kBlock = 256u << 10;

class Flash : public VirtTest {
 protected:
  void SetUp() override { build(); }
  void command(u64 offset, u16 code) { write(kFlash + offset, both(code)); }
  void erase(u64 offset) {
    command(offset, 0x20);
    command(offset, 0xd0);
    EXPECT_EQ(read(kFlash + offset), both(0x80));
    command(0, 0xff);
  }
  void program(u64 offset, u32 value) {
    command(offset, 0x40);
    write(kFlash + offset, value);
    EXPECT_EQ(read(kFlash + offset), both(0x80));
    command(0, 0xff);
  }
};

TEST_F(Flash, QueryStructure) {
  command(0x55 * 4, 0x98);
  auto at = [&](u64 index) { return static_cast<u32>(read(kFlash + 4 * index)); };
  EXPECT_EQ(at(0x10), both('Q'));
  EXPECT_EQ(at(0x11), both('R'));
  EXPECT_EQ(at(0x12), both('Y'));
  EXPECT_EQ(at(0x13), both(1));
  EXPECT_EQ(at(0x27), both(24));  // 16 MiB for each chip
  u32 blocks = (at(0x2d) & 0xff) + ((at(0x2e) & 0xff) << 8) + 1;
  u32 size = ((at(0x2f) & 0xff) + ((at(0x30) & 0xff) << 8)) * 256;
  EXPECT_EQ(blocks * size, 16u << 20);
  EXPECT_EQ(read(kFlash + 0x40, 2), 'Q');
  EXPECT_EQ(read(kFlash + 0x42, 1), 'Q');
  EXPECT_EQ(read(kFlash + 0x40, 8), both('Q') | u64{both('R')} << 32);
  command(0, 0xff);
  EXPECT_EQ(read(kFlash + 0x40), 0u);
}

TEST_F(Flash, Identifier) {
  command(0, 0x90);
  EXPECT_EQ(read(kFlash), both(0x89));
  EXPECT_EQ(read(kFlash + 4), both(0x18));
  EXPECT_EQ(read(kFlash + 8), 0u);
}

TEST_F(Flash, EraseSetsAndProgrammingClearsBits) {
  program(0x100, 0xffffffff);
  EXPECT_EQ(read(kFlash + 0x100), 0u);
  erase(kBlock + 8);
  EXPECT_EQ(read(kFlash + kBlock), 0xffffffffu);
  EXPECT_EQ(read(kFlash + 2 * kBlock - 4), 0xffffffffu);
  EXPECT_EQ(read(kFlash + kBlock - 4), 0u);
  EXPECT_EQ(read(kFlash + 2 * kBlock), 0u);
  program(kBlock, 0x12345678);
  program(kBlock, 0xffff0000);
  EXPECT_EQ(read(kFlash + kBlock), 0x12340000u);
}

TEST_F(Flash, BufferedProgram) {
  erase(0);
  command(0, 0xe8);
  EXPECT_EQ(read(kFlash), both(0x80));
  command(0, 3);  // four words
  for (u32 i = 0; i < 4; ++i) write(kFlash + 0x20 + 4 * i, 0x01010101 * (i + 1));
  command(0, 0xd0);
  EXPECT_EQ(read(kFlash), both(0x80));
  command(0, 0xff);
  for (u32 i = 0; i < 4; ++i) EXPECT_EQ(read(kFlash + 0x20 + 4 * i), 0x01010101 * (i + 1));
  EXPECT_EQ(read(kFlash + 0x1c), 0xffffffffu);
  EXPECT_EQ(read(kFlash + 0x30), 0xffffffffu);
}

TEST_F(Flash, WrongSequencesAreReportedAndChangeNothing) {
  erase(0);
  command(0, 0x20);
  command(0, 0x00);
  EXPECT_EQ(read(kFlash), both(0xb0));
  command(0, 0x50);
  EXPECT_EQ(read(kFlash), 0xffffffffu);
  command(0, 0xe8);
  command(0, 0xffff);  // more than the buffer holds
  EXPECT_EQ(read(kFlash), both(0xb0));
  command(0, 0x50);
  command(0, 0xe8);
  command(0, 1);
  write(kFlash, 0);
  write(kFlash + 0x10000, 0);  // outside the buffer's range
  EXPECT_EQ(read(kFlash), both(0xb0));
  command(0, 0x50);
  command(0, 0xe8);
  command(0, 0);
  write(kFlash, 0);
  command(0, 0xff);  // not confirmed
  EXPECT_EQ(read(kFlash), both(0xb0));
  command(0, 0xff);
  EXPECT_EQ(read(kFlash), 0xffffffffu);
  command(0, 0x77);  // no command at all
  EXPECT_EQ(read(kFlash), 0xffffffffu);
}

TEST_F(Flash, LockAndUnlockAreAccepted) {
  for (u16 second : {0x01, 0xd0}) {
    command(0, 0x60);
    command(0, second);
    EXPECT_EQ(read(kFlash), both(0x80));
  }
}

TEST_F(Flash, BanksAreApart) {
  command(0, 0x98);
  EXPECT_EQ(read(kFlash + 0x2000000), 0u);
  EXPECT_EQ(read(kFlash + 0x40), both('Q'));
}

TEST_F(Flash, ContentsSurviveAResetAndCommandModesDoNot) {
  erase(0);
  program(0, 0xcafe0001);
  command(0, 0x90);
  machine->reset();
  EXPECT_EQ(read(kFlash), 0xcafe0001u);
}

TEST_F(Flash, StateSurvivesInTheMiddleOfABufferedWrite) {
  erase(0);
  command(0, 0xe8);
  command(0, 1);
  write(kFlash + 8, 0x11223344);
  expect_state_survives([&] {
    write(kFlash + 12, 0);
    command(0, 0xff);
    command(0, 0xff);
  });
  write(kFlash + 12, 0x55667788);
  command(0, 0xd0);
  command(0, 0xff);
  EXPECT_EQ(read(kFlash + 8, 8), 0x55667788'11223344u);
}

TEST_F(Flash, HostileStateIsRefused) {
  command(0, 0xe8);
  command(0, 1);
  write(kFlash + 8, 0);
  Bytes state = save();
  // Every truncation, and every byte changed: refused, or loaded into something that still works.
  for (std::size_t at = 0; at < state.size(); at += 7) {
    Bytes bad = state;
    bad[at] ^= 0xff;
    fatal_message([&] {
      LoadArchive ar(bad);
      machine->state(ar);
      write(kFlash + 8, 1);
      write(kFlash + 12, 0xd0);
      read(kFlash);
      read(kUart + 5, 1);
    });
    fatal_message([&] {
      LoadArchive ar(ByteView(state).first(at));
      machine->state(ar);
    });
  }
}

}  // namespace
}  // namespace hindcast::test
