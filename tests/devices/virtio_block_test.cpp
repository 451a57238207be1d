// The virtio disk, with rings built by hand.
#include "targets/devices/virtio/block.h"

#include <sys/stat.h>

#include "tests/devices/virtio_fixture.h"

namespace hindcast::test {
namespace {

using devices::virtio::BlockDevice;
constexpr GuestAddr kHeader = kRam + 0x180000, kStatus = kHeader + 0x100;
constexpr u8 kPending = 0xaa, kOk = 0, kIoError = 1, kUnsupported = 2;
constexpr u32 kIn = 0, kOut = 1, kFlush = 4, kGetId = 8, kDiscard = 11, kZero = 13;

Bytes pattern(std::size_t size, u32 seed = 1) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    out[i] = static_cast<u8>(seed >> 24);
  }
  return out;
}

class VirtioBlock : public VirtioTest {
 protected:
  static constexpr u64 kSize = 256 * 1024 + 512;

  MachineConfig with_drive(u64 size = kSize, bool read_only = false) {
    MachineConfig c = config();
    port.drives.push_back(pattern(size));
    c.drives.push_back({"disk.img", size, read_only, false});
    return c;
  }
  void SetUp() override {
    build(with_drive());
    start();
  }
  /// Submits a request; its status byte says kPending until it is done.
  void submit(u32 type, u64 sector, const std::vector<Part>& data) {
    write(kHeader, type);
    write(kHeader + 4, 0);
    write(kHeader + 8, sector, 8);
    write(kStatus, kPending, 1);
    std::vector<Part> parts{{kHeader, 16}};
    parts.insert(parts.end(), data.begin(), data.end());
    parts.push_back({kStatus, 1, true});
    make_available(chain(parts));
    ring();
  }
  u8 answer() { return static_cast<u8>(read(kStatus, 1)); }
  u8 do_it(u32 type, u64 sector, const std::vector<Part>& data) {
    submit(type, sector, data);
    pass(BlockDevice::kLatency + 10'000'000);
    return answer();
  }
  /// Again, with a drive that is written through.
  void through() {
    port.drives.clear();
    MachineConfig c = with_drive();
    c.drives[0].write_through = true;
    build(c);
    start();
  }
  Bytes disk(u64 offset, u64 size) {
    const auto at = port.drives[0].begin() + static_cast<std::ptrdiff_t>(offset);
    return Bytes(at, at + static_cast<std::ptrdiff_t>(size));
  }
};

TEST_F(VirtioBlock, IsFoundAtTheFirstPlace) {
  EXPECT_EQ(get(0x00), 0x74726976u);
  EXPECT_EQ(get(0x04), 2u);
  EXPECT_EQ(get(0x08), 2u);
  EXPECT_EQ(get(0x0c), 0x554d4551u);
  EXPECT_EQ(get(0x34), BlockDevice::kQueueSize);
  EXPECT_EQ(read(place + 0x100, 8), kSize / 512);
  EXPECT_EQ(get(0x114), 512u);
  EXPECT_EQ(read(place + 0x122, 2), 1u);
  for (unsigned i = 1; i < 8; ++i) {
    EXPECT_EQ(read(kVirtio + i * 0x1000), 0x74726976u);
    EXPECT_EQ(read(kVirtio + i * 0x1000 + 8), 0u) << i;
  }
}

TEST_F(VirtioBlock, ReadsAfterItsLatency) {
  submit(kIn, 3, {{kData, 1024, true}, {kData + 0x1000, 512, true}});
  EXPECT_EQ(answer(), kPending);
  EXPECT_EQ(used_index(), 0);
  pass(BlockDevice::kLatency + 1536 - 1);
  EXPECT_EQ(answer(), kPending);
  EXPECT_FALSE(source_level(1));
  pass(1);
  EXPECT_EQ(answer(), kOk);
  EXPECT_EQ(take_used(), (std::pair<u32, u32>{0, 1537}));
  EXPECT_EQ(fetch(kData, 1024), disk(3 * 512, 1024));
  EXPECT_EQ(fetch(kData + 0x1000, 512), disk(5 * 512, 512));
  EXPECT_TRUE(source_level(1));
  EXPECT_EQ(get(0x60), 1u);
  set(0x64, 1);
  EXPECT_FALSE(source_level(1));
}

