// The player: a machine that goes the way of a recording. What replay(), and everything that seeks in a
// recording, runs on.
#pragma once
#include <memory>

#include "replay/meta.h"
#include "replay/replay_port.h"
#include "replay/run_result.h"
#include "storage/event_store.h"

namespace hindcast::replay {

/// Rebuilds the recorded machine and runs it along the recorded inputs. Everything read is treated as
/// hostile. Throws Fatal or storage::StoreError for a recording that cannot be used, Divergence when the
/// machine leaves the recorded path; after either the player is useless. Never sleeps, never asks the host
/// for anything.
class Player {
 public:
  /// Refuses recordings of other versions before anything is built. Without `verify`, recorded hashes are not
  /// looked at: only inputs that cannot be delivered are a Divergence.
  Player(const std::string& path, const EngineOptions& engine, bool verify = true);
  ~Player();
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  const storage::Reader& reader() const { return *reader_; }
  /// The recorder was killed before it had stored the machine: there is no machine(), and nothing can be run.
  bool empty() const { return machine_ == nullptr; }
  Machine& machine() { return *machine_; }
  ReplayPort& port() { return *port_; }

  /// The icount at which the recording ends.
  Icount end_icount() const { return end_icount_; }
  Icount icount() const { return machine_->icount(); }
  /// Instructions executed so far, on all ways.
  u64 executed() const { return executed_; }

  /// The recording has grown since it was opened: what has been added from now on counts. Nothing else
  /// changes.
  void follow();
  /// The recorded configuration, with the files' bytes.
  const MachineConfig& config() const { return meta_.config; }

  /// Goes back to power-on (or to the checkpoint at which the recording begins), or to the last checkpoint at
  /// or before `icount`.
  void restart();
  void restore_before(Icount icount);
  /// Runs until `limit`, at most to the end of the recording, or for at most `slice` instructions. True while
  /// there is more to run. All recorded events at the position reached have then happened.
  bool run(Icount limit, Icount slice);
  /// Runs until `limit`, at most to the end of the recording (Limit), or until the guest ends the run there
  /// (Exit), or to whatever else the machine stops for: Breakpoint, Watchpoint, Switch, Stopped. All recorded
  /// events at the position reached have then happened. `stop_here`: as in Machine::run().
  StopReason advance(Icount limit, bool stop_here = false);
  /// The machine and the port were given a state of this recording's path, after which the event at the front
  /// of `cursor` is the next. Also makes the player usable again after a Divergence.
  void resume_from(std::unique_ptr<EventCursor> cursor);
  /// Compares the final state with what a cleanly closed recording says. At the end only.
  void check_end();

 private:
  /// At power-on, or where the recording begins.
  void build();
  void restore(Icount checkpoint);
  /// Lets everything happen that is recorded between the instructions at the present icount.
  void apply_events();
  void apply(const storage::EventRecord& event);
  void apply_warp(const storage::EventRecord& event);
  void apply_boundary(const storage::EventRecord& event);
  void check_hashes(const storage::EventRecord& event);
  void check_root(const storage::EventRecord& event);
  [[noreturn]] void diverged(Position position, const std::string& what);
  void check_departure();
  /// The recording ends where a device ends the run between two instructions: lets it.
  void reach_exit();

  std::string path_;
  EngineOptions engine_;
  bool verify_;
  std::unique_ptr<storage::Reader> reader_;
  bool switched_ = false;  // apply_boundary() chose another vCPU
  Meta meta_;
  Icount end_icount_ = 0;
  u64 executed_ = 0;
  Icount checked_icount_ = 0;         // where the last recorded hash was found right
  Icount roots_right_until_ = 0;      // memory hashes up to here were found right, and are not checked again
  std::unique_ptr<ReplayPort> port_;  // outlives the machine
  std::unique_ptr<Machine> machine_;
};

}  // namespace hindcast::replay
