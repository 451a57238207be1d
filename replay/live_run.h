// A live run that is recorded and that a debugger lets go on piece by piece.
#pragma once
#include <memory>
#include <string>

#include "replay/live_driver.h"
#include "replay/observer.h"
#include "replay/past_navigator.h"
#include "replay/pcap.h"

namespace hindcast::replay {

/// Owns everything that belongs to one live run; what takes the signals is one per process, and handed on.
/// Throws Fatal or storage::StoreError.
class LiveRun {
 public:
  /// From power-on, watched by the host's observer until finish().
  LiveRun(MachineConfig config, HostOptions host, const RecordOptions& options);
  /// Goes on where the cursor of `past` is, unwatched. The recording begins with a copy of what happened
  /// before, so that it stands by itself. `interrupts`: of the run that this one follows, or null.
  LiveRun(PastNavigator& past, HostOptions host, const RecordOptions& options,
          std::shared_ptr<Interrupts> interrupts = nullptr);
  ~LiveRun();
  LiveRun(const LiveRun&) = delete;
  LiveRun& operator=(const LiveRun&) = delete;

  Machine& machine() { return *machine_; }
  LiveDriver& driver() { return *driver_; }
  /// What a run that goes on from this one takes over: the console is open already.
  const HostOptions& host() const { return host_; }
  const std::string& path() const { return path_; }
  /// Readable from the first signal on that ends the run.
  int signal_fd() const { return interrupts_->fd(); }
  /// For a run that goes on from this one. Signals stop the run that was begun last.
  const std::shared_ptr<Interrupts>& interrupts() const { return interrupts_; }
  /// After a run that was to follow could not begin.
  void take_signals() { interrupts_->watch(machine_.get()); }
  /// Ends the run and closes the recording; the first call decides how. As in LiveDriver::finish(). Throws
  /// Fatal whenever it is called if the console could not be written.
  const RunResult& finish(StopKind kind, int signal = 0);
  bool finished() const { return result_.has_value(); }

 private:
  void open_lines(bool semihosting);
  void start_driver();

  HostOptions host_;
  Consoles consoles_;
  PcapWriter pcap_;
  std::string path_;
  std::shared_ptr<Interrupts> interrupts_;
  Recorder recorder_;
  std::unique_ptr<RecordingPort> port_;  // outlives the machine
  std::unique_ptr<Machine> machine_;
  std::optional<Observation> observation_;
  std::unique_ptr<LiveDriver> driver_;
  std::optional<RunResult> result_;
};

}  // namespace hindcast::replay
