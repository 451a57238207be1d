#include "engine/instrument.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace hindcast {

LowMemory::LowMemory(std::size_t size) : size_(size == 0 ? 1 : size) {
  constexpr int kProtection = PROT_READ | PROT_WRITE, kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  void* at = MAP_FAILED;
#ifdef MAP_32BIT
  at = ::mmap(nullptr, size_, kProtection, kFlags | MAP_32BIT, -1, 0);
#endif
  if (at == MAP_FAILED) at = ::mmap(nullptr, size_, kProtection, kFlags, -1, 0);
  if (at == MAP_FAILED)
    throw Fatal("no memory for " + std::to_string(size) +
                " bytes of a plugin's counters: " + std::strerror(errno));
  data_ = static_cast<u8*>(at);
}

LowMemory::~LowMemory() { ::munmap(data_, size_); }

}  // namespace hindcast
