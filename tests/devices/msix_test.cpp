// MSI-X of virtio devices on the PCI bus, up to the interrupt files of the harts.
#include "targets/devices/pci/msix.h"

#include "targets/devices/imsic.h"
#include "targets/devices/virtio/block.h"
#include "targets/devices/virtio/pci.h"
#include "tests/devices/virtio_fixture.h"

namespace hindcast::test {
namespace {

using devices::Imsic;
constexpr GuestAddr kEcam = 0x30000000, kWindow = 0x40000000, kBar = kWindow + 0x10000,
                    kTable = kWindow + 0x20000;
constexpr GuestAddr kPendingBits = kTable + 0x800, kFile = 0x28000000;
constexpr u16 kNone = 0xffff;

class MsixTest : public VirtioTest {
 protected:
  static constexpr u64 kSize = 64 * 1024;
  GuestAddr slot = kEcam + (1 << 15), control = 0;

  MachineConfig with_messages(const char* aia) {
    MachineConfig c = config();
    c.machine_options["virtio"] = "pci";
    c.machine_options["aia"] = aia;
    port.drives.emplace_back(kSize, u8{0x50});
    c.drives.push_back({"disk.img", kSize, false, false});
    return c;
  }
  GuestAddr capability(u8 id) {
    for (u64 at = read(slot + 0x34, 1); at != 0; at = read(slot + at + 1, 1))
      if (read(slot + at, 1) == id) return slot + at;
    return 0;
  }
  void SetUp() override {
    build(with_messages("aplic-imsic"));
    write(slot + 0x14, static_cast<u32>(kTable));
    write(slot + 0x20, static_cast<u32>(kBar));
    write(slot + 0x24, 0);
    write(slot + 4, 6, 2);
    const GuestAddr at = capability(0x11);
    ASSERT_NE(at, 0u);
    control = at + 2;
    files = machine->extension<Imsic>(Imsic::kSupervisorFiles);
    ASSERT_NE(files, nullptr);
  }
  void message(unsigned vector, GuestAddr address, u32 data, bool masked = false) {
    write(kTable + 16 * vector, address, 8);
    write(kTable + 16 * vector + 8, data);
    write(kTable + 16 * vector + 12, masked ? 1 : 0);
  }
  void switch_on(bool all_masked = false) { write(control, 0x8000 | (all_masked ? 0x4000 : 0), 2); }
  bool arrived(unsigned id) {
    const bool set = (files->read(0, 0x80 + id / 32, 32) >> (id % 32) & 1) != 0;
    files->write(0, 0x80 + id / 32, 32, 0);
    return set;
  }
  /// Brings the disk up with these vectors.
  void start_disk(u16 config_vector, u16 queue_vector) {
    write(kBar + 0x14, 0, 1);
    write(kBar + 0x14, 3, 1);
    write(kBar + 8, 1);
    write(kBar + 0xc, 1);
    write(kBar + 0x14, 11, 1);
    const Bytes zeros(0x4000);
    ASSERT_TRUE(machine->memory().host_write(kRings, zeros.data(), zeros.size()));
    next_descriptor = next_avail = seen_used = 0;
    write(kBar + 0x10, config_vector, 2);
    write(kBar + 0x16, 0, 2);
    write(kBar + 0x18, kRingSize, 2);
    write(kBar + 0x1a, queue_vector, 2);
    write(kBar + 0x20, desc, 8);
    write(kBar + 0x28, avail, 8);
    write(kBar + 0x30, used, 8);
    write(kBar + 0x1c, 1, 2);
    write(kBar + 0x14, 15, 1);
  }
  void read_a_sector() {
    write(kData, 0, 8);
    write(kData + 8, 0, 8);
    make_available(chain({{kData, 16}, {kData + 0x1000, 512, true}, {kData + 0x100, 1, true}}));
    write(kBar + 0x3000, 0, 2);
    pass(devices::virtio::BlockDevice::kLatency + 512);
    take_used();
  }
  Imsic* files = nullptr;
};

TEST_F(MsixTest, TheCapabilitySaysWhereTheTableIs) {
  EXPECT_EQ(read(control, 2), 1u) << "two vectors";
  EXPECT_EQ(read(control + 2), 1u);
  EXPECT_EQ(read(control + 6), 0x801u);
  write(control, 0xffff, 2);
  EXPECT_EQ(read(control, 2), 0xc001u);
  EXPECT_EQ(read(kTable + 12), 1u) << "masked at first";
  message(1, 0x123456789abc, 0xdeadbeef, true);
  EXPECT_EQ(read(kTable + 16, 8), 0x123456789abcu);
  EXPECT_EQ(read(kTable + 24), 0xdeadbeefu);
  write(kTable + 28, ~u32{0});
  EXPECT_EQ(read(kTable + 28), 1u);
  EXPECT_EQ(read(kTable + 32), 0u) << "no third";
  write(kTable + 32, 5);
  write(kPendingBits, 5);
  EXPECT_EQ(read(kPendingBits), 0u);
  write(kTable + 24, 7, 2);
  EXPECT_EQ(read(kTable + 24), 0xdeadbeefu) << "narrow writes are nothing";
}

TEST_F(MsixTest, AQueuesVectorReachesTheFile) {
  message(1, kFile, 42);
  switch_on();
  start_disk(0, 1);
  EXPECT_EQ(read(kBar + 0x1a, 2), 1u);
  read_a_sector();
  EXPECT_TRUE(arrived(42));
  EXPECT_EQ(read(kBar + 0x1000, 1), 0u) << "the ISR status is INTx's";
  EXPECT_EQ(read(slot + 6, 2) & 8, 0u);
}

TEST_F(MsixTest, MaskedMessagesWait) {
  message(1, kFile, 42, true);
  switch_on();
  start_disk(0, 1);
  read_a_sector();
  EXPECT_FALSE(arrived(42));
  EXPECT_EQ(read(kPendingBits), 2u);
  expect_state_survives([&] { write(kTable + 28, 0); });
  write(kTable + 28, 0);
  EXPECT_TRUE(arrived(42));
  EXPECT_EQ(read(kPendingBits), 0u);
  switch_on(true);
  read_a_sector();
  EXPECT_FALSE(arrived(42));
  switch_on();
  EXPECT_TRUE(arrived(42));
}

TEST_F(MsixTest, VectorsThatAreNone) {
  switch_on();
  message(1, kFile, 42);
  start_disk(2, 2);
  EXPECT_EQ(read(kBar + 0x10, 2), kNone);
  EXPECT_EQ(read(kBar + 0x1a, 2), kNone);
  read_a_sector();
  EXPECT_FALSE(arrived(42));
  start_disk(0, 1);
  EXPECT_EQ(read(kBar + 0x10, 2), 0u);
  write(kBar + 0x14, 0, 1);
  EXPECT_EQ(read(kBar + 0x10, 2), kNone) << "after a reset";
}

TEST_F(MsixTest, MessagesWaitForTheBus) {
  message(1, kFile, 42, true);
  switch_on();
  start_disk(0, 1);
  read_a_sector();
  write(slot + 4, 2, 2);  // the function may not write
  write(kTable + 28, 0);
  EXPECT_FALSE(arrived(42));
  EXPECT_EQ(read(kPendingBits), 2u);
  write(slot + 4, 6, 2);
  EXPECT_TRUE(arrived(42));
  EXPECT_EQ(read(kPendingBits), 0u);
}

TEST_F(MsixTest, WithoutItTheWireSpeaks) {
  message(1, kFile, 42);
  start_disk(0, 1);
  read_a_sector();
  EXPECT_FALSE(arrived(42));
  EXPECT_EQ(read(slot + 6, 2) & 8, 8u);
  EXPECT_EQ(read(kBar + 0x1000, 1), 1u);
}

TEST_F(MsixTest, ABrokenQueueTellsByTheConfigurationsVector) {
  message(0, kFile, 43);
  switch_on();
  start_disk(0, 1);
  write(avail + 4, 999, 2);
  write(avail + 2, 1, 2);
  write(kBar + 0x3000, 0, 2);
  EXPECT_TRUE(arrived(43));
  EXPECT_EQ(read(kBar + 0x1000, 1), 2u);
}

TEST_F(MsixTest, NotOfferedWhereNobodyTakesMessages) {
  for (const char* aia : {"none", "aplic"}) {
    port.drives.clear();
    build(with_messages(aia));
    EXPECT_EQ(capability(0x11), 0u) << aia;
    EXPECT_EQ(read(slot + 0x14), 0u);
  }
}

}  // namespace
}  // namespace hindcast::test
