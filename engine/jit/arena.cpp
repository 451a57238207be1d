#include "engine/jit/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hindcast::jit {

Arena::Arena(u64 size) : size_(size) {
  int fd = ::memfd_create("hindcast-code", MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) != 0)
    throw Fatal(std::string("no memory for translated code: ") + std::strerror(errno));
  void* w = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  void* x = ::mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
  ::close(fd);
  if (w == MAP_FAILED || x == MAP_FAILED)
    throw Fatal(std::string("cannot map memory for translated code: ") + std::strerror(errno) +
                "; use --engine interp");
  write_ = static_cast<u8*>(w);
  exec_ = static_cast<u8*>(x);
}

Arena::~Arena() {
  ::munmap(write_, size_);
  ::munmap(exec_, size_);
}

/// Maps the pages up to `end` and some more at once: page by page, as they are touched, takes longer than
/// filling them with code.
void Arena::populate(u64 end) {
  constexpr u64 kStep = 512 * 1024;
  if (end <= populated_) return;
  const u64 bytes = std::min((end - populated_ + kStep - 1) / kStep * kStep, size_ - populated_);
  // Linux before 5.14 does not know it, and maps them one after the other.
  if (::madvise(write_ + populated_, bytes, MADV_POPULATE_WRITE) == 0)
    ::madvise(exec_ + populated_, bytes, MADV_POPULATE_READ);
  populated_ += bytes;
}

u32 Arena::append(const u8* code, u64 bytes) {
  u32 at = next_offset();
  populate(used_ + bytes);
  std::memcpy(write_ + at, code, bytes);
  used_ = (used_ + bytes + 15) & ~u64{15};
  return at;
}

void Arena::patch32(u32 offset, u32 value) { std::memcpy(write_ + offset, &value, 4); }

}  // namespace hindcast::jit
