// A virtio network adapter, as a driver and the wire use it.
#include <random>

#include "targets/devices/model_registry.h"
#include "targets/devices/virtio/network.h"
#include "tests/devices/virtio_fixture.h"

namespace hindcast::test {
namespace {

constexpr u64 kModern = VirtioDevice::kVersion1, kMac = u64{1} << 5, kStatus = u64{1} << 16;
constexpr Channel kWire = devices::kNetworkChannels;
constexpr u32 kReceive = 0, kSend = 1;
constexpr unsigned kSource = 1;
constexpr std::size_t kHeader = devices::virtio::NetworkDevice::kHeader;

class VirtioNetwork : public VirtioTest {
 protected:
  void SetUp() override { build_with(1); }
  void build_with(unsigned cables) {
    MachineConfig c = config();
    for (unsigned i = 0; i < cables; ++i)
      c.networks.push_back({{0x52, 0x54, 0, 0x12, 0x34, static_cast<u8>(0x56 + i)}});
    build(c);
    begin();
  }
  void begin() {
    ASSERT_TRUE(negotiate(kModern | kMac | kStatus));
    const Bytes zeros(0x10000);
    ASSERT_TRUE(machine->memory().host_write(kRings, zeros.data(), zeros.size()));
    rings_[0] = rings_[1] = {};
    next_descriptor = next_avail = seen_used = 0;
    queue_ = kSend;
    select(kReceive);
    set_queue(kReceive);
    select(kSend);
    set_queue(kSend);
    set(0x70, 1 | 2 | 8 | 4);
  }
  /// The queue that the fixture's functions are about.
  void select(u32 queue) {
    rings_[queue_] = {next_descriptor, next_avail, seen_used};
    queue_ = queue;
    next_descriptor = rings_[queue].descriptor;
    next_avail = rings_[queue].avail;
    seen_used = rings_[queue].used;
    desc = kRings + 0x8000 * queue;
    avail = desc + 0x1000;
    used = desc + 0x2000;
  }
  void give_buffer(u32 size = 1526) {
    select(kReceive);
    make_available(chain({{kData + 0x1000 * next_avail, size, true}}));
    ring(kReceive);
  }
  InputSink& wire() { return *port.sinks.at(kWire).second; }
  bool arrive(const Bytes& frame) {
    if (frame.size() > wire().receivable()) return false;
    wire().receive(InputKind::Network, frame);
    return true;
  }
  std::string sent() { return std::exchange(port.outputs[kWire], {}); }
  bool broken() { return (status() & VirtioDevice::kNeedsReset) != 0; }

 private:
  struct Rings {
    u16 descriptor = 0, avail = 0, used = 0;
  };
  Rings rings_[2];
  u32 queue_ = kSend;
};

Bytes frame_of(std::size_t size) {
  Bytes frame(size);
  for (std::size_t i = 0; i < size; ++i) frame[i] = static_cast<u8>(i * 7);
  return frame;
}

TEST_F(VirtioNetwork, HasItsAddressAndALink) {
  EXPECT_EQ(get(0x08), 1u);
  EXPECT_EQ(offered() & (kMac | kStatus), kMac | kStatus);
  EXPECT_EQ(get(0x100), 0x12005452u);
  EXPECT_EQ(read(kVirtio + 0x104, 2), 0x5634u);
  EXPECT_EQ(read(kVirtio + 0x106, 2), 1u);
}

TEST_F(VirtioNetwork, TwoAdaptersAtTwoPlaces) {
  build_with(2);
  EXPECT_EQ(read(kVirtio + 0x104, 2), 0x5634u);
  EXPECT_EQ(read(kVirtio + 0x1000 + 0x104, 2), 0x5734u);
  EXPECT_TRUE(port.sinks.contains(kWire + 1));
}

TEST_F(VirtioNetwork, EachFailureIsToldOnce) {
  for (int i = 0; i < 3; ++i) {
    begin();
    make_available(kRingSize);
    ring(kSend);
    EXPECT_TRUE(broken());
  }
  begin();
  make_available(chain({{0x10000000, 100}}));
  ring(kSend);
  EXPECT_TRUE(broken());
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], "network0: the guest's driver must reset it: a descriptor that is not in its table");
  EXPECT_EQ(notes[1], "network0: the guest's driver must reset it: a frame is not in RAM");
}

TEST_F(VirtioNetwork, FramesArriveInBuffers) {
  EXPECT_FALSE(arrive(frame_of(60))) << "there is no buffer";
  give_buffer();
  ASSERT_TRUE(arrive(frame_of(100)));
  EXPECT_TRUE(source_level(kSource));
  EXPECT_EQ(take_used().second, kHeader + 100);
  const Bytes header = fetch(kData, kHeader);
  EXPECT_EQ(header[10], 1);
  EXPECT_EQ(fetch(kData + kHeader, 100), frame_of(100));
  EXPECT_FALSE(arrive(frame_of(60)));
  const unsigned before = port.readies[kWire];
  give_buffer();
  EXPECT_EQ(port.readies[kWire], before + 1);
  EXPECT_TRUE(arrive(frame_of(1514)));
  EXPECT_FALSE(broken());
}