TEST_F(VirtioBlock, AsksForEachPageOnce) {
  EXPECT_EQ(do_it(kIn, 0, {{kData, 8192, true}}), kOk);
  EXPECT_EQ(port.answers[InputKind::Disk], 1u);
  EXPECT_EQ(do_it(kIn, 9, {{kData, 512, true}}), kOk);
  EXPECT_EQ(port.answers[InputKind::Disk], 1u);
  // From the middle of what is known to beyond it: only the rest.
  EXPECT_EQ(do_it(kIn, 8, {{kData, 8192, true}}), kOk);
  EXPECT_EQ(port.answers[InputKind::Disk], 2u);
  EXPECT_EQ(fetch(kData, 8192), disk(4096, 8192));
  // The last sector is alone on its page.
  EXPECT_EQ(do_it(kIn, kSize / 512 - 1, {{kData, 512, true}}), kOk);
  EXPECT_EQ(fetch(kData, 512), disk(kSize - 512, 512));
}

TEST_F(VirtioBlock, WritesAreKeptAndTheFileIsNot) {
  const Bytes before = port.drives[0], mine = pattern(1536, 7);
  put(kData, mine);
  EXPECT_EQ(do_it(kOut, 7, {{kData, 1536}}), kOk);
  EXPECT_EQ(take_used().second, 1u);
  EXPECT_EQ(port.drives[0], before);
  EXPECT_EQ(do_it(kIn, 6, {{kData, 2560, true}}), kOk);
  Bytes expected = disk(6 * 512, 2560);
  std::copy(mine.begin(), mine.end(), expected.begin() + 512);
  EXPECT_EQ(fetch(kData, 2560), expected);
}

TEST_F(VirtioBlock, WholePagesNeedNotBeKnownToBeWritten) {
  put(kData, pattern(8192, 9));
  EXPECT_EQ(do_it(kOut, 16, {{kData, 8192}}), kOk);
  EXPECT_EQ(port.answers[InputKind::Disk], 0u);
  EXPECT_EQ(do_it(kOut, kSize / 512 - 1, {{kData, 512}}), kOk);  // the disk's end is a page's
  EXPECT_EQ(port.answers[InputKind::Disk], 0u);
  EXPECT_EQ(do_it(kOut, 8, {{kData, 512}}), kOk);
  EXPECT_EQ(port.answers[InputKind::Disk], 1u);
}

TEST_F(VirtioBlock, OneRequestAfterTheOther) {
  put(kData, pattern(512, 3));
  submit(kOut, 1, {{kData, 512}});
  write(kHeader + 0x20, kIn);
  write(kHeader + 0x28, 1, 8);
  make_available(chain({{kHeader + 0x20, 16}, {kData + 0x1000, 512, true}, {kStatus + 1, 1, true}}));
  ring();
  pass(BlockDevice::kLatency + 512);
  EXPECT_EQ(used_index(), 1);
  pass(BlockDevice::kLatency + 512);
  EXPECT_EQ(used_index(), 2);
  EXPECT_EQ(fetch(kData + 0x1000, 512), pattern(512, 3));
}

TEST_F(VirtioBlock, ABellAsksForNothingAndEachPortionForItself) {
  constexpr u64 kPortion = BlockDevice::kPortion;
  port.drives.clear();
  build(with_drive(4 << 20));
  start();
  // Three portions, not along the pages of the disk; and a second request behind.
  const u32 size = 2 * kPortion + 1024;
  submit(kIn, 1, {{kData, size, true}});
  write(kHeader + 0x20, kIn);
  write(kHeader + 0x28, 4096, 8);
  make_available(chain({{kHeader + 0x20, 16}, {kData + 0x200000, 512, true}, {kStatus + 1, 1, true}}));
  ring();
  EXPECT_EQ(port.answers[InputKind::Disk], 0u);
  pass(BlockDevice::kLatency + kPortion - 512);
  EXPECT_EQ(port.answers[InputKind::Disk], 1u);
  EXPECT_EQ(fetch(kData, 512), disk(512, 512));
  pass(kPortion);
  EXPECT_EQ(port.answers[InputKind::Disk], 2u);
  EXPECT_EQ(answer(), kPending);
  pass(1536);
  EXPECT_EQ(answer(), kOk);
  EXPECT_EQ(take_used().second, size + 1);
  EXPECT_EQ(port.answers[InputKind::Disk], 3u);
  EXPECT_EQ(fetch(kData, size), disk(512, size));
  pass(BlockDevice::kLatency + 511);
  EXPECT_EQ(used_index(), 1);
  pass(1);
  EXPECT_EQ(used_index(), 2);
  EXPECT_EQ(fetch(kData + 0x200000, 512), disk(4096 * 512, 512));
  // What is written in portions is read again.
  put(kData, pattern(size, 3));
  submit(kOut, 3, {{kData, size - 512}, {kData + size - 512, 512}});
  pass(BlockDevice::kLatency + size);
  ASSERT_EQ(answer(), kOk);
  EXPECT_EQ(do_it(kIn, 3, {{kData + 0x200000, size, true}}), kOk);
  EXPECT_EQ(fetch(kData + 0x200000, size), pattern(size, 3));
}

