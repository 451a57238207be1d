// The loop around a live or recorded run: slices of execution, and between them everything that the host has
// to do.
#pragma once
#include <atomic>

#include "replay/host_lines.h"
#include "replay/interrupts.h"
#include "replay/live_port.h"
#include "replay/network_lines.h"
#include "replay/pacer.h"
#include "replay/recorder.h"
#include "replay/session.h"

namespace hindcast::replay {

/// What the guest's lines lead to.
struct HostEnds {
  Consoles consoles;
  std::vector<std::shared_ptr<Network>> networks;
};

/// Runs the machine to its end. With a recorder, output is given to the host only after the events that led
/// to it are in the store, and the recording is closed at the end.
class LiveDriver {
 public:
  /// `recorder`: null for a run that keeps nothing. All references must outlive the driver.
  LiveDriver(Machine& machine, LivePort& port, HostEnds ends, const Interrupts& interrupts,
             const HostOptions& host, Recorder* recorder);
  ~LiveDriver();
  LiveDriver(const LiveDriver&) = delete;
  LiveDriver& operator=(const LiveDriver&) = delete;
  /// Once. Throws Fatal or storage::StoreError; output that is not covered by the recording is then never
  /// shown.
  RunResult run();

  // For a debugger, instead of run(). Throw like run().
  /// How far the run has come.
  struct Halt {
    std::optional<StopKind> end;              // it ends so here, unless it is changed; always for GuestExit
    StopReason reason = StopReason::Stopped;  // else: Limit, Breakpoint, Watchpoint, Switch; Stopped: pause()
  };
  /// Lets the run go on to `limit` at most. `stop_here`: as in Machine::run().
  Halt go(Icount limit, bool stop_here);
  /// From any thread or signal handler: go() returns soon, or the next one does at once, until resume().
  void pause();
  void resume();
  /// What has happened up to here is in the recording.
  void settle();
  /// Changes a register or memory now, and logs it: the payload of event_format.h. Nullopt, or why not.
  std::optional<std::string> write(InputKind kind, ByteView payload);
  /// While the run stands still: reads what is typed ahead. False: the run is to end (a signal, or a key).
  bool look_at_host();
  /// Ends the run as go() said, or Interrupted anywhere, and closes the recording. `signal`: which it is said
  /// to have been if none came. Once.
  RunResult finish(StopKind kind, int signal = 0);

 private:
  /// How the run ends here and now, if it does.
  std::optional<StopKind> end_reason() const;

  Icount slice_limit() const;
  StopReason run_slice(Icount limit, bool stop_here);
  void throttle(u64 host_now);
  /// The machine waits: for input, the next timer, or for ever.
  std::optional<StopKind> idle();
  /// Virtual time has jumped to a timer that has not fired yet. The machine must run before anything else
  /// happens: this position has no name in the recording.
  bool jumped() const { return jumped_at_ == machine_.icount(); }
  /// Timers have fired here and the next vCPU was chosen. Input would come too late here: in a replay it
  /// comes before that.
  bool at_boundary() const { return boundary_at_ == machine_.icount(); }
  /// Sleeps until input comes, which it takes, a signal, or `host_deadline` (kNever: none). True: input came.
  bool sleep_for_input(u64 host_deadline);

  /// Makes the changes that the observer wants here. True: there were some.
  bool make_changes();

  /// Takes what has been typed, and come from networks, without waiting.
  void poll_host();
  /// Gives the guest what has been read, as far as it can take it. True if it was given anything.
  bool deliver();

  // Output.
  void flush_if_due(u64 now);
  void flush();
  /// Makes "idle here, at virtual time `now`" part of the recording. An idle machine stays at one icount
  /// while its timers fire; what is to happen between two of them, or after the last, needs this to be found
  /// again.
  void pin_idle(VirtualNs now);
  /// Makes what a replay that arrives at this icount would not know part of the recording.
  void pin();
  void report_progress(u64 now);

  Machine& machine_;
  LivePort& port_;
  HostLines lines_;
  NetworkLines networks_;
  const Interrupts& interrupts_;
  const HostOptions& host_;
  Recorder* recorder_;
  Pacer pacer_;

  Icount slice_ = 100'000;
  bool at_idle_ = false;          // the last run() ended Idle
  VirtualNs pinned_at_ = kNever;  // the last pin_idle() since then
  Icount boundary_at_ = kNever;   // where a breakpoint stopped the run
  std::atomic<bool> paused_ = false;
  int pause_fd_ = -1;  // an eventfd: readable while paused
  int wake_fd_ = -1;   // an epoll descriptor over it and the signals'
  Icount jumped_at_ = kNever;
  u64 idle_jumps_ = 0;  // jumps to timers since the last instruction
  u64 start_ns_ = 0, slept_ns_ = 0, last_flush_ns_ = 0, last_progress_ns_ = 0;
};

}  // namespace hindcast::replay
