#include "engine/jit/lanes.h"

#include <algorithm>
#include <cstring>

namespace hindcast::jit {

namespace {
constexpr std::size_t kSize = sizeof(u64) * Lanes::kCount;
constexpr std::size_t kMostConstants = 4095;
}  // namespace

Lanes::Lanes() : memory_(kSize * (kMostConstants + 1)) {
  usable_ = reinterpret_cast<u64>(memory_.data()) + memory_.size() <= 0x7fffffff;
}

bool Lanes::assign(u8* counter) {
  const auto free = std::find(counters_.begin(), counters_.end(), nullptr);
  if (!usable_ || free == counters_.end()) return false;
  *free = counter;
  return true;
}

void Lanes::release(const u8* counter) {
  std::replace(counters_.begin(), counters_.end(), const_cast<u8*>(counter), static_cast<u8*>(nullptr));
}

int Lanes::find(const u8* counter) const {
  const auto at = std::find(counters_.begin(), counters_.end(), counter);
  return at == counters_.end() ? -1 : static_cast<int>(at - counters_.begin());
}

const u8* Lanes::amounts(const std::array<u64, kCount>& amounts) {
  if (const auto known = constants_.find(amounts); known != constants_.end()) return known->second;
  if (constants_.size() >= kMostConstants) return nullptr;
  u8* const at = memory_.data() + kSize * (constants_.size() + 1);
  std::memcpy(at, amounts.data(), kSize);
  return constants_[amounts] = at;
}

void Lanes::flush() {
  std::array<u64, kCount> gained;
  std::memcpy(gained.data(), saved(), kSize);
  for (unsigned k = 0; k < kCount; ++k) {
    if (gained[k] == 0 || counters_[k] == nullptr) continue;
    u64 value;
    std::memcpy(&value, counters_[k], sizeof value);
    value += gained[k];
    std::memcpy(counters_[k], &value, sizeof value);
  }
  std::memset(saved(), 0, kSize);
}

}  // namespace hindcast::jit
