#include "replay/timeline.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "replay/event_format.h"

namespace hindcast::replay {

std::unique_ptr<Timeline> Timeline::open(const std::string& path, HostOptions branches) {
  std::unique_ptr<Timeline> timeline(new Timeline(path, std::move(branches)));
  timeline->past();
  timeline->in_past_ = true;
  return timeline;
}

std::unique_ptr<Timeline> Timeline::start(MachineConfig config, HostOptions host,
                                          const RecordOptions& options) {
  std::unique_ptr<Timeline> timeline(new Timeline(options.path, host));
  timeline->live_ = std::make_unique<LiveRun>(std::move(config), std::move(host), options);
  return timeline;
}

Timeline::~Timeline() = default;

Machine& Timeline::machine() { return in_past_ ? past_->machine() : live_->machine(); }

Icount Timeline::end() const { return live_ ? live_->machine().icount() : past_->end(); }

Icount Timeline::position() const { return in_past_ ? past_->position() : live_->machine().icount(); }

void Timeline::on_output(std::function<void(Channel, ByteView)> fn) {
  output_ = std::move(fn);
  if (!live_) past_->on_output(output_);
}

void Timeline::set_breakpoints(std::set<GuestAddr> pcs) {
  breakpoints_ = std::move(pcs);
  if (past_) past_->set_breakpoints(breakpoints_);
}

void Timeline::set_watches(std::vector<AddressSpace::Watch> watches) {
  watches_ = std::move(watches);
  if (past_) past_->set_watches(watches_);
}

void Timeline::set_filter(StopFilter filter) {
  filter_ = std::move(filter);
  if (past_) past_->set_filter(filter_);
}

void Timeline::request_stop() {
  const std::lock_guard lock(pieces_);
  if (past_) past_->request_stop();
  if (live_) live_->driver().pause();
}

// ---- between past and present

PastNavigator& Timeline::past() {
  if (past_) return *past_;
  auto opened = PastNavigator::open(path_, live_ ? live_->host().engine : host_.engine);
  opened->set_breakpoints(breakpoints_);
  opened->set_watches(watches_);
  opened->set_filter(filter_);
  const std::lock_guard lock(pieces_);
  past_ = std::move(opened);
  return *past_;
}

void Timeline::settle() {
  if (live_ && !live_->finished()) live_->driver().settle();
}

bool Timeline::enter_past() {
  if (in_past_) return true;
  settle();
  past().follow();
  const Icount present = live_->machine().icount();
  if (past_->seek(present).kind == Kind::Interrupted) return false;
  if (past_->position() != present)
    throw Fatal(fmt::format("internal error: the recording ends at icount {}, the run is at {}",
                            past_->position(), present));
  arm(false);
  in_past_ = true;
  return true;
}

NavStop Timeline::leave_past(NavStop stop) {
  if (!live_ || past_->position() != live_->machine().icount()) return stop;
  in_past_ = false;
  Machine& present = live_->machine();
  if (stop.kind != Kind::End || present.exited() || !breakpoints_.contains(present.current().pc()))
    return stop;
  // The present is where a breakpoint stopped the run.
  NavStop breakpoint = stopped(Kind::Breakpoint);
  return !filter_ || filter_(present, breakpoint) ? breakpoint : stop;
}

/// What all moves begin with.
template <typename Move>
NavStop Timeline::move(Move&& body) {
  if (live_) live_->driver().resume();
  return body();
}

NavStop Timeline::seek(Icount icount) {
  return move([&] {
    if (!live_) return past_->seek(icount);
    const Icount present = live_->machine().icount();
    if (icount >= present) {
      in_past_ = false;
      return stopped(icount > present ? Kind::End : Kind::Arrived);
    }
    // From wherever the cursor of the past was last.
    settle();
    past().follow();
    arm(false);
    const NavStop stop = past_->seek(icount);
    in_past_ = true;
    return leave_past(stop);
  });
}

NavStop Timeline::run(Icount limit) {
  return move([&] { return in_past_ ? leave_past(past_->run(limit)) : go(limit, false); });
}

NavStop Timeline::step(unsigned vcpu, u64 count) {
  return move([&] { return in_past_ ? leave_past(past_->step(vcpu, count)) : step_live(vcpu, count); });
}

NavStop Timeline::step_back(unsigned vcpu) {
  return move([&] {
    if (position() == begin()) return stopped(Kind::Begin);
    if (!enter_past()) return stopped(Kind::Interrupted);
    return leave_past(past_->step_back(vcpu));
  });
}

NavStop Timeline::run_back(bool access_here) {
  return move([&] {
    if (position() == begin()) return stopped(Kind::Begin);
    if (!enter_past()) return stopped(Kind::Interrupted);
    return leave_past(past_->run_back(access_here));
  });
}

// ---- the present

NavStop Timeline::stopped(Kind kind) {
  NavStop stop;
  stop.kind = kind;
  stop.vcpu = machine().current().index();
  return stop;
}

void Timeline::arm(bool on) {
  Machine& machine = live_->machine();
  Breakpoints breakpoints;
  if (on)
    breakpoints = {breakpoints_, [this](Vcpu& vcpu) {
                     return !filter_ || filter_(vcpu.machine(), {Kind::Breakpoint, vcpu.index(), {}});
                   }};
  machine.set_breakpoints(std::move(breakpoints));
  if (on || machine.memory().watching())
    machine.memory().set_watches(on ? watches_ : std::vector<AddressSpace::Watch>{});
}

NavStop Timeline::go(Icount limit, bool stop_here) {
  arm(true);
  LiveDriver& driver = live_->driver();
  Machine& machine = live_->machine();
  if (!live_->finished()) ended_.reset();
  while (!live_->finished()) {
    const LiveDriver::Halt halt = driver.go(limit, stop_here);
    if (halt.end) {
      ended_ = halt.end;
      if (halt.end == StopKind::GuestExit) live_->finish(StopKind::GuestExit);
      break;
    }
    NavStop stop = stopped(Kind::Arrived);
    switch (halt.reason) {
      case StopReason::Breakpoint: stop.kind = Kind::Breakpoint; return stop;
      case StopReason::Watchpoint:
        stop.kind = Kind::Watchpoint;
        stop.watch = machine.memory().take_watch_hit();
        break;
      case StopReason::Stopped: stop.kind = Kind::Interrupted; return stop;
      default: return stop;
    }
    if (!filter_ || filter_(machine, stop)) return stop;
    stop_here = true;
  }
  return stopped(Kind::End);
}

NavStop Timeline::step_live(unsigned vcpu, u64 count) {
  Machine& machine = live_->machine();
  if (vcpu >= machine.vcpu_count()) throw Fatal(fmt::format("there is no vCPU {}", vcpu));
  if (machine.vcpu_count() == 1) return go(machine.icount() + count, false);
  struct Switches {
    explicit Switches(Machine& m) : machine(m) { machine.stop_at_switches(true); }
    ~Switches() { machine.stop_at_switches(false); }
    Machine& machine;
  };
  const Switches switches(machine);
  Vcpu& cpu = machine.vcpu(vcpu);
  const u64 until = cpu.executed() + count;
  const Icount start = machine.icount();
  while (cpu.executed() < until) {
    // While another runs, a switch comes before the first instruction of this one.
    const bool own = &machine.current() == &cpu;
    const Icount limit = own ? machine.icount() + (until - cpu.executed()) : kNever;
    const NavStop stop = go(limit, machine.icount() != start);
    if (stop.kind != Kind::Arrived) return stop;
  }
  NavStop stop = stopped(Kind::Arrived);
  stop.vcpu = vcpu;
  return stop;
}

bool Timeline::run_free() {
  in_past_ = false;
  if (live_->finished()) return true;
  live_->driver().resume();
  arm(false);
  for (;;) {
    const LiveDriver::Halt halt = live_->driver().go(kNever, true);
    if (halt.end) {
      ended_ = halt.end;
      live_->finish(*halt.end);
      return true;
    }
    if (halt.reason == StopReason::Stopped) return false;
    live_->machine().memory().take_watch_hit();  // of what was watched before
  }
}

std::optional<std::string> Timeline::write(InputKind kind, const Bytes& payload) {
  if (!live_) return "a recording cannot be changed; monitor branch goes on from here in a new run";
  if (in_past_) return "the past cannot be changed; monitor branch goes on from here in a new run";
  if (live_->finished()) return "the run has ended; go back and use monitor branch";
  return live_->driver().write(kind, payload);
}

std::optional<std::string> Timeline::write_register(unsigned vcpu, unsigned row, u64 value) {
  Bytes payload;
  put_le(payload, vcpu, 4);
  put_le(payload, row, 4);
  put_le(payload, value, 8);
  return write(InputKind::RegisterWrite, payload);
}

std::optional<std::string> Timeline::write_memory(GuestAddr physical, ByteView data) {
  Bytes payload;
  put_le(payload, physical, 8);
  payload.insert(payload.end(), data.begin(), data.end());
  return write(InputKind::MemoryWrite, payload);
}

void Timeline::branch(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) throw Fatal(path + " exists already; name another folder");
  if (live_) live_->driver().resume();
  if (!enter_past()) throw Fatal("interrupted");
  RecordOptions options;
  options.path = path;
  std::unique_ptr<LiveRun> run;
  if (live_) {
    try {
      run = std::make_unique<LiveRun>(*past_, live_->host(), options, live_->interrupts());
      live_->finish(ended_.value_or(StopKind::Interrupted));
    } catch (...) {
      run.reset();
      live_->take_signals();
      throw;
    }
  } else {
    run = std::make_unique<LiveRun>(*past_, host_, options, nullptr);
  }
  begin_ = past_->begin();
  path_ = path;
  ended_.reset();
  in_past_ = false;
  const std::lock_guard lock(pieces_);
  live_ = std::move(run);
  past_.reset();
}

}  // namespace hindcast::replay