TEST_F(VirtioBlock, NothingIsAskedForOnBehalfOfNonsense) {
  EXPECT_EQ(do_it(kIn, 0, {{kData, 512, true}, {kFlash, 512, true}}), kIoError);
  EXPECT_EQ(do_it(kOut, 1, {{0x10000000, 512}}), kIoError);
  EXPECT_EQ(port.answers[InputKind::Disk], 0u);
}

TEST_F(VirtioBlock, ZerosTakeNoMemory) {
  MachineConfig c = config();
  port.drives.assign(1, Bytes(1 << 20));
  port.drives[0][70000] = 1;
  c.drives.push_back({"disk.img", 1 << 20, false, false});
  build(c);
  start();
  put(kData, pattern(1 << 20));
  EXPECT_EQ(do_it(kIn, 0, {{kData, 1 << 20, true}}), kOk);
  EXPECT_EQ(fetch(kData, 1 << 20), port.drives[0]);
  for (const RamBlock* block : machine->memory().saved_blocks()) {
    if (block->name != "disk0") continue;
    struct stat info {};
    ASSERT_EQ(::fstat(block->fd, &info), 0);
    EXPECT_EQ(info.st_blocks * 512, 4096);
    return;
  }
  ADD_FAILURE() << "there is no disk";
}

TEST_F(VirtioBlock, RefusesWhatIsNotOnTheDisk) {
  EXPECT_EQ(do_it(kIn, kSize / 512, {{kData, 512, true}}), kIoError);
  EXPECT_EQ(do_it(kIn, kSize / 512 - 1, {{kData, 1024, true}}), kIoError);
  EXPECT_EQ(do_it(kIn, ~u64{0}, {{kData, 512, true}}), kIoError);
  EXPECT_EQ(do_it(kOut, (u64{1} << 55) + 1, {{kData, 512}}), kIoError);
  EXPECT_EQ(do_it(kIn, 0, {{kData, 100, true}}), kIoError);
  EXPECT_EQ(do_it(kIn, 0, {{kFlash, 512, true}}), kIoError);  // no DMA into ROM
  EXPECT_EQ(do_it(kOut, 0, {{0x10000000, 512}}), kIoError);   // nor from devices
  EXPECT_EQ(do_it(kIn, 0, {{~u64{0} - 100, 512, true}}), kIoError);
  EXPECT_EQ(do_it(99, 0, {}), kUnsupported);
  EXPECT_EQ(status() & VirtioDevice::kNeedsReset, 0);
  EXPECT_EQ(do_it(kIn, 0, {{kData, 512, true}}), kOk);
}

TEST_F(VirtioBlock, TheHostCannotRead) {
  port.drives[0].resize(4096);
  EXPECT_EQ(do_it(kIn, 8, {{kData, 512, true}}), kIoError);
  EXPECT_EQ(do_it(kOut, 9, {{kData, 512}}), kIoError);
  EXPECT_EQ(do_it(kIn, 7, {{kData, 512, true}}), kOk);
}

TEST_F(VirtioBlock, FlushIdentifyDiscardZero) {
  EXPECT_EQ(do_it(kFlush, 0, {}), kOk);
  EXPECT_EQ(do_it(kGetId, 0, {{kData, 20, true}}), kOk);
  EXPECT_EQ(fetch(kData, 6), (Bytes{'d', 'i', 's', 'k', '0', 0}));
  for (u32 type : {kDiscard, kZero}) {
    put(kData, pattern(20480, type));
    EXPECT_EQ(do_it(kOut, 0, {{kData, 20480}}), kOk);
    write(kData, 3, 8);
    write(kData + 8, 30);
    write(kData + 12, 0);
    EXPECT_EQ(do_it(type, 0, {{kData, 16}}), kOk);
    EXPECT_EQ(do_it(kIn, 0, {{kData, 20480, true}}), kOk);
    Bytes expected = pattern(20480, type);
    std::fill_n(expected.begin() + 3 * 512, 30 * 512, u8{0});
    EXPECT_EQ(fetch(kData, 20480), expected);
  }
  write(kData, kSize / 512, 8);
  write(kData + 8, 30);
  write(kData + 12, 0);
  EXPECT_EQ(do_it(kDiscard, 0, {{kData, 16}}), kIoError);
  write(kData, 0, 8);
  write(kData + 12, 1);  // "unmap" is no flag of a discard
  EXPECT_EQ(do_it(kDiscard, 0, {{kData, 16}}), kUnsupported);
  EXPECT_EQ(do_it(kDiscard, 0, {{kData, 8}}), kIoError);
}

