// The host's monotonic clock. Decides when things are done (flushes, polls, sleeps), never what the guest
// sees.
#pragma once
#include <time.h>

#include "engine/types.h"

namespace hindcast::replay {

inline u64 host_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

}  // namespace hindcast::replay
