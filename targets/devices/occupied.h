// What a machine's addresses are taken by.
#pragma once
#include <vector>

#include "engine/address_space.h"

namespace hindcast::devices {

struct Occupied {
  GuestAddr base = 0;
  u64 size = 0;
  /// Neither size is 0; ranges may end where all addresses do.
  bool overlaps(GuestAddr other, u64 other_size) const {
    return other < base ? base - other < other_size : other - base < size;
  }
};
/// All memories, then all devices, in the order in which they came.
std::vector<Occupied> occupied(const AddressSpace& memory);
/// Whether anything is in that range.
bool is_occupied(const AddressSpace& memory, GuestAddr base, u64 size);

}  // namespace hindcast::devices
