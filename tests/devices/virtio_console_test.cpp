// A virtio console, behind MMIO and on the PCI bus, as a driver and whoever types use it.
#include "targets/devices/virtio/console.h"

#include "engine/input_port.h"
#include "tests/devices/virtio_fixture.h"

namespace hindcast::test {
namespace {

using devices::virtio::ConsoleDevice;
constexpr u64 kModern = VirtioDevice::kVersion1, kEmergency = u64{1} << 2;
constexpr u32 kReceive = 0, kSend = 1;
constexpr unsigned kSource = 1;

class VirtioConsole : public VirtioTest {
 protected:
  void SetUp() override {
    MachineConfig c = config();
    c.machine_options["console"] = "on";
    build(c);
  }
  /// With one queue that works: the fixture's.
  void start_queue(u32 queue) {
    ASSERT_TRUE(negotiate(kModern));
    next_descriptor = next_avail = seen_used = 0;
    const Bytes zeros(0x4000);
    ASSERT_TRUE(machine->memory().host_write(kRings, zeros.data(), zeros.size()));
    set_queue(queue);
    set(0x70, 1 | 2 | 8 | 4);
  }
  void print(const std::vector<Part>& parts) {
    make_available(chain(parts));
    ring(kSend);
  }
  std::string printed() { return std::exchange(port.outputs[kConsoleChannel], {}); }
  InputSink& keyboard() { return *port.sinks.at(kConsoleChannel).second; }
  bool broken() { return (status() & VirtioDevice::kNeedsReset) != 0; }
  std::string text(GuestAddr at, std::size_t size) {
    const Bytes bytes = fetch(at, size);
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(VirtioConsole, IsFoundAndPrintsBeforeItIsSetUp) {
  EXPECT_EQ(get(0x08), 3u);
  EXPECT_EQ(offered() & 7, kEmergency);
  set(0x108, 'a');
  write(place + 0x108, 'b', 1);
  set(0x104, 'c');  // the number of ports is not the driver's
  EXPECT_EQ(printed(), "ab");
}

TEST_F(VirtioConsole, Prints) {
  start_queue(kSend);
  put(kData, {'o', 'n', 'e', 't', 'w', 'o'});
  print({{kData, 3}, {kData + 4, 2}});
  EXPECT_EQ(printed(), "onewo");
  EXPECT_EQ(take_used(), (std::pair<u32, u32>{0, 0}));
  EXPECT_TRUE(source_level(kSource));
}

TEST_F(VirtioConsole, MuchIsPrintedInPortions) {
  constexpr u64 kPortion = ConsoleDevice::kPortion;
  start_queue(kSend);
  Bytes much(kPortion * 2 + 100);
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<u8>(i % 251);
  put(kData, much);
  print({{kData, kPortion + 5}, {kData + kPortion + 5, kPortion + 95}});
  EXPECT_EQ(port.outputs[kConsoleChannel].size(), kPortion);
  ring(kSend);
  EXPECT_EQ(port.outputs[kConsoleChannel].size(), kPortion) << "a bell is no reason to hurry";
  EXPECT_EQ(used_index(), 0);
  const Bytes middle = save();
  pass(ConsoleDevice::kPause);
  EXPECT_EQ(port.outputs[kConsoleChannel].size(), 2 * kPortion);
  expect_state_survives([&] { pass(ConsoleDevice::kPause); });
  LoadArchive ar(middle);
  machine->state(ar);
  port.outputs[kConsoleChannel].resize(kPortion);
  write(used + 2, 0, 2);
  for (int i = 0; i < 2; ++i) pass(ConsoleDevice::kPause);
  EXPECT_EQ(printed(), std::string(much.begin(), much.end()));
  EXPECT_EQ(used_index(), 1);
  EXPECT_FALSE(broken());
}

TEST_F(VirtioConsole, WhatIsTypedWaitsForBuffers) {
  EXPECT_EQ(keyboard().receivable(), 0u) << "nobody is there";
  start_queue(kReceive);
  EXPECT_EQ(keyboard().receivable(), ConsoleDevice::kFifoSize);
  EXPECT_EQ(keyboard().wanted(), 0u) << "there is no buffer";
  const unsigned before = port.readies[kConsoleChannel];
  make_available(chain({{kData, 3, true}, {kData + 0x100, 2, true}}));
  ring(kReceive);
  EXPECT_EQ(port.readies[kConsoleChannel], before + 1);
  EXPECT_EQ(keyboard().wanted(), ConsoleDevice::kFifoSize);
  EXPECT_EQ(port.type(kConsoleChannel, "seven+1"), "");
  EXPECT_EQ(take_used(), (std::pair<u32, u32>{0, 5}));
  EXPECT_EQ(text(kData, 3) + text(kData + 0x100, 2), "seven");
  EXPECT_EQ(keyboard().receivable(), ConsoleDevice::kFifoSize - 2);
  expect_state_survives([&] {
    make_available(chain({{kData, 100, true}}));
    ring(kReceive);
  });
  write(used + 2, 1, 2);
  ring(kReceive);
  EXPECT_EQ(take_used().second, 2u);
  EXPECT_EQ(text(kData, 2), "+1");
  EXPECT_EQ(port.type(kConsoleChannel, std::string(5000, 'x')).size(), 5000 - ConsoleDevice::kFifoSize);
  machine->reset();
  EXPECT_EQ(keyboard().receivable(), 0u);
  start_queue(kReceive);
  EXPECT_EQ(keyboard().receivable(), ConsoleDevice::kFifoSize) << "nothing is left of what was typed before";
}

TEST_F(VirtioConsole, NonsenseBreaksItAndNothingElse) {
  start_queue(kSend);
  print({{0x10000000, 10}});
  EXPECT_TRUE(broken());
  start_queue(kSend);
  print({{kData, 10, true}});  // nothing to print
  EXPECT_FALSE(broken());
  EXPECT_EQ(take_used().second, 0u);
  print({{kRam, 0xffffffff}});
  EXPECT_TRUE(broken());
  start_queue(kReceive);
  make_available(chain({{kData, 4}}));
  port.type(kConsoleChannel, "x");
  EXPECT_TRUE(broken());
  EXPECT_EQ(keyboard().receivable(), 0u);
  EXPECT_TRUE(printed().empty());
}

TEST_F(VirtioConsole, IsOnThePciBusToo) {
  MachineConfig c = config();
  c.machine_options["console"] = "on";
  c.machine_options["virtio"] = "pci";
  build(c);
  constexpr GuestAddr kSlot = 0x30008000, kBar = 0x40010000;
  EXPECT_EQ(read(kSlot), 0x10431af4u);
  EXPECT_EQ(read(kSlot + 8) >> 8, 0x078000u);
  write(kSlot + 0x20, kBar);
  write(kSlot + 4, 6, 2);
  write(kBar + 0x2008, '!');
  EXPECT_EQ(printed(), "!");
}

}  // namespace
}  // namespace hindcast::test
