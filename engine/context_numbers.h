// Numbers for what a context has no room for. Translated code depends on more than 64 bits where protection
// registers say what may be executed: the architecture then describes what matters in as many words as it
// takes, and puts the description's number into the context. A description that returns (a task runs again)
// finds its translations again. Never part of the state.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "engine/types.h"

namespace hindcast {

class ContextNumbers {
 public:
  static constexpr std::size_t kRemembered = 64;

  /// Different descriptions never have the same number; equal ones have, unless kRemembered others came
  /// between. From 1 up: there is no end to them within 40 bits.
  u64 number(std::span<const u64> description) {
    for (const Entry& e : entries_)
      if (std::equal(e.description.begin(), e.description.end(), description.begin(), description.end()))
        return e.number;
    if (entries_.size() == kRemembered) entries_.clear();
    entries_.push_back({{description.begin(), description.end()}, ++last_});
    return last_;
  }

 private:
  struct Entry {
    std::vector<u64> description;
    u64 number;
  };
  std::vector<Entry> entries_;
  u64 last_ = 0;
};

}  // namespace hindcast
