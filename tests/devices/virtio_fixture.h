// A driver for virtio devices behind MMIO, as small as one can be: it builds rings by hand in the machine's
// memory.
#pragma once
#include <vector>

#include "targets/devices/virtio/device.h"
#include "targets/devices/virtio/guest_memory.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {

inline constexpr GuestAddr kVirtio = 0x10001000;
using devices::virtio::VirtioDevice;

struct Part {
  GuestAddr address;
  u32 size;
  bool write = false;
};

class VirtioTest : public VirtTest {
 protected:
  static constexpr GuestAddr kRings = kRam + 0x100000, kData = kRam + 0x200000;
  static constexpr u16 kRingSize = 8;
  static constexpr u16 kNext = 1, kWrite = 2, kIndirect = 4;

  GuestAddr desc = kRings, avail = kRings + 0x1000, used = kRings + 0x2000, table = kRings + 0x3000;
  GuestAddr place = kVirtio;
  u16 next_descriptor = 0, next_avail = 0, seen_used = 0;

  void set(u64 offset, u32 value) { write(place + offset, value); }
  u32 get(u64 offset) { return static_cast<u32>(read(place + offset)); }
  u8 status() { return static_cast<u8>(get(0x70)); }
  u64 offered() {
    set(0x14, 0);
    const u64 low = get(0x10);
    set(0x14, 1);
    return low | u64{get(0x10)} << 32;
  }
  void accept(u64 features) {
    set(0x24, 0);
    set(0x20, static_cast<u32>(features));
    set(0x24, 1);
    set(0x20, static_cast<u32>(features >> 32));
  }
  /// Up to FEATURES_OK; true if they were accepted.
  bool negotiate(u64 features) {
    set(0x70, 0);
    set(0x70, 1 | 2);
    accept(features);
    set(0x70, 1 | 2 | 8);
    return (status() & 8) != 0;
  }
  void set_queue(u32 queue, u32 size = kRingSize) {
    set(0x30, queue);
    set(0x38, size);
    set(0x80, static_cast<u32>(desc));
    set(0x84, static_cast<u32>(desc >> 32));
    set(0x90, static_cast<u32>(avail));
    set(0x94, static_cast<u32>(avail >> 32));
    set(0xa0, static_cast<u32>(used));
    set(0xa4, static_cast<u32>(used >> 32));
    set(0x44, 1);
  }
  /// A device that works, with queue 0 only.
  void start(u64 features = VirtioDevice::kVersion1) {
    ASSERT_TRUE(negotiate(features));
    next_descriptor = next_avail = seen_used = 0;
    const Bytes zeros(0x4000);
    ASSERT_TRUE(machine->memory().host_write(kRings, zeros.data(), zeros.size()));
    set_queue(0);
    set(0x70, 1 | 2 | 8 | 4);
  }

  void descriptor(GuestAddr at, u16 index, GuestAddr address, u32 size, u16 flags, u16 next) {
    write(at + 16 * index, address, 8);
    write(at + 16 * index + 8, size);
    write(at + 16 * index + 12, flags, 2);
    write(at + 16 * index + 14, next, 2);
  }
  /// Puts the parts into descriptors and returns the first.
  u16 chain(const std::vector<Part>& parts) {
    const u16 head = next_descriptor;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const u16 index = next_descriptor;
      next_descriptor = static_cast<u16>((next_descriptor + 1) % kRingSize);
      const bool last = i + 1 == parts.size();
      descriptor(desc, index, parts[i].address, parts[i].size,
                 static_cast<u16>((last ? 0 : kNext) | (parts[i].write ? kWrite : 0)),
                 last ? 0 : next_descriptor);
    }
    return head;
  }
  void make_available(u16 head) {
    write(avail + 4 + 2 * (next_avail % kRingSize), head, 2);
    ++next_avail;
    write(avail + 2, next_avail, 2);
  }
  void ring(u32 queue = 0) { set(0x50, queue); }
  u16 used_index() { return static_cast<u16>(read(used + 2, 2)); }
  /// The next element of the used ring: head and bytes written.
  std::pair<u32, u32> take_used() {
    EXPECT_NE(used_index(), seen_used) << "nothing was given back";
    const GuestAddr at = used + 4 + 8 * (seen_used % kRingSize);
    ++seen_used;
    return {static_cast<u32>(read(at)), static_cast<u32>(read(at + 4))};
  }
  void put(GuestAddr at, const Bytes& bytes) {
    ASSERT_TRUE(machine->memory().host_write(at, bytes.data(), bytes.size()));
  }
  Bytes fetch(GuestAddr at, std::size_t size) {
    Bytes out(size);
    EXPECT_TRUE(machine->memory().host_read(at, out.data(), size));
    return out;
  }
};

}  // namespace hindcast::test
