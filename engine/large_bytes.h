// Buffers the size of a kernel or a disk.
#pragma once
#include <sys/mman.h>

#include "engine/types.h"

namespace hindcast {

/// bytes.reserve(size), with fewer and larger pages behind it, if the host has them.
inline void reserve_large(Bytes& bytes, std::size_t size) {
  bytes.reserve(size);
  constexpr u64 kPage = 4096;
  const u64 first = (reinterpret_cast<u64>(bytes.data()) + kPage - 1) & ~(kPage - 1);
  const u64 end = reinterpret_cast<u64>(bytes.data() + bytes.capacity()) & ~(kPage - 1);
  if (first < end) ::madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}

}  // namespace hindcast
