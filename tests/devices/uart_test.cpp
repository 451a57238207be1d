#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

constexpr u8 kDlab = 0x80, k8n1 = 0x03;

class Uart : public VirtTest {
 protected:
  void SetUp() override {
    build();
    get(5);
  }
  u8 get(unsigned n) { return static_cast<u8>(read(kUart + n, 1)); }
  void put(unsigned n, u8 value) { write(kUart + n, value, 1); }
  bool irq() { return source_level(kUartSource); }
};

TEST_F(Uart, SendsAtOnceAndIsAlwaysEmptyAgain) {
  for (char c : std::string("hello")) {
    EXPECT_EQ(get(5), 0x60);
    put(0, static_cast<u8>(c));
  }
  EXPECT_EQ(port.outputs[0], "hello");
  EXPECT_EQ(get(5), 0x60);
}

TEST_F(Uart, DivisorHidesDataAndInterruptEnable) {
  put(1, 0x05);
  put(3, kDlab | k8n1);
  put(0, 0x34);
  put(1, 0x12);
  EXPECT_EQ(get(0), 0x34);
  EXPECT_EQ(get(1), 0x12);
  put(3, k8n1);
  EXPECT_EQ(get(1), 0x05);
  EXPECT_EQ(get(3), k8n1);
  EXPECT_TRUE(port.outputs[0].empty());
}

TEST_F(Uart, TakesNothingBeforeTheGuestUsesIt) {
  machine->reset();
  EXPECT_EQ(port.type(0, "abc"), "abc");
  get(5);
  EXPECT_EQ(port.type(0, "abc"), "bc");
}

TEST_F(Uart, WantsNothingBeforeTheGuestLooksForInput) {
  machine->reset();
  InputSink* sink = port.sinks.at(0).second;
  put(2, 0x07);  // makes room for more
  const unsigned readies = port.readies[0];
  // Setting it up and sending, with a look at both transmitter bits for each byte.
  for (int round = 0; round < 2; ++round) {
    put(3, k8n1);
    put(2, 0x07);
    for (char c : std::string("hello")) {
      get(5);
      put(0, static_cast<u8>(c));
      get(5);
      EXPECT_EQ(sink->wanted(), 0u);
    }
    get(5);
    EXPECT_EQ(port.readies[0], readies + static_cast<unsigned>(round));
    // Once more can only be for input.
    get(5);
    EXPECT_EQ(sink->wanted(), 1u);
    EXPECT_EQ(port.readies[0], readies + static_cast<unsigned>(round) + 1);
    get(5);
    EXPECT_EQ(port.readies[0], readies + static_cast<unsigned>(round) + 1);
  }
  machine->reset();
  get(5);
  EXPECT_EQ(sink->wanted(), 0u);
  put(1, 0x01);
  EXPECT_EQ(sink->wanted(), 1u);
  EXPECT_EQ(port.readies[0], readies + 3);
}

TEST_F(Uart, WithoutFifoOneByteAtATimeAndNoneLost) {
  std::string left = port.type(0, "abc");
  EXPECT_EQ(left, "bc");
  EXPECT_EQ(port.type(0, left), "bc");
  std::string got;
  while (true) {
    if ((get(5) & 1) == 0) break;
    unsigned readies = port.readies[0];
    got += static_cast<char>(get(0));
    EXPECT_EQ(port.readies[0], readies + 1);  // told that there is room again
    left = port.type(0, left);
  }
  EXPECT_EQ(got, "abc");
  EXPECT_EQ(get(5) & 0x02, 0) << "overrun";
}

TEST_F(Uart, FifoTakesSixteen) {
  put(2, 0x07);
  std::string left = port.type(0, "0123456789abcdefXY");
  EXPECT_EQ(left, "XY");
  EXPECT_EQ(get(0), '0');
  EXPECT_EQ(port.type(0, left), "Y");
}

TEST_F(Uart, AsksForMoreWhenTheFifoIsEmpty) {
  put(2, 0x07);
  port.type(0, "abcdef");
  const unsigned readies = port.readies[0];
  for (int i = 0; i < 5; ++i) get(0);
  EXPECT_EQ(port.readies[0], readies);
  get(0);
  EXPECT_EQ(port.readies[0], readies + 1);
  get(0);  // nothing was there
  EXPECT_EQ(port.readies[0], readies + 1);
}

TEST_F(Uart, SwitchingTheFifoOrClearingItEmptiesIt) {
  put(2, 0x01);
  port.type(0, "abc");
  put(2, 0x03);
  EXPECT_EQ(get(5) & 1, 0);
  port.type(0, "abc");
  put(2, 0x00);
  EXPECT_EQ(get(5) & 1, 0);
  EXPECT_EQ(get(2) & 0xc0, 0);
  put(2, 0x01);
  EXPECT_EQ(get(2) & 0xc0, 0xc0);
  put(2, 0xc0);  // without the enable bit the others do not count, and the FIFO goes off
  EXPECT_EQ(get(2) & 0xc0, 0);
}

