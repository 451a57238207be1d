// What a debugger moves on: a recording, or a live run with everything that it has recorded so far. Going
// back from the present of a live run leads into its recording, going forward from there back to the present
// (which is a stop), and from the present the run goes on.
#pragma once
#include <memory>
#include <mutex>
#include <string>

#include "replay/live_run.h"
#include "replay/past_navigator.h"

namespace hindcast::replay {

class Timeline final : public Navigator {
 public:
  /// A finished recording. `branches`: the host's side of runs that branch off.
  static std::unique_ptr<Timeline> open(const std::string& path, HostOptions branches);
  /// A live run, recorded into `options.path`, standing at power-on.
  static std::unique_ptr<Timeline> start(MachineConfig config, HostOptions host,
                                         const RecordOptions& options);
  ~Timeline() override;

  /// What runs.
  const MachineConfig& config() { return past().config(); }

  // Of a live run the end is its present.
  Machine& machine() override;
  Icount begin() const override { return past_ ? past_->begin() : begin_; }
  Icount end() const override;
  Icount position() const override;
  /// In recordings. What a live run prints goes to its console, once.
  void on_output(std::function<void(Channel, ByteView)> fn) override;
  void set_breakpoints(std::set<GuestAddr> pcs) override;
  void set_watches(std::vector<AddressSpace::Watch> watches) override;
  void set_filter(StopFilter filter) override;
  NavStop seek(Icount icount) override;
  NavStop run(Icount limit = kNever) override;
  NavStop step(unsigned vcpu, u64 count = 1) override;
  NavStop step_back(unsigned vcpu) override;
  NavStop run_back(bool access_here = false) override;
  void request_stop() override;

  /// There is a live run, which may have ended.
  bool has_present() const { return live_ != nullptr; }
  /// The cursor is at the present of a live run that can go on: the machine can be changed.
  bool at_present() const { return live_ != nullptr && !in_past_ && !live_->machine().exited(); }
  /// Goes to the present and on, without looking at breakpoints, until request_stop() or the end. True: the
  /// run has ended.
  bool run_free();
  /// How the run ended, once it has: the last move could not go on.
  std::optional<StopKind> ended() const { return ended_; }
  /// Ends the live run where it is and closes its recording. `signal`: what it died of, unless it had ended
  /// or another signal came. The first call counts.
  const RunResult& finish(int signal = 0) {
    return live_->finish(ended_.value_or(StopKind::Interrupted), signal);
  }
  /// While nothing moves, now and then: reads what is typed for the guest. False: the run is to end.
  bool look_at_host() { return live_ == nullptr || live_->finished() || live_->driver().look_at_host(); }
  /// Readable when the run is to end; -1: nothing can end it.
  int signal_fd() const { return live_ == nullptr ? -1 : live_->signal_fd(); }

  /// Changes the machine and logs the change. Nullopt, or why it cannot be done.
  std::optional<std::string> write_register(unsigned vcpu, unsigned row, u64 value);
  std::optional<std::string> write_memory(GuestAddr physical, ByteView data);
  /// Forks a live run from the cursor, recorded into a new folder. A live run that was there is ended, its
  /// recording closed; what was recorded stays as it is. Throws Fatal, and then everything is as it was.
  void branch(const std::string& path);
  /// What has happened up to now is in the recording, which may be read.
  void settle();
  /// The recording that the cursor is in.
  const std::string& path() const { return path_; }

 private:
  Timeline(std::string path, HostOptions host) : path_(std::move(path)), host_(std::move(host)) {}
  using Kind = NavStop::Kind;

  PastNavigator& past();
  /// Into the past, to where the present is. False: interrupted on the way.
  bool enter_past();
  /// After a move in the past: whether it has led to the present.
  NavStop leave_past(NavStop stop);
  template <typename Move>
  NavStop move(Move&& body);
  void arm(bool on);
  NavStop stopped(Kind kind);
  /// The live run goes on to `limit`, or to a stop that counts. Arrived: neither.
  NavStop go(Icount limit, bool stop_here);
  NavStop step_live(unsigned vcpu, u64 count);
  std::optional<std::string> write(InputKind kind, const Bytes& payload);

  std::string path_;
  HostOptions host_;
  std::unique_ptr<PastNavigator> past_;
  std::unique_ptr<LiveRun> live_;
  bool in_past_ = false;
  Icount begin_ = 0;  // while past_ is not open
  std::optional<StopKind> ended_;
  std::set<GuestAddr> breakpoints_;
  std::vector<AddressSpace::Watch> watches_;
  StopFilter filter_;
  std::function<void(Channel, ByteView)> output_;
  std::mutex pieces_;  // past_ and live_ do not change while request_stop() speaks to them
};

}  // namespace hindcast::replay
