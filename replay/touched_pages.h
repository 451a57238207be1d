// The pages of a memory block that are not all zero, at a cost that depends on what was touched.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "engine/address_space.h"
#include "storage/store_types.h"

namespace hindcast::replay {

/// Calls fn(first byte, end) for every stretch of the block that has memory behind it. Memory that nobody
/// touched has none, so a large, mostly unused RAM costs nothing.
template <typename Fn>
void for_each_extent(const RamBlock& block, Fn fn) {
  u64 at = 0;
  while (at < block.size) {
    const off_t data = ::lseek(block.fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) return;  // nothing more
      fn(at, block.size);          // the file system cannot tell: all of it
      return;
    }
    if (static_cast<u64>(data) >= block.size) return;
    const off_t hole = ::lseek(block.fd, data, SEEK_HOLE);
    const u64 end = hole < 0 ? block.size : std::min<u64>(static_cast<u64>(hole), block.size);
    const u64 first = static_cast<u64>(data) / storage::kPageSize * storage::kPageSize;
    fn(first, end);
    at = (end + storage::kPageSize - 1) / storage::kPageSize * storage::kPageSize;
  }
}

/// Calls fn(page number, content) for every page that is not all zero, in ascending order.
template <typename Fn>
void for_each_page(const RamBlock& block, Fn fn) {
  static constexpr std::array<u8, storage::kPageSize> kZeros{};
  for_each_extent(block, [&](u64 first, u64 end) {
    for (u64 at = first; at < end; at += storage::kPageSize) {
      const ByteView content(block.host + at, std::min<u64>(storage::kPageSize, block.size - at));
      if (std::memcmp(content.data(), kZeros.data(), content.size()) != 0)
        fn(at / storage::kPageSize, content);
    }
  });
}

}  // namespace hindcast::replay
