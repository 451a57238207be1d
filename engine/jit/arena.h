// The code arena: one memfd mapped twice, executable and writable at different addresses. Bounded; filled
// from the start, and emptied whole.
#pragma once
#include "engine/types.h"

namespace hindcast::jit {

class Arena {
 public:
  explicit Arena(u64 size);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Address at which the next code will run.
  const u8* next() const { return exec_ + used_; }
  u32 next_offset() const { return static_cast<u32>(used_); }
  bool has_room(u64 bytes) const { return used_ + bytes + 64 <= size_; }
  /// Copies code to next() and returns its offset. Requires room.
  u32 append(const u8* code, u64 bytes);
  void patch32(u32 offset, u32 value);
  void clear_after(u32 offset) { used_ = offset; }
  bool contains(const void* p) const {
    auto a = reinterpret_cast<std::uintptr_t>(p), b = reinterpret_cast<std::uintptr_t>(exec_);
    return a - b < size_;
  }
  const u8* exec() const { return exec_; }

 private:
  void populate(u64 end);

  u8* write_ = nullptr;
  u8* exec_ = nullptr;
  u64 size_, used_ = 0;
  u64 populated_ = 0;  // bytes at the beginning whose pages are mapped
};

}  // namespace hindcast::jit
