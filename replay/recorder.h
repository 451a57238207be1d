// The recorder: turns what a live run was given into a recording.
#pragma once
#include <memory>
#include <optional>

#include "engine/machine.h"
#include "replay/checkpoint.h"
#include "replay/keeper.h"
#include "replay/session.h"
#include "storage/event_store.h"

namespace hindcast::replay {

/// Numbers the events and hands them to the store. Events that happen while the machine is being built,
/// before there is a store, are kept until start(). Throws storage::StoreError when the host cannot take
/// more.
class Recorder {
 public:
  explicit Recorder(const RecordOptions& options);

  /// Creates the recording of the machine that `config` has built; `meta` describes it.
  void start(const Bytes& meta, const MachineConfig& config);

  /// The same, for a run that goes on at `icount` where another one's events before `next` have happened:
  /// they are copied, what happened while this machine was built is not.
  void start_branch(const Bytes& meta, const MachineConfig& config, const storage::Reader& from,
                    Icount icount, Position next);
  /// Records a checkpoint of the machine, which has arrived at its icount.
  void checkpoint(Machine& machine, PortBase& port);

  /// One event at `icount`, which is never below an earlier one's.
  void append(u8 kind, Channel channel, Icount icount, Bytes payload);
  /// All that happened before `icount` is in the operating system's hands when this returns.
  void flush(Icount icount);
  /// Whether flush() would add any event.
  bool has_unflushed() const { return unflushed_; }

  /// Called before the machine runs on: makes it stop soon if the flight recorder needs a checkpoint.
  void plan(Machine& machine);
  /// The next icount at which the machine must stop for at_stop(), always beyond the present one.
  Icount next_stop() const;
  /// Called when the machine has arrived at `icount`, before anything else happens there: records hashes and
  /// checkpoints if it is time. `busy_ns`: host time that the run has taken so far, for the overhead budget.
  void at_stop(Machine& machine, PortBase& port, u64 busy_ns);

  void close(const storage::EndRecord& end) { writer_->close(end); }
  u64 log_bytes() const { return writer_ ? writer_->event_bytes() : 0; }

 private:
  void create(const Bytes& meta, const MachineConfig& config, bool segmented);
  /// The recording begins where `from` does, at a checkpoint.
  void copy_beginning(const storage::Reader& from, const storage::CheckpointInfo& begin);
  bool checkpoint_is_due(Machine& machine, Icount icount, u64 busy_ns);

  RecordOptions options_;
  std::unique_ptr<storage::Writer> writer_;
  std::vector<storage::EventRecord> early_;
  Icount last_icount_ = 0;
  u32 next_seq_ = 0;  // at last_icount_
  bool unflushed_ = false;
  Icount next_grid_;
  Icount next_every_ = kNever;
  Icount next_keep_ = kNever;  // the flight recorder's stop
  std::optional<Keeper> keeper_;
  CheckpointMaker maker_;
  u64 checkpoint_ns_ = 0;          // spent on checkpoints so far
  u64 last_checkpoint_ns_ = 0;     // on the last one
  u64 last_checkpoint_at_ns_ = 0;  // busy_ns when it was made
};

}  // namespace hindcast::replay
