// The flight recorder's bookkeeping: when a new segment of the recording begins, and which old ones go.
#pragma once
#include <deque>
#include <functional>
#include <string>

#include "engine/types.h"
#include "storage/event_store.h"

namespace hindcast::replay {

/// How much of a run is kept. One of the two.
struct KeepOptions {
  u64 bytes = 0;     // of disk, at most
  VirtualNs ns = 0;  // of virtual time, at least
  bool on() const { return bytes != 0 || ns != 0; }
};

/// Keeps a recording within its bounds. Each segment begins at a checkpoint; the oldest are dropped whole.
class Keeper {
 public:
  /// Fewer bytes than this leave no room for segments.
  static constexpr u64 kMinBytes = u64{1} << 20;

  /// `notice` is told, once, if the machine's checkpoints do not fit the bounds.
  Keeper(const KeepOptions& options, std::function<void(const std::string&)> notice)
      : options_(options), notice_(std::move(notice)) {}

  /// The machine was switched on; the first segment begins.
  void start(storage::Writer& writer, VirtualNs now, u64 host_ns);
  /// A checkpoint should be made soon, for the next segment to begin with.
  bool due(const storage::Writer& writer, VirtualNs now, u64 host_ns) const;
  /// A checkpoint is about to be made: a segment starts with it if it is time.
  void before_checkpoint(storage::Writer& writer, VirtualNs now, u64 host_ns);
  /// It has been put: what is too much now goes.
  void after_checkpoint(storage::Writer& writer, VirtualNs now);

 private:
  /// What a segment may take before the next one begins.
  u64 step() const { return options_.bytes / 16; }
  void drop_old(storage::Writer& writer, VirtualNs now);

  KeepOptions options_;
  std::function<void(const std::string&)> notice_;
  std::deque<VirtualNs> begun_;  // of each segment
  u64 last_host_ns_ = 0;         // when the last segment had begun
  u64 cost_ns_ = 0;              // host time that this took
  u64 start_host_ns_ = 0;        // when it was started
  u64 start_bytes_ = 0;          // handed to the database before the checkpoint being made
  u64 checkpoint_bytes_ = 0;     // what one takes: the last one, or what is left of a larger one before
  bool starting_ = false;
};

}  // namespace hindcast::replay
