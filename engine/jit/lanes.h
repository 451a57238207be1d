// Counters that translated code keeps in a host register: an addition to memory takes longer than a short
// block, one to a register next to nothing. What they have gained joins the counters when the code is left,
// and before it calls anything that could look.
#pragma once
#include <array>
#include <map>

#include "engine/instrument.h"

namespace hindcast::jit {

class Lanes {
 public:
  static constexpr unsigned kCount = 2;
  /// The host register that holds them, 64 bits each; translated code that has lanes keeps nothing else
  /// there.
  static constexpr u8 kXmm = 15;

  Lanes();
  /// Whether translated code can address what it needs; otherwise there are no lanes.
  bool usable() const { return usable_; }
  /// From now on code may add to the counter in a lane; others may still add to it in memory. False: there is
  /// none left.
  bool assign(u8* counter);
  /// No lane is the counter's any more. All code that was made so far must be dropped.
  void release(const u8* counter);
  /// Its lane, or -1.
  int find(const u8* counter) const;
  /// The 16 bytes that code adds to kXmm; null: no room, the additions go to memory.
  const u8* amounts(const std::array<u64, kCount>& amounts);
  /// Where code puts kXmm when it is left or calls, from where it takes it again.
  u8* saved() const { return memory_.data(); }
  /// Adds what is in saved() to the counters.
  void flush();

 private:
  LowMemory memory_;  // saved(), then the constants of code
  bool usable_ = false;
  std::array<u8*, kCount> counters_{};
  std::map<std::array<u64, kCount>, const u8*> constants_;
};

}  // namespace hindcast::jit
