// The running hash of everything that left the machine.
#pragma once
#include <array>

#include "engine/archive.h"
#include "engine/input_port.h"
#include "engine/types.h"

namespace hindcast::replay {

/// Depends on the channels and bytes in their order, not on how they were grouped into calls. Its state is
/// small and can be saved, so a run that continues from a checkpoint ends with the same hash as one from
/// power-on.
class OutputHash {
 public:
  void add(Channel channel, ByteView data);
  /// xxh3-128 over the chain so far; does not disturb it.
  std::array<u8, 16> digest() const;
  /// Bytes added so far.
  u64 bytes() const { return total_; }
  void state(Archive& ar);

 private:
  static constexpr std::size_t kBlock = 1024;
  void absorb(ByteView data);

  std::array<u8, 16> chain_{};  // xxh3-128 of (chain, block) for each full block
  Bytes block_;                 // what has not filled a block yet
  u64 total_ = 0;
  u32 last_channel_ = ~u32{0};  // none yet
};

}  // namespace hindcast::replay
