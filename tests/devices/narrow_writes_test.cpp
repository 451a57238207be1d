// Bytes and halfwords written to registers of words: what comes of them depends on the bus.
#include "targets/devices/word_registers.h"
#include "tests/devices/arm_board.h"

namespace hindcast::test {
namespace {

using devices::NarrowWrites;

/// One register at 4, and how often it was read and written.
class One final : public devices::WordRegisters {
 public:
  explicit One(NarrowWrites narrow) : WordRegisters(narrow) {}
  u32 after(u64 offset, unsigned size, u64 value_written) {
    value = 0x11223344;
    mmio_write(offset, size, value_written);
    return value;
  }
  u32 value = 0;
  unsigned reads = 0;

 private:
  u32 read_word(u32 at) override {
    ++reads;
    return at == 4 ? value : 0;
  }
  void write_word(u32 at, u32 v) override {
    if (at == 4) value = v;
  }
  u32 unwritten(u32 at) const override { return at == 4 ? value : 0; }
};

TEST(WordRegisters, NarrowWritesAsTheBusHasThem) {
  One whole(NarrowWrites::Whole), repeat(NarrowWrites::Repeat), merge(NarrowWrites::Merge),
      ignore(NarrowWrites::Ignore);
  EXPECT_EQ(whole.after(4, 1, 0x5a), 0x5au);
  EXPECT_EQ(whole.after(5, 1, 0x5a), 0x11223344u);
  EXPECT_EQ(whole.after(4, 2, 0xabcd), 0xabcdu);
  EXPECT_EQ(repeat.after(5, 1, 0x5a), 0x5a5a5a5au);
  EXPECT_EQ(repeat.after(6, 2, 0xabcd), 0xabcdabcdu);
  EXPECT_EQ(merge.after(5, 1, 0xff5a), 0x11225a44u);
  EXPECT_EQ(merge.after(6, 2, 0xabcd), 0xabcd3344u);
  EXPECT_EQ(ignore.after(4, 2, 0xabcd), 0x11223344u);
  for (One* one : {&whole, &repeat, &merge, &ignore}) {
    EXPECT_EQ(one->after(4, 4, 0x12345678), 0x12345678u);
    EXPECT_EQ(one->after(0, 8, 0xabcdef0112345678), 0xabcdef01u);
    one->value = 0x11223344;
    one->reads = 0;
    EXPECT_EQ(one->mmio_read(5, 1), 0x33u);
    EXPECT_EQ(one->mmio_read(6, 2), 0x1122u);
    EXPECT_EQ(one->reads, 2u) << "reading may have side effects: once";
    EXPECT_EQ(one->mmio_read(0, 8), u64{0x11223344} << 32);
  }
}

/// Whether the register has the value after a byte was written to its second byte.
void expect_byte(const char* board, GuestAddr at, u32 before, u32 after) {
  SCOPED_TRACE(testing::Message() << board << " 0x" << std::hex << at);
  Board b(board);
  b.write(at, before);
  ASSERT_EQ(b.read(at), before);
  b.write(at + 1, 0x5a, 1);
  EXPECT_EQ(b.read(at), after);
}

TEST(NarrowWrites, DevicesWithByteLanesMerge) {
  expect_byte("mps2-an385", 0x40010004, 0x1234, 0x5a34);             // pins: output
  expect_byte("netduinoplus2", 0x40020014, 0x1234, 0x5a34);          // pins: output
  expect_byte("netduinoplus2", 0x40023830, 0x00110022, 0x00115a22);  // clocks of the AHB
  expect_byte("mps2-an505", 0x58007018, 3, 3);  // protection controller: beyond the last block
}

TEST(NarrowWrites, SetAndClearTakeOnlyTheirBytes) {
  Board b("mps2-an385");
  b.write(0x40010010, 0x00ff);  // outputs on
  b.write(0x40010011, 0x01, 1);
  EXPECT_EQ(b.read(0x40010010), 0x01ffu);
  b.write(0x40010015, 0x01, 1);  // and off
  EXPECT_EQ(b.read(0x40010010), 0x00ffu);
}

TEST(NarrowWrites, DevicesOfTheApbHaveNoLanes) {
  for (const GuestAddr at : {0x40000008u, 0x40002000u, 0x40008000u, 0x4002801cu, 0x4002f0a4u})
    expect_byte("mps2-an385", at, 0xabcdef01, 0xabcdef01);
  expect_byte("mps2-an385", 0x40004010, 0x11111, 0x11111);
  expect_byte("lm3s6965evb", 0x40030028, 0xabcdef01, 0xabcdef01);
  expect_byte("lm3s6965evb", 0x4000c024, 0xabcd, 0xabcd);
  expect_byte("microbit", 0x40008540, 0xef01, 0xef01);
  expect_byte("netduinoplus2", 0x40000c2c, 0xabcd, 0x5a5a5a5a);  // ST's bridge repeats the byte
  expect_byte("netduinoplus2", 0x40011008, 0xabcd, 0x5a5a);
}

TEST(NarrowWrites, ControlOfTheSubsystemTakesWords) {
  expect_byte("mps2-an505", 0x50080084, 0x21, 0x21);
  expect_byte("mps2-an505", 0x5002110c, 0x1234, 0x1234);
}

}  // namespace
}  // namespace hindcast::test
