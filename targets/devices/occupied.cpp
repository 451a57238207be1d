#include "targets/devices/occupied.h"

#include <algorithm>

namespace hindcast::devices {

std::vector<Occupied> occupied(const AddressSpace& memory) {
  std::vector<Occupied> ranges;
  for (const auto& block : memory.ram_blocks()) ranges.push_back({block->base, block->size});
  for (const auto& device : memory.devices()) ranges.push_back({device.base, device.size});
  return ranges;
}

bool is_occupied(const AddressSpace& memory, GuestAddr base, u64 size) {
  const std::vector<Occupied> ranges = occupied(memory);
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Occupied& range) { return range.overlaps(base, size); });
}

}  // namespace hindcast::devices
