// What all virtio devices share, seen through an entropy device: features, rings, notifications, and drivers
// that do what they may not.
#include <random>

#include "targets/devices/virtio/entropy.h"
#include "tests/devices/virtio_fixture.h"

namespace hindcast::test {
namespace {

constexpr u64 kModern = VirtioDevice::kVersion1, kIndirectFeature = VirtioDevice::kIndirectDescriptors,
              kEventIndex = VirtioDevice::kEventIndex;

class VirtioCore : public VirtioTest {
 protected:
  void SetUp() override {
    MachineConfig c = config();
    c.machine_options["rng"] = "on";
    build(c);
    start();
  }
  bool broken() { return (status() & VirtioDevice::kNeedsReset) != 0; }
  /// One request for 4 bytes; whether it was answered.
  bool works() {
    const u16 before = used_index();
    make_available(chain({{kData, 4, true}}));
    ring();
    return used_index() == static_cast<u16>(before + 1);
  }
};

TEST_F(VirtioCore, GivesRandomBytes) {
  EXPECT_EQ(get(0x08), 4u);
  make_available(chain({{kData, 3, true}, {kData + 16, 5, true}}));
  ring();
  EXPECT_EQ(take_used(), (std::pair<u32, u32>{0, 8}));
  EXPECT_EQ(fetch(kData, 3), (Bytes{0x10, 0x11, 0x12}));
  EXPECT_EQ(fetch(kData + 16, 5), (Bytes{0x13, 0x14, 0x15, 0x16, 0x17}));
  EXPECT_TRUE(source_level(1));
  EXPECT_EQ(port.answers[InputKind::Entropy], 1u);
}

/// As xv6 is, which only knows the lower half of the features.
TEST_F(VirtioCore, ADriverThatForgetsVersion1IsServed) {
  start(0);
  EXPECT_TRUE(works());
}

TEST_F(VirtioCore, UnknownFeaturesAreRefused) {
  EXPECT_FALSE(negotiate(kModern | u64{1} << 50));
  EXPECT_EQ(status(), 3);
  set(0x70, 1 | 2 | 4 | 8);  // and the device does not start
  EXPECT_EQ(status(), 3);
  EXPECT_TRUE(negotiate(kModern | kIndirectFeature | kEventIndex));
  accept(0);  // too late
  set(0x70, 15);
  EXPECT_EQ(status(), 15);
}

TEST_F(VirtioCore, WhatWasThereBeforeTheDriverWasReadyIsServedThen) {
  ASSERT_TRUE(negotiate(kModern));
  next_avail = seen_used = 0;
  write(used + 2, 0, 2);
  set_queue(0);
  make_available(chain({{kData, 4, true}}));
  ring();
  EXPECT_EQ(used_index(), 0);
  set(0x70, 15);
  EXPECT_EQ(used_index(), 1);
}

TEST_F(VirtioCore, IndirectDescriptors) {
  start(kModern | kIndirectFeature);
  descriptor(table, 0, kData, 4, kNext | kWrite, 2);
  descriptor(table, 2, kData + 8, 4, kWrite, 0);
  descriptor(desc, 0, kData + 32, 4, kNext | kWrite, 1);  // an indirect table may end a chain
  descriptor(desc, 1, table, 48, kIndirect, 0);
  make_available(0);
  ring();
  EXPECT_EQ(take_used(), (std::pair<u32, u32>{0, 12}));
  EXPECT_EQ(fetch(kData + 32, 1), Bytes{0x10});
  EXPECT_EQ(fetch(kData + 8, 4), (Bytes{0x18, 0x19, 0x1a, 0x1b}));
}

TEST_F(VirtioCore, InterruptsOnlyWhereTheyAreWanted) {
  write(avail, 1, 2);
  EXPECT_TRUE(works());
  EXPECT_FALSE(source_level(1));
  write(avail, 0, 2);
  EXPECT_TRUE(works());
  EXPECT_TRUE(source_level(1));
}

TEST_F(VirtioCore, EventIndices) {
  start(kModern | kEventIndex);
  const GuestAddr used_event = avail + 4 + 2 * kRingSize, avail_event = used + 4 + 8 * kRingSize;
  write(used_event, 2, 2);
  EXPECT_TRUE(works());  // the first is always told
  EXPECT_EQ(read(avail_event, 2), 1u);
  set(0x64, 1);
  EXPECT_TRUE(works());
  EXPECT_EQ(get(0x60), 0u);
  EXPECT_TRUE(works());  // the third passes entry 2
  EXPECT_EQ(get(0x60), 1u);
  set(0x64, 1);
  EXPECT_TRUE(works());
  EXPECT_EQ(get(0x60), 0u);
  EXPECT_EQ(read(avail_event, 2), 4u);
}

TEST_F(VirtioCore, RingsGoRound) {
  for (unsigned i = 0; i < 70'000; ++i) {
    next_descriptor = 0;
    ASSERT_TRUE(works()) << i;
  }
  EXPECT_EQ(used_index(), 70'000 % 65'536);
}

TEST_F(VirtioCore, BrokenRingsStopTheDevice) {
  const std::vector<std::pair<const char*, std::function<void()>>> ways = {
      {"head", [&] { make_available(kRingSize); }},
      {"circle",
       [&] {
         descriptor(desc, 0, kData, 4, kNext | kWrite, 1);
         descriptor(desc, 1, kData, 4, kNext | kWrite, 0);
         make_available(0);
       }},
      {"next", [&] { descriptor(desc, 0, kData, 4, kNext | kWrite, 999), make_available(0); }},
      {"empty", [&] { descriptor(desc, 0, kData, 0, kWrite, 0), make_available(0); }},
      {"order",
       [&] {
         make_available(chain({{kData, 4, true}, {kData, 4}}));
       }},
      {"indirect", [&] { descriptor(desc, 0, table, 16, kIndirect, 0), make_available(0); }},
      {"too many", [&] { write(avail + 2, next_avail + kRingSize + 1u, 2); }},
      {"avail", [&] { set(0x44, 0), set(0x90, 0x1000), set(0x44, 1); }},
      {"used",
       [&] {
         set(0x44, 0), set(0xa4, ~0u), set(0x44, 1), make_available(chain({{kData, 4, true}}));
       }},
      {"desc", [&] { set(0x44, 0), set(0x84, ~0u), set(0x44, 1), make_available(0); }},
  };
  for (const auto& [name, way] : ways) {
    SCOPED_TRACE(name);
    start();
    ASSERT_TRUE(works());
    EXPECT_FALSE(broken());
    set(0x64, 3);
    way();
    ring();
    EXPECT_TRUE(broken());
    EXPECT_EQ(get(0x60), 2u);  // the driver is told by a configuration interrupt
    EXPECT_FALSE(works());
  }
}

TEST_F(VirtioCore, BrokenIndirectTables) {
  const std::vector<std::pair<const char*, std::function<void()>>> ways = {
      {"nested",
       [&] {
         descriptor(table, 0, table, 16, kIndirect, 0);
         descriptor(desc, 0, table, 16, kIndirect, 0);
       }},
      {"next", [&] { descriptor(desc, 0, table, 16, kIndirect | kNext, 1); }},
      {"size", [&] { descriptor(desc, 0, table, 17, kIndirect, 0); }},
      {"none", [&] { descriptor(desc, 0, table, 0, kIndirect, 0); }},
      {"outside", [&] { descriptor(desc, 0, ~u64{0} - 15, 16, kIndirect, 0); }},
      {"circle",
       [&] {
         descriptor(table, 0, kData, 1, kNext | kWrite, 0);
         descriptor(desc, 0, table, 0x7ffffff0, kIndirect, 0);
       }},
  };
  for (const auto& [name, way] : ways) {
    SCOPED_TRACE(name);
    start(kModern | kIndirectFeature);
    way();
    make_available(0);
    ring();
    EXPECT_TRUE(broken());
  }
}

TEST_F(VirtioCore, AccessesOfOtherSizesAndPlaces) {
  EXPECT_EQ(read(place, 1), 0u);
  EXPECT_EQ(read(place, 8), 0u);
  EXPECT_EQ(read(place + 0x100, 8), 0u);  // no configuration space
  EXPECT_EQ(get(0xb0), ~0u);              // no shared memory
  set(0x14, 7);
  EXPECT_EQ(get(0x10), 0u);
  set(0x30, 5);
  EXPECT_EQ(get(0x34), 0u);
  set(0x44, 1);
  ring(77);
  EXPECT_TRUE(works());
}

/// Whatever stands in the rings and registers, the device comes back and can be reset.
TEST_F(VirtioCore, RandomRings) {
  std::mt19937_64 random(4);
  auto address = [&]() -> u64 {
    switch (random() % 6) {
      case 0: return random();
      case 1: return kRam + (8u << 20) - random() % 64;
      case 2: return kFlash + random() % 4096;
      default: return kRings + random() % 0x4000;
    }
  };
  for (unsigned round = 0; round < 3000; ++round) {
    start(kModern | (random() % 2 != 0 ? kIndirectFeature : 0) | (random() % 2 != 0 ? kEventIndex : 0));
    for (unsigned i = 0; i < 40; ++i) {
      const u16 flags = static_cast<u16>(random() % 5 == 0 ? random() : random() % 8);
      const u32 size =
          static_cast<u32>(random() % 5 == 0 ? random() : random() % 64 * (random() % 2 == 0 ? 16 : 1));
      descriptor(random() % 2 == 0 ? desc : table, static_cast<u16>(random() % kRingSize), address(), size,
                 flags, static_cast<u16>(random() % (kRingSize + 1)));
    }
    for (unsigned i = 0; i < 4; ++i) {
      make_available(static_cast<u16>(random() % (kRingSize + (random() % 8 == 0 ? 1 : 0))));
      if (random() % 10 == 0) write(avail + 2, random(), 2);
      if (random() % 20 == 0) set(0x80 + random() % 10 * 4, static_cast<u32>(random()));
      if (random() % 20 == 0) set(0x44, random() % 2);
      ring();
      pass(random() % 1000);
    }
  }
  start();
  EXPECT_TRUE(works());
}

}  // namespace
}  // namespace hindcast::test
