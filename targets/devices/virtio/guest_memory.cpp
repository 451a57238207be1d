#include "targets/devices/virtio/guest_memory.h"

#include <algorithm>

namespace hindcast::devices::virtio {

u64 total_size(const std::vector<Segment>& segments) {
  u64 total = 0;
  for (const Segment& segment : segments) total += segment.size;
  return total;
}

std::vector<Segment> take_front(std::vector<Segment>& segments, u64 size) {
  std::vector<Segment> out;
  if (total_size(segments) < size) return out;
  auto it = segments.begin();
  while (size != 0) {
    const u32 part = static_cast<u32>(std::min<u64>(it->size, size));
    out.push_back({it->address, part});
    size -= part;
    it->address += part;
    it->size -= part;
    if (it->size == 0) ++it;
  }
  segments.erase(segments.begin(), it);
  return out;
}

std::vector<Segment> take_back(std::vector<Segment>& segments, u64 size) {
  const u64 total = total_size(segments);
  if (total < size) return {};
  std::vector<Segment> front = take_front(segments, total - size);
  segments.swap(front);
  return front;
}

std::vector<Segment> part_of(const std::vector<Segment>& segments, u64 from, u64 size) {
  std::vector<Segment> out;
  for (const Segment& segment : segments) {
    if (size == 0) break;
    if (from >= segment.size) {
      from -= segment.size;
      continue;
    }
    const u32 part = static_cast<u32>(std::min(segment.size - from, size));
    out.push_back({segment.address + from, part});
    size -= part;
    from = 0;
  }
  return out;
}

bool all_ram(const GuestMemory& memory, const std::vector<Segment>& segments) {
  return std::all_of(segments.begin(), segments.end(),
                     [&](const Segment& segment) { return memory.is_ram(segment.address, segment.size); });
}

std::size_t gather(const GuestMemory& memory, const std::vector<Segment>& from, void* out, std::size_t size) {
  std::size_t done = 0;
  for (const Segment& segment : from) {
    const std::size_t part = std::min<std::size_t>(segment.size, size - done);
    if (part == 0 || !memory.read(segment.address, static_cast<u8*>(out) + done, part)) break;
    done += part;
  }
  return done;
}

std::size_t scatter(GuestMemory& memory, const std::vector<Segment>& to, const void* data, std::size_t size) {
  std::size_t done = 0;
  for (const Segment& segment : to) {
    const std::size_t part = std::min<std::size_t>(segment.size, size - done);
    if (part == 0 || !memory.write(segment.address, static_cast<const u8*>(data) + done, part)) break;
    done += part;
  }
  return done;
}

void save_segments(Archive& ar, const char* name, std::vector<Segment>& segments) {
  constexpr std::size_t kAddress = 8, kSize = 4, kEach = kAddress + kSize;
  Bytes bytes(ar.loading() ? 0 : segments.size() * kEach);
  for (std::size_t i = 0; i * kEach < bytes.size(); ++i) {
    std::memcpy(&bytes[i * kEach], &segments[i].address, kAddress);
    std::memcpy(&bytes[i * kEach + kAddress], &segments[i].size, kSize);
  }
  ar.field(name, bytes);
  if (!ar.loading()) return;
  segments.assign(bytes.size() / kEach, {});
  for (std::size_t i = 0; i < segments.size(); ++i) {
    std::memcpy(&segments[i].address, &bytes[i * kEach], kAddress);
    std::memcpy(&segments[i].size, &bytes[i * kEach + kAddress], kSize);
  }
}

}  // namespace hindcast::devices::virtio
