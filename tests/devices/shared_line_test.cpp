// Several devices on one interrupt input.
#include "targets/devices/shared_line.h"

#include "tests/devices/arm_board.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

struct Input final : IrqSink {
  void set_irq(unsigned line, bool on) override { level = line == 7 ? on : level; }
  bool level = false;
};

TEST(SharedLine, IsHighWhileAnyoneDrivesIt) {
  Input input;
  devices::SharedLine line("wire0", IrqLine(&input, 7));
  const IrqLine a = line.add_wire(), b = line.add_wire();
  a.set(true);
  b.set(true);
  a.set(false);
  EXPECT_TRUE(input.level);
  b.set(false);
  EXPECT_FALSE(input.level);
  line.set_irq(9, true);
  EXPECT_FALSE(input.level) << "no such wire";
  b.set(true);
  SaveArchive save;
  line.state(save);
  const Bytes state = save.take();
  b.set(false);
  LoadArchive load(state);
  line.state(load);
  a.set(true);
  a.set(false);
  EXPECT_TRUE(input.level) << "the levels belong to the state";
}

using SharedInterrupt = VirtTest;

/// Two serial ports on one source of a PLIC.
TEST_F(SharedInterrupt, TwoDevicesOnOneSourceAreORed) {
  const Bytes small = small_board();
  std::string text(small.begin(), small.end());
  const auto put_in = [&](const std::string& before, const std::string& what) {
    const std::size_t at = text.find(before);
    ASSERT_NE(at, std::string::npos);
    text.insert(at, what);
  };
  put_in("serial@10010000 {", R"(plic: plic@c000000 {
      compatible = "sifive,plic-1.0.0";
      reg = <0xc000000 0x600000>;
      interrupts-extended = <&hart0 11>, <&hart0 9>;
      interrupt-controller;
      #interrupt-cells = <1>;
      riscv,ndev = <31>;
    };
    serial@10011000 {
      compatible = "ns16550a";
      reg = <0x10011000 0x1000>;
      reg-shift = <2>;
      clock-frequency = <16000000>;
      interrupts-extended = <&plic 10>;
    };
    )");
  put_in("reg = <0x10010000 0x1000>;", "interrupts-extended = <&plic 10>;\n");
  MachineConfig c = config();
  c.machine = "board";
  c.memory_bytes = 0;
  c.files.push_back({"board", "small_board.dts", kNever, Bytes(text.begin(), text.end())});
  build(c);
  constexpr GuestAddr kFirst = 0x10010000, kSecond = 0x10011000, kEnable = 4;
  EXPECT_FALSE(source_level(10));
  write(kFirst + kEnable, 2);  // an empty transmitter interrupts
  EXPECT_TRUE(source_level(10));
  write(kSecond + kEnable, 2);
  write(kSecond + kEnable, 0);
  EXPECT_TRUE(source_level(10)) << "the first still asks";
  write(kFirst + kEnable, 0);
  EXPECT_FALSE(source_level(10));
}

TEST(SharedLine, BoardsHaveThemWhereDevicesShareAnInput) {
  const auto shared = [](const char* name) {
    Board b(name);
    unsigned n = 0;
    for (const auto& device : b.machine->devices())
      n += dynamic_cast<devices::SharedLine*>(device.get()) != nullptr ? 1 : 0;
    return n;
  };
  EXPECT_EQ(shared("mps2-an505"), 1u) << "two watchdogs on the NMI";
  EXPECT_EQ(shared("mps2-an385"), 0u);
}

}  // namespace
}  // namespace hindcast::test
