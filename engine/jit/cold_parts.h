// Parts of the code that are emitted behind the rest: function objects in memory that is used again for the
// next unit.
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace hindcast::jit {

class ColdParts {
 public:
  template <typename F>
  void add(const F& fn) {
    static_assert(std::is_trivially_destructible_v<F> && sizeof(F) <= kChunk);
    void* const at = take((sizeof(F) + kUnit - 1) / kUnit * kUnit);
    parts_.push_back({new (at) F(fn), [](void* part) { (*static_cast<F*>(part))(); }});
  }
  std::size_t size() const { return parts_.size(); }
  /// It may add further ones.
  void run(std::size_t index) {
    const Part part = parts_[index];
    part.run(part.at);
  }
  void clear() {
    parts_.clear();
    chunk_ = used_ = 0;
  }

 private:
  static constexpr std::size_t kChunk = 16384, kUnit = alignof(std::max_align_t);
  struct Part {
    void* at;
    void (*run)(void*);
  };
  void* take(std::size_t bytes) {
    if (used_ + bytes > kChunk) {
      ++chunk_;
      used_ = 0;
    }
    if (chunk_ == chunks_.size()) chunks_.push_back(std::make_unique<std::byte[]>(kChunk));
    std::byte* const at = chunks_[chunk_].get() + used_;
    used_ += bytes;
    return at;
  }

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::size_t chunk_ = 0, used_ = 0;
  std::vector<Part> parts_;
};

}  // namespace hindcast::jit