TEST_F(VirtioNetwork, ABufferMayHaveParts) {
  select(kReceive);
  make_available(chain({{kData, 12, true}, {kData + 0x100, 30, true}, {kData + 0x200, 1500, true}}));
  ring(kReceive);
  ASSERT_TRUE(arrive(frame_of(100)));
  Bytes all = fetch(kData + 0x100, 30);
  const Bytes rest = fetch(kData + 0x200, 70);
  all.insert(all.end(), rest.begin(), rest.end());
  EXPECT_EQ(all, frame_of(100));
}

TEST_F(VirtioNetwork, SendsWhatIsAFrame) {
  select(kSend);
  const Bytes frame = frame_of(300);
  put(kData, Bytes(kHeader));
  put(kData + 0x100, frame);
  make_available(chain({{kData, kHeader}, {kData + 0x100, 200}, {kData + 0x100 + 200, 100}}));
  ring(kSend);
  EXPECT_EQ(sent(), std::string(frame.begin(), frame.end()));
  EXPECT_EQ(take_used().second, 0u);
  for (u32 size : {u32{1}, u32{kHeader}, u32{kHeader + 13}, u32{kHeader + 1519}, u32{0x100000}}) {
    make_available(chain({{kData, size}}));
    ring(kSend);
    EXPECT_EQ(sent(), "") << size;
    take_used();
    EXPECT_FALSE(broken()) << size;
  }
}

TEST_F(VirtioNetwork, WhatIsNoBufferStopsTheDevice) {
  give_buffer(50);
  ASSERT_TRUE(arrive(frame_of(60)));
  EXPECT_TRUE(broken());
  EXPECT_EQ(wire().receivable(), 0u);
  begin();
  EXPECT_FALSE(broken());
  select(kReceive);
  make_available(chain({{kFlash, 1526, true}}));
  ASSERT_TRUE(arrive(frame_of(60)));
  EXPECT_TRUE(broken());
  begin();
  select(kSend);
  make_available(chain({{~u64{0} - 100, 60}}));
  ring(kSend);
  EXPECT_TRUE(broken());
  EXPECT_EQ(sent(), "");
}

/// A full queue of chains that lead through a table of 1024 descriptors: a bell looks through one of them,
/// and the next one when virtual time has passed.
TEST_F(VirtioNetwork, ManyDescriptorsAreSentInPortions) {
  constexpr u16 kParts = 1024, kChains = 5;
  ASSERT_TRUE(negotiate(kModern | VirtioDevice::kIndirectDescriptors));
  select(kSend);
  set_queue(kSend);
  set(0x70, 1 | 2 | 8 | 4);
  const GuestAddr parts = kData + 0x10000;
  for (u16 i = 0; i < kParts; ++i)
    descriptor(parts, i, kData, 1, i + 1 == kParts ? u16{0} : kNext, static_cast<u16>(i + 1));
  for (u16 i = 0; i < kChains; ++i) {
    descriptor(desc, i, parts, 16 * kParts, kIndirect, 0);
    make_available(i);
  }
  for (u16 sent_chains = 1; sent_chains <= kChains; ++sent_chains) {
    for (int bells = 0; bells < 3; ++bells) ring(kSend);
    EXPECT_EQ(used_index(), sent_chains);
    EXPECT_EQ(sent().size(), kParts - kHeader);
    pass(devices::virtio::NetworkDevice::kPause);
  }
  EXPECT_EQ(used_index(), kChains);
  // A reset ends a pause.
  make_available(0);
  ring(kSend);
  set(0x70, 0);
  begin();
  select(kSend);
  put(kData, Bytes(kHeader + 60));
  make_available(chain({{kData, kHeader + 60}}));
  ring(kSend);
  EXPECT_NE(sent(), "");
}

/// Looking for room is no access of the guest: it changes nothing, whatever stands in the ring.
TEST_F(VirtioNetwork, AskingForRoomChangesNothing) {
  select(kReceive);
  write(avail + 2, 999, 2);
  EXPECT_NE(wire().receivable(), 0u);
  EXPECT_FALSE(broken());
  EXPECT_TRUE(arrive(frame_of(60)));
  EXPECT_TRUE(broken());
}

TEST_F(VirtioNetwork, RandomRings) {
  std::mt19937_64 random(5);
  for (unsigned round = 0; round < 500; ++round) {
    begin();
    for (unsigned i = 0; i < 30; ++i) {
      select(static_cast<u32>(random() % 2));
      const GuestAddr at = random() % 8 == 0 ? random() : kData + random() % 0x10000;
      const u32 size = static_cast<u32>(random() % 8 == 0 ? random() : random() % 2000);
      make_available(chain({{at, size, random() % 2 == 0}, {kData, 1600, random() % 2 == 0}}));
      ring(static_cast<u32>(random() % 3));
      if (random() % 2 == 0) arrive(frame_of(14 + random() % 1500));
      sent();
    }
  }
}

}  // namespace
}  // namespace hindcast::test