TEST_F(Uart, ReceiveInterruptAtTheTriggerLevel) {
  put(2, 0x41);  // four
  put(1, 0x01);
  port.type(0, "abc");
  EXPECT_FALSE(irq());
  EXPECT_EQ(get(2) & 15, 1);
  port.type(0, "d");
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(2) & 15, 4);
  EXPECT_TRUE(irq());  // reading IIR does not end it
  EXPECT_EQ(get(0), 'a');
  EXPECT_FALSE(irq());
}

TEST_F(Uart, TimeoutAfterFourCharacterTimes) {
  put(3, kDlab | k8n1);
  put(0, 2);  // 3686400 / 16 / 2 = 115200 baud
  put(3, k8n1);
  put(2, 0xc1);
  put(1, 0x01);
  port.type(0, "ab");
  constexpr VirtualNs kCharacter = 1'000'000'000ull * 10 / 115200;
  pass(4 * kCharacter - 1000);
  EXPECT_FALSE(irq());
  pass(2000);
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(2) & 15, 12);
  EXPECT_EQ(get(0), 'a');
  EXPECT_FALSE(irq());
  pass(5 * kCharacter);
  EXPECT_TRUE(irq()) << "the other byte times out as well";
  EXPECT_EQ(get(0), 'b');
  pass(5 * kCharacter);
  EXPECT_FALSE(irq());
}

TEST_F(Uart, TransmitterInterruptIsToldOnce) {
  EXPECT_FALSE(irq());
  put(1, 0x02);
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(2) & 15, 2);
  EXPECT_FALSE(irq());
  EXPECT_EQ(get(2) & 15, 1);
  put(0, 'x');
  EXPECT_TRUE(irq());
  put(1, 0x00);
  EXPECT_FALSE(irq());
}

TEST_F(Uart, InterruptsByPriority) {
  put(1, 0x0f);
  put(2, 0x01);
  put(4, 0x10);                                                   // loop-back: modem inputs change
  for (int i = 0; i < 17; ++i) put(0, static_cast<u8>('a' + i));  // one too many
  EXPECT_EQ(get(2) & 15, 6);
  EXPECT_EQ(get(5) & 0x03, 0x03);  // overrun, data ready
  EXPECT_EQ(get(5) & 0x02, 0);     // reading it clears the error
  EXPECT_EQ(get(2) & 15, 4);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(get(0), 'a' + i);
  EXPECT_EQ(get(2) & 15, 2);
  EXPECT_EQ(get(2) & 15, 0);
  EXPECT_NE(get(6) & 15, 0);
  EXPECT_EQ(get(2) & 15, 1);
  EXPECT_TRUE(port.outputs[0].empty()) << "loop-back must not send";
}

TEST_F(Uart, LoopbackConnectsModemLinesAndDisconnectsTheLineIn) {
  put(4, 0x10);
  EXPECT_EQ(port.type(0, "a"), "a");
  for (u8 mcr = 0; mcr < 16; ++mcr) {
    put(4, 0x10 | mcr);
    u8 expected = static_cast<u8>((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4);
    EXPECT_EQ(get(6) & 0xf0, expected) << int{mcr};
  }
  EXPECT_EQ(get(6) & 15, 0);
  put(4, 0x10);
  EXPECT_EQ(get(6) & 15, 0x0f) << "CTS, DSR, DCD changed and RI ended";
  unsigned readies = port.readies[0];
  put(4, 0x00);
  EXPECT_EQ(port.readies[0], readies + 1);
  EXPECT_EQ(get(6) & 0xf0, 0xb0);
  EXPECT_EQ(port.type(0, "a"), "");
}

TEST_F(Uart, ScratchAndUnmappedRegisters) {
  put(7, 0x5a);
  EXPECT_EQ(get(7), 0x5a);
  EXPECT_EQ(read(kUart + 8, 4), 0u);
  write(kUart + 8, 1);
}

TEST_F(Uart, StateSurvives) {
  put(2, 0x41);
  put(1, 0x03);
  put(3, 0x1b);
  port.type(0, "abcde");
  expect_state_survives([&] {
    get(0);
    put(1, 0);
    put(7, 99);
    machine->reset();
  });
  EXPECT_EQ(get(0), 'a');
  EXPECT_TRUE(irq());
}

TEST_F(Uart, WhoPollsIsGivenOneByteAtATime) {
  InputSink* sink = port.sinks.at(0).second;
  put(2, 0x41);
  for (int i = 0; i < 3; ++i) get(5);
  EXPECT_EQ(sink->wanted(), 1u);
  port.type(0, "a");
  EXPECT_EQ(sink->wanted(), 0u);
  EXPECT_EQ(sink->receivable(), 15u);
  put(1, 0x01);  // no longer polling
  EXPECT_EQ(sink->wanted(), 15u);
  put(1, 0x00);
  get(0);
  EXPECT_EQ(sink->wanted(), 1u);
}

TEST_F(Uart, MoreInputThanRoomIsRefused) {
  auto [kind, sink] = port.sinks.at(0);
  EXPECT_EQ(kind, InputKind::Serial);
  Bytes many(2, 'x');
  EXPECT_NE(fatal_message([&] { sink->receive(InputKind::Serial, many); }), "");
}

}  // namespace
}  // namespace hindcast::test
