// How a device that masters the bus reaches guest memory: RAM only, bounds-checked, whatever the guest said.
#pragma once
#include <cstring>
#include <vector>

#include "engine/address_space.h"
#include "engine/archive.h"

namespace hindcast::devices::virtio {

/// A stretch of guest memory that the driver has given to the device. Not checked yet.
struct Segment {
  GuestAddr address = 0;
  u32 size = 0;
};

/// Direct memory access. All functions return false, and have changed nothing, if not all of the bytes are in
/// one block of RAM.
class GuestMemory {
 public:
  explicit GuestMemory(AddressSpace& memory) : memory_(memory) {}

  bool read(GuestAddr at, void* out, std::size_t size) const {
    if (!is_ram(at, size)) return false;
    return memory_.host_read(at, out, size);
  }
  bool write(GuestAddr at, const void* data, std::size_t size) {
    if (!is_ram(at, size)) return false;
    return memory_.host_write(at, data, size);
  }
  /// The bytes in place; empty if they are not RAM.
  ByteView view(GuestAddr at, std::size_t size) const {
    if (!is_ram(at, size)) return {};
    return {memory_.peek(at, size), size};
  }
  bool is_ram(GuestAddr at, std::size_t size) const {
    const RamBlock* block = memory_.find_ram(at);
    return block != nullptr && !block->rom && size <= block->size - (at - block->base);
  }
  /// A little-endian number of `T`'s size.
  template <typename T>
  bool read_le(GuestAddr at, T& out) const {
    return read(at, &out, sizeof out);
  }
  template <typename T>
  bool write_le(GuestAddr at, T value) {
    return write(at, &value, sizeof value);
  }

 private:
  AddressSpace& memory_;
};

/// The number of bytes in all segments.
u64 total_size(const std::vector<Segment>& segments);
/// Cuts the first or last `size` bytes off the segments and returns them; nothing if there are fewer.
std::vector<Segment> take_front(std::vector<Segment>& segments, u64 size);
std::vector<Segment> take_back(std::vector<Segment>& segments, u64 size);
/// `size` bytes of the segments from byte `from` on; fewer where they end.
std::vector<Segment> part_of(const std::vector<Segment>& segments, u64 from, u64 size);
/// Whether all segments are RAM.
bool all_ram(const GuestMemory& memory, const std::vector<Segment>& segments);
/// Copies up to `size` bytes between the front of the segments and `out` / `data`. Returns how many were
/// copied: fewer than asked for where the segments end, or at the first that is not RAM.
std::size_t gather(const GuestMemory& memory, const std::vector<Segment>& from, void* out, std::size_t size);
std::size_t scatter(GuestMemory& memory, const std::vector<Segment>& to, const void* data, std::size_t size);

/// Saves or loads segments. What is loaded is not checked.
void save_segments(Archive& ar, const char* name, std::vector<Segment>& segments);

}  // namespace hindcast::devices::virtio
