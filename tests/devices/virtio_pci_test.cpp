// The PCI host bridge, and the virtio disk behind it.
#include "targets/devices/virtio/pci.h"

#include <random>

#include "targets/devices/model_registry.h"
#include "targets/devices/virtio/block.h"
#include "tests/devices/virtio_fixture.h"

namespace hindcast::test {
namespace {

using devices::virtio::PciTransport;
constexpr GuestAddr kEcam = 0x30000000, kWindow = 0x40000000, kHighWindow = 0x400000000, kPorts = 0x3000000;
constexpr GuestAddr kBar = kWindow + 0x10000;
constexpr unsigned kFirstLine = 32;

class VirtioPci : public VirtioTest {
 protected:
  static constexpr u64 kSize = 64 * 1024;

  MachineConfig with_pci(unsigned drives) {
    MachineConfig c = config();
    c.machine_options["virtio"] = "pci";
    c.machine_options["rng"] = "on";
    for (unsigned i = 0; i < drives; ++i) {
      port.drives.emplace_back(kSize, static_cast<u8>(0x50 + i));
      c.drives.push_back({"disk.img", kSize, false, false});
    }
    return c;
  }
  void SetUp() override { build(with_pci(1)); }
  GuestAddr slot(unsigned n) { return kEcam + (n << 15); }
  void map(unsigned n, GuestAddr at) {
    write(slot(n) + 0x20, static_cast<u32>(at));
    write(slot(n) + 0x24, at >> 32);
    write(slot(n) + 4, 6, 2);
  }
  /// A capability by virtio's type; 0: there is none.
  GuestAddr capability(unsigned n, u8 type) {
    for (u64 at = read(slot(n) + 0x34, 1); at != 0; at = read(slot(n) + at + 1, 1))
      if (read(slot(n) + at, 1) == 9 && read(slot(n) + at + 3, 1) == type) return slot(n) + at;
    return 0;
  }
  /// Brings the device at `bar` up, with queue 0.
  void start_device(GuestAddr bar) {
    write(bar + 0x14, 0, 1);
    write(bar + 0x14, 3, 1);
    write(bar + 8, 1);
    write(bar + 0xc, 1);
    write(bar + 0x14, 11, 1);
    ASSERT_EQ(read(bar + 0x14, 1), 11u);
    const Bytes zeros(0x4000);
    ASSERT_TRUE(machine->memory().host_write(kRings, zeros.data(), zeros.size()));
    next_descriptor = next_avail = seen_used = 0;
    write(bar + 0x16, 0, 2);
    write(bar + 0x18, kRingSize, 2);
    write(bar + 0x20, desc, 8);
    write(bar + 0x28, static_cast<u32>(avail));
    write(bar + 0x2c, avail >> 32);
    write(bar + 0x30, used, 8);
    write(bar + 0x1c, 1, 2);
    write(bar + 0x14, 15, 1);
  }
};

TEST_F(VirtioPci, TheBusIsEnumerated) {
  EXPECT_EQ(read(slot(0)), 0x00081b36u);
  EXPECT_EQ(read(slot(0) + 8), 0x06000000u);
  EXPECT_EQ(read(slot(1)), 0x10421af4u);
  EXPECT_EQ(read(slot(1) + 8), 0x01000001u);
  EXPECT_EQ(read(slot(2)), 0x10441af4u);
  EXPECT_EQ(read(slot(3)), 0xffffffffu);
  EXPECT_EQ(read(slot(1) + 0x1000), 0xffffffffu);   // function 1
  EXPECT_EQ(read(kEcam + (1 << 20)), 0xffffffffu);  // bus 1
  EXPECT_EQ(read(kEcam + 0xfffffff, 1), 0xffu);     // the last of the space
  EXPECT_EQ(read(slot(1) + 0x100), 0u);             // no extended capabilities
  EXPECT_EQ(read(slot(1), 8), 0x0000000010421af4u | u64{read(slot(1) + 4)} << 32);
  write(slot(1), 0x12345678);
  EXPECT_EQ(read(slot(1)), 0x10421af4u);
  EXPECT_EQ(read(slot(1) + 0x3d, 1), 1u);
  write(slot(1) + 0x3c, 0x55, 1);
  EXPECT_EQ(read(slot(1) + 0x3c, 2), 0x155u);
  // The range's size, as it is asked for.
  write(slot(1) + 0x20, 0xffffffff);
  write(slot(1) + 0x24, 0xffffffff);
  EXPECT_EQ(read(slot(1) + 0x20), 0xffffc00cu);
  EXPECT_EQ(read(slot(1) + 0x24), 0xffffffffu);
  EXPECT_EQ(read(kVirtio + 8), 0u);  // nothing is behind MMIO
}

TEST_F(VirtioPci, CapabilitiesSayWhereThingsAre) {
  const u64 places[][2] = {{1, PciTransport::kCommon},
                           {3, PciTransport::kIsr},
                           {4, PciTransport::kConfig},
                           {2, PciTransport::kNotify}};
  for (auto [type, offset] : places) {
    const GuestAddr at = capability(1, static_cast<u8>(type));
    ASSERT_NE(at, 0u) << type;
    EXPECT_EQ(read(at + 4, 1), PciTransport::kBar);
    EXPECT_EQ(read(at + 8), offset);
  }
  EXPECT_EQ(read(capability(1, 2) + 16), PciTransport::kNotifyStep);
  EXPECT_NE(capability(1, 5), 0u);
}

TEST_F(VirtioPci, RangesAreWhereTheyArePut) {
  EXPECT_EQ(read(kBar + 0x2000), 0xffffffffu);
  map(1, kBar);
  EXPECT_EQ(read(kBar + 0x2000, 8), kSize / 512);
  EXPECT_EQ(read(kBar + 0x4000), 0xffffffffu);
  EXPECT_EQ(read(kBar + 0x12, 2), 1u);
  map(1, kHighWindow);
  EXPECT_EQ(read(kBar + 0x2000), 0xffffffffu);
  EXPECT_EQ(read(kHighWindow + 0x2000, 8), kSize / 512);
  write(slot(1) + 4, 0, 2);  // memory space off
  EXPECT_EQ(read(kHighWindow + 0x2000, 4), 0xffffffffu);
  EXPECT_EQ(read(kPorts, 1), 0xffu);
}

TEST_F(VirtioPci, ReadsTheDisk) {
  map(1, kBar);
  start_device(kBar);
  write(kData, 0, 8);
  write(kData + 8, 2, 8);
  make_available(chain({{kData, 16}, {kData + 0x1000, 512, true}, {kData + 0x100, 1, true}}));
  write(kBar + 0x3000, 0, 2);
  pass(devices::virtio::BlockDevice::kLatency + 512);
  EXPECT_EQ(take_used(), (std::pair<u32, u32>{0, 513}));
  EXPECT_EQ(fetch(kData + 0x1000, 512), Bytes(512, 0x50));
  EXPECT_TRUE(source_level(kFirstLine + 1));
  EXPECT_EQ(read(slot(1) + 6, 2) & 8, 8u);
  write(slot(1) + 4, 0x406, 2);  // INTx off
  EXPECT_FALSE(source_level(kFirstLine + 1));
  write(slot(1) + 4, 6, 2);
  EXPECT_TRUE(source_level(kFirstLine + 1));
  EXPECT_EQ(read(kBar + 0x1000, 1), 1u);  // reading it takes the interrupt back
  EXPECT_EQ(read(kBar + 0x1000, 1), 0u);
  EXPECT_FALSE(source_level(kFirstLine + 1));
}

TEST_F(VirtioPci, HasNetworks) {
  port.drives.clear();
  MachineConfig c = with_pci(1);
  for (u8 i = 0; i < 2; ++i) c.networks.push_back({{0x52, 0x54, 0, 0x12, 0x34, static_cast<u8>(0x56 + i)}});
  build(c);  // the disk, the adapters, entropy
  EXPECT_EQ(read(slot(2)), 0x10411af4u);
  EXPECT_EQ(read(slot(3)), 0x10411af4u);
  map(2, kBar);
  map(3, kBar + 0x10000);
  EXPECT_EQ(read(kBar + 0x2000 + 5, 1), 0x56u);
  EXPECT_EQ(read(kBar + 0x12000 + 5, 1), 0x57u);
  start_device(kBar + 0x10000);
  InputSink& wire = *port.sinks.at(devices::kNetworkChannels + 1).second;
  EXPECT_EQ(wire.receivable(), 0u) << "there is no buffer";
  make_available(chain({{kData, 1526, true}}));
  ASSERT_GE(wire.receivable(), 60u);
  wire.receive(InputKind::Network, Bytes(60, 7));
  EXPECT_EQ(take_used().second, 72u);
  EXPECT_EQ(fetch(kData + 12, 60), Bytes(60, 7));
}

TEST_F(VirtioPci, LinesAreSharedByEveryFourthSlot) {
  port.drives.clear();
  build(with_pci(5));  // slots 1 to 5; entropy in 6
  map(6, kBar);
  start_device(kBar);
  make_available(chain({{kData, 4, true}}));
  write(kBar + 0x3000, 0, 2);
  EXPECT_TRUE(source_level(kFirstLine + 2));
  EXPECT_FALSE(source_level(kFirstLine + 1));
  map(2, kBar + 0x10000);
  start_device(kBar + 0x10000);
  make_available(kRingSize);  // breaks it: a configuration interrupt, on the same line
  write(kBar + 0x13000, 0, 2);
  EXPECT_EQ(read(kBar + 0x1000, 1), 1u);
  EXPECT_TRUE(source_level(kFirstLine + 2));
  EXPECT_EQ(read(kBar + 0x11000, 1), 2u);
  EXPECT_FALSE(source_level(kFirstLine + 2));
}

TEST_F(VirtioPci, ReachesMemoryOnlyAsABusMaster) {
  map(2, kBar);  // entropy
  write(slot(2) + 4, 2, 2);
  start_device(kBar);
  make_available(chain({{kData, 4, true}}));
  write(kBar + 0x3000, 0, 2);
  pass(1'000'000);
  EXPECT_EQ(used_index(), 0);
  EXPECT_EQ(read(kData), 0u);
  Bytes held = save();
  write(slot(2) + 4, 6, 2);  // goes on by itself
  EXPECT_EQ(take_used().second, 4u);
  LoadArchive ar(held);
  machine->state(ar);
  write(used + 2, 0, 2);
  write(kBar + 0x3000, 0, 2);
  EXPECT_EQ(used_index(), 0) << "the state that was loaded is that of one held back";
  machine->reset();
  map(2, kBar);
  EXPECT_EQ(read(kBar + 0x14, 1), 0u);
  // The disk, in the middle of a request.
  map(1, kBar);
  start_device(kBar);
  put(kData, Bytes(1024));
  make_available(chain({{kData, 16}, {kData + 0x200, 512, true}, {kData + 0x100, 1, true}}));
  write(kBar + 0x3000, 0, 2);
  write(slot(1) + 4, 2, 2);
  pass(1'000'000);
  EXPECT_EQ(used_index(), 0);
  EXPECT_EQ(read(kData + 0x200), 0u);
  write(slot(1) + 4, 6, 2);
  pass(0);
  EXPECT_EQ(take_used().second, 513u);
  EXPECT_EQ(read(kData + 0x200), 0x50505050u);
}

TEST_F(VirtioPci, TheAccessCapability) {
  const GuestAddr at = capability(1, 5);
  auto point = [&](u8 bar, u32 offset, u32 size) {
    write(at + 4, bar, 1);
    write(at + 8, offset);
    write(at + 12, size);
  };
  point(PciTransport::kBar, 0x14, 1);
  write(at + 16, 3);  // the status
  EXPECT_EQ(read(at + 16), 3u);
  point(PciTransport::kBar, 0x2000, 4);
  EXPECT_EQ(read(at + 16), kSize / 512);
  for (auto [bar, offset, size] : {std::tuple<u8, u32, u32>{0, 0x2000, 4},
                                   {PciTransport::kBar, 0x3ffe, 4},
                                   {PciTransport::kBar, 0xfffffffc, 4},
                                   {PciTransport::kBar, 0x2000, 3},
                                   {PciTransport::kBar, 0x2000, 0}}) {
    point(bar, offset, size);
    EXPECT_EQ(read(at + 16), kSize / 512) << "what was there, untouched";
  }
}

TEST_F(VirtioPci, ItsStateIsSaved) {
  map(1, kBar);
  start_device(kBar);
  expect_state_survives([&] {
    map(1, kHighWindow);
    write(slot(1) + 0x3c, 7, 1);
    make_available(kRingSize);
    write(kHighWindow + 0x3000, 0, 2);
  });
  EXPECT_EQ(read(kBar + 0x14, 1), 15u);
}

TEST_F(VirtioPci, TheGuestFindsItInTheTree) {
  MachineConfig c = with_pci(1);
  c.cpu = "rv32";
  build(c);  // without the window that a 32-bit machine cannot reach
  EXPECT_EQ(read(slot(1)), 0x10421af4u);
  MachineConfig large = with_pci(1);
  large.memory_bytes = u64{20} << 30;  // RAM reaches into the usual place: the window is behind it
  build(large);
  map(1, u64{0x800000000});
  EXPECT_EQ(read(0x800002000, 8), kSize / 512);
  MachineConfig many = with_pci(40);
  EXPECT_NE(fatal_message([&] { build(many); }).find("32 slots"), std::string::npos);
}

TEST_F(VirtioPci, AnyAccessIsSurvived) {
  std::mt19937_64 random(7);
  map(1, kBar);
  map(2, kBar + 0x4000);
  for (unsigned i = 0; i < 200'000; ++i) {
    const unsigned size = 1u << random() % 4;
    const GuestAddr at = random() % 2 == 0 ? kBar + random() % 0x8000 / size * size
                                           : slot(random() % 4) + random() % 0x200 / size * size;
    u64 value = random() % 2 == 0 ? random() : kRings + random() % 0x10000;
    if (random() % 2 == 0)
      machine->memory().read(at, size, &value);
    else
      machine->memory().write(at, size, value);
    if (i % 1000 == 0) {
      pass(1000);
      map(1, kBar);
      map(2, kBar + 0x4000);
    }
  }
  machine->reset();
  EXPECT_EQ(read(slot(1)), 0x10421af4u);
}

}  // namespace
}  // namespace hindcast::test