TEST_F(VirtioBlock, AReadOnlyDriveSaysSo) {
  port.drives.clear();
  build(with_drive(kSize, true));
  start();
  EXPECT_NE(offered() & 1u << 5, 0u);
  EXPECT_EQ(offered() & 1u << 13, 0u);
  EXPECT_EQ(do_it(kOut, 0, {{kData, 512}}), kIoError);
  EXPECT_EQ(do_it(kIn, 0, {{kData, 512, true}}), kOk);
}

TEST_F(VirtioBlock, WritesThroughIfToldTo) {
  through();
  put(kData, pattern(1024, 5));
  EXPECT_EQ(do_it(kOut, 1, {{kData, 1024}}), kOk);
  EXPECT_EQ(disk(512, 1024), pattern(1024, 5));
  port.drives[0].resize(8192);
  EXPECT_EQ(do_it(kOut, 32, {{kData, 1024}}), kIoError);
}

TEST_F(VirtioBlock, AWriteThatTheHostRefusesChangesNothing) {
  through();
  port.refused_operations = {kDiskWrite, kDiskClear};
  put(kData, pattern(4096, 5));
  // A page in two parts: neither what was before nor what was not written may be lost.
  EXPECT_EQ(do_it(kOut, 8, {{kData, 512}, {kData + 512, 3584}}), kIoError);
  write(kData, 8, 8);
  write(kData + 8, 8);
  write(kData + 12, 0);
  EXPECT_EQ(do_it(kZero, 0, {{kData, 16}}), kIoError);
  EXPECT_EQ(do_it(kIn, 8, {{kData, 4096, true}}), kOk);
  EXPECT_EQ(fetch(kData, 4096), disk(4096, 4096));
}

TEST_F(VirtioBlock, FlushingReachesTheHostsMedium) {
  through();
  start(VirtioDevice::kVersion1 | 1u << 9);
  EXPECT_EQ(do_it(kOut, 0, {{kData, 4096}}), kOk);
  EXPECT_EQ(port.disk_operations[kDiskFlush], 0u);
  EXPECT_EQ(do_it(kFlush, 0, {}), kOk);
  EXPECT_EQ(port.disk_operations[kDiskFlush], 1u);
  port.refused_operations = {kDiskFlush};
  EXPECT_EQ(do_it(kFlush, 0, {}), kIoError);
  port.refused_operations = {};
  start();  // a driver that cannot flush
  EXPECT_EQ(do_it(kOut, 0, {{kData, 4096}}), kOk);
  EXPECT_EQ(port.disk_operations[kDiskFlush], 3u);
}

TEST_F(VirtioBlock, AResetForgetsRequestsButNotTheDisk) {
  put(kData, pattern(512, 5));
  EXPECT_EQ(do_it(kOut, 1, {{kData, 512}}), kOk);
  submit(kIn, 1, {{kData + 0x1000, 512, true}});
  machine->reset();
  pass(BlockDevice::kLatency * 10);
  EXPECT_EQ(status(), 0);
  start();
  EXPECT_EQ(do_it(kIn, 1, {{kData + 0x1000, 512, true}}), kOk);
  EXPECT_EQ(fetch(kData + 0x1000, 512), pattern(512, 5));
}

TEST_F(VirtioBlock, IsSavedInTheMiddleOfARequest) {
  put(kData, pattern(512, 5));
  submit(kOut, 1, {{kData, 512}});
  submit(kIn, 1, {{kData + 0x1000, 512, true}});
  expect_state_survives([&] {
    pass(BlockDevice::kLatency * 10);
    EXPECT_EQ(used_index(), 2);
    set(0x70, 0);
  });
  write(used + 2, 0, 2);  // memory is not part of this state
  put(kData + 0x1000, Bytes(512));
  pass(BlockDevice::kLatency * 10);
  EXPECT_EQ(used_index(), 2);
  EXPECT_EQ(fetch(kData + 0x1000, 512), pattern(512, 5));
}

TEST_F(VirtioBlock, HasSizesThatDrivesHave) {
  for (u64 size : {u64{0}, u64{100}, (u64{1} << 40) + 512}) {
    MachineConfig c = config();
    c.drives.push_back({"disk.img", size, false, false});
    EXPECT_NE(fatal_message([&] { build(c); }).find("disk0"), std::string::npos) << size;
  }
  MachineConfig many = config();
  many.drives.assign(9, {"disk.img", 512, false, false});
  EXPECT_NE(fatal_message([&] { build(many); }).find("--drive"), std::string::npos);
}

}  // namespace
}  // namespace hindcast::test
