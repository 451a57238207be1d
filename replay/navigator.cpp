#include "replay/navigator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "replay/checkpoint.h"
#include "replay/host_clock.h"
#include "replay/navigator_snapshots.h"
#include "replay/past_navigator.h"
#include "replay/player.h"

namespace hindcast::replay {
namespace {

constexpr u64 kSnapshotBudget = 256u << 20;
/// Snapshots are not made closer together than this: running so far costs less than they do.
constexpr Icount kSpacing = 1 << 14;
/// How far a run without a known end goes between two thoughts about a snapshot.
constexpr Icount kLeg = 1 << 20;
/// A run without a known end spends at most one part in so many on snapshots, and has one each kLegNs.
constexpr u64 kSnapshotShare = 10;
constexpr u64 kLegNs = 20'000'000;
/// For a bisection: seven halvings find a snapshot, and the other twenty or thirty run no more than this part
/// each.
constexpr u64 kBisectionParts = 128;
/// The first segment that a search backwards looks at; each is twice as long as the one after it.
constexpr Icount kFirstSegment = 1 << 16;

class RecordingNavigator final : public PastNavigator {
 public:
  RecordingNavigator(const std::string& path, const EngineOptions& engine, bool verify)
      : player_(path, engine, verify) {
    if (player_.empty())
      throw Fatal(path + ": nothing was recorded; the recorder was killed before the machine ran");
    player_.advance(0);
    begin_ = player_.icount();
    snapshots_.emplace(player_, kSnapshotBudget, verify);
  }

  Machine& machine() override { return player_.machine(); }
  Icount begin() const override { return begin_; }
  Icount end() const override { return player_.end_icount(); }
  Icount position() const override { return player_.icount(); }
  u64 executed() const override { return player_.executed(); }
  void prepare_bisection() override { owed_every_ = std::max(kSpacing, (end() - begin()) / kBisectionParts); }
  void on_output(std::function<void(Channel, ByteView)> fn) override { output_ = std::move(fn); }
  void set_breakpoints(std::set<GuestAddr> pcs) override;
  void set_watches(std::vector<AddressSpace::Watch> watches) override;
  void set_filter(StopFilter filter) override { filter_ = std::move(filter); }

  NavStop seek(Icount icount) override;
  NavStop run(Icount limit) override;
  NavStop step(unsigned vcpu, u64 count) override;
  NavStop step_back(unsigned vcpu) override;
  NavStop run_back(bool access_here) override;
  void request_stop() override {
    stop_ = true;
    machine().request_stop();
  }
  void follow() override;
  const MachineConfig& config() const override { return player_.config(); }
  const storage::Reader& reader() const override { return player_.reader(); }
  Position next_event() override { return player_.port().cursor().next_position(); }
  void clone_into(Machine& other, PortBase& port) override;

 private:
  using Kind = NavStop::Kind;
  struct Found {
    Icount icount;
    NavStop stop;
  };

  template <typename Move>
  NavStop move(Move&& body);
  /// Lets output through while it lives.
  struct Loud {
    explicit Loud(RecordingNavigator& navigator);
    ~Loud();
    RecordingNavigator& navigator;
  };
  /// The machine stops at switches while it lives.
  struct Switches {
    explicit Switches(Machine& m) : machine(m) { machine.stop_at_switches(true); }
    ~Switches() { machine.stop_at_switches(false); }
    Machine& machine;
  };
  void arm(bool on);
  Breakpoints armed();
  NavStop stopped(Kind kind);
  /// What a pause of the player means here. Nothing if the run is to go on, with `stop_here` set for that.
  std::optional<NavStop> judge(StopReason reason, bool& stop_here);
  /// Without breakpoints. False: interrupted on the way.
  bool go_to(Icount icount);
  bool run_to(Icount icount);
  void maybe_snapshot(Icount cursor);
  /// Runs from here to `limit` at most, until judge() finds a stop, or to a switch. Arrived: no stop.
  NavStop run_armed(Icount limit, bool stop_here);
  NavStop step_among_several(unsigned vcpu, u64 count);
  /// The position after attempt number `count` of `vcpu`, which is before `until`. Nothing if interrupted.
  std::optional<Icount> end_of_attempt(unsigned vcpu, u64 count, Icount until);
  Icount segment_start(Icount end, Icount length) const;
  /// The last stop from here to `until`. Watches hit by the last instruction before it count if
  /// `hits_at_end`.
  std::optional<Found> last_stop(Icount until, bool hits_at_end);

  Player player_;
  Icount begin_ = 0;
  std::optional<Snapshots> snapshots_;
  std::set<GuestAddr> breakpoints_;
  std::vector<AddressSpace::Watch> watches_;
  StopFilter filter_;
  std::function<void(Channel, ByteView)> output_;
  u64 heard_ = 0;  // bytes of output up to the furthest place that was reached going forward
  bool armed_ = false;
  bool lost_ = false;  // the machine is nowhere in the recording: a snapshot must be restored first
  std::atomic<bool> stop_ = false;
  Icount owed_every_ = kNever;  // at this distance from another a snapshot is made whatever it takes
  u64 snapshot_at_ns_ = 0;      // host time of the last look at whether to make one
};

RecordingNavigator::Loud::Loud(RecordingNavigator& n) : navigator(n) {
  if (!n.output_) return;
  n.player_.port().on_output([&n](Channel channel, ByteView data) {
    const u64 bytes = n.player_.port().output_hash().bytes();
    const u64 fresh = bytes > n.heard_ ? std::min<u64>(bytes - n.heard_, data.size()) : 0;
    n.heard_ = std::max(n.heard_, bytes);
    if (fresh != 0 && n.player_.port().is_console(channel)) n.output_(channel, data.last(fresh));
  });
}

RecordingNavigator::Loud::~Loud() { navigator.player_.port().on_output({}); }

void RecordingNavigator::follow() {
  player_.follow();
  // A flight recorder has dropped what was before.
  if (const auto kept = player_.reader().begin()) begin_ = std::max(begin_, kept->icount);
  snapshots_->follow(begin_);
  lost_ |= position() < begin_;
}

/// What all moves begin and end with.
template <typename Move>
NavStop RecordingNavigator::move(Move&& body) {
  stop_ = false;
  try {
    if (lost_) {
      snapshots_->restore(snapshots_->last_before(std::max(position(), begin_)));
      lost_ = false;
    }
    return body();
  } catch (const Divergence&) {
    lost_ = true;
    throw;
  } catch (const storage::StoreError&) {
    lost_ = true;
    throw;
  }
}

void RecordingNavigator::set_breakpoints(std::set<GuestAddr> pcs) {
  if (pcs == breakpoints_) return;
  breakpoints_ = std::move(pcs);
  if (armed_) machine().set_breakpoints(armed());
}

void RecordingNavigator::set_watches(std::vector<AddressSpace::Watch> watches) {
  watches_ = std::move(watches);
  if (armed_) machine().memory().set_watches(watches_);
}

Breakpoints RecordingNavigator::armed() {
  return {breakpoints_, [this](Vcpu& vcpu) {
            return !filter_ || filter_(vcpu.machine(), {Kind::Breakpoint, vcpu.index(), {}});
          }};
}

void RecordingNavigator::arm(bool on) {
  if (armed_ == on) return;
  armed_ = on;
  machine().set_breakpoints(on ? armed() : Breakpoints{});
  machine().memory().set_watches(on ? watches_ : std::vector<AddressSpace::Watch>{});
}

NavStop RecordingNavigator::stopped(Kind kind) {
  NavStop stop;
  stop.kind = kind;
  stop.vcpu = machine().current().index();
  return stop;
}

std::optional<NavStop> RecordingNavigator::judge(StopReason reason, bool& stop_here) {
  stop_here = true;
  switch (reason) {
    case StopReason::Watchpoint: {
      NavStop stop = stopped(Kind::Watchpoint);
      stop.watch = machine().memory().take_watch_hit();
      if (!filter_ || filter_(machine(), stop)) return stop;
      return std::nullopt;
    }
    case StopReason::Breakpoint: return stopped(Kind::Breakpoint);
    default:
      if (stop_) return stopped(Kind::Interrupted);
      return std::nullopt;
  }
}

void RecordingNavigator::clone_into(Machine& other, PortBase& port) {
  const Icount here = position();
  if (here > begin()) {
    // A stop at a breakpoint is in the middle of what happens at its position.
    go_to(here - 1);
    go_to(here);
  }
  copy_state(machine(), player_.port(), other, port);
}

// ---- to a known position

bool RecordingNavigator::go_to(Icount icount) {
  arm(false);
  const Icount best = snapshots_->last_before(icount);
  if (position() > icount || position() < best) snapshots_->restore(best);
  return run_to(icount);
}

/// On a long way, snapshots are left halfway, halfway through the rest and so on: whoever goes back from here
/// finds one at any distance.
bool RecordingNavigator::run_to(Icount icount) {
  u64 last_ns = host_now_ns();
  while (position() < icount) {
    const Icount rest = icount - position();
    const Icount mark = rest < 2 * kSpacing ? icount : position() + rest / 2;
    const StopReason reason = player_.advance(mark);
    if (stop_) return false;
    if (reason == StopReason::Exit) return true;
    const u64 now_ns = host_now_ns();
    if (position() >= icount || position() != mark) continue;
    const bool owed = mark - snapshots_->last_before(mark) >= owed_every_;
    if (owed || now_ns - last_ns >= snapshots_->take_ns()) {
      snapshots_->take(icount);
      last_ns = now_ns;
    }
  }
  return true;
}

NavStop RecordingNavigator::seek(Icount icount) {
  return move([&] {
    const Icount target = std::clamp(icount, begin(), end());
    bool arrived = false;
    if (target >= position()) {
      Loud loud(*this);
      arrived = go_to(target);
    } else {
      arrived = go_to(target);
    }
    if (!arrived) return stopped(Kind::Interrupted);
    if (icount > end()) return stopped(Kind::End);
    return stopped(icount < begin() ? Kind::Begin : Kind::Arrived);
  });
}

// ---- forward

void RecordingNavigator::maybe_snapshot(Icount cursor) {
  const u64 now_ns = host_now_ns();
  if (now_ns - snapshot_at_ns_ < std::max(kLegNs, kSnapshotShare * snapshots_->take_ns())) return;
  snapshots_->take(cursor);
  snapshot_at_ns_ = host_now_ns();
}

NavStop RecordingNavigator::run_armed(Icount limit, bool stop_here) {
  arm(true);
  snapshot_at_ns_ = host_now_ns();
  limit = std::min(limit, end());
  Icount leg_end = position();
  while (position() < limit) {
    if (position() >= leg_end) leg_end = limit - position() > kLeg ? position() + kLeg : limit;
    const StopReason reason = player_.advance(leg_end, stop_here);
    if (auto stop = judge(reason, stop_here)) return *stop;
    if (stop_) return stopped(Kind::Interrupted);
    if (reason == StopReason::Exit || reason == StopReason::Switch) break;
    if (reason == StopReason::Limit) maybe_snapshot(position());
  }
  return stopped(Kind::Arrived);
}

NavStop RecordingNavigator::run(Icount limit) {
  return move([&] {
    Loud loud(*this);
    NavStop stop = run_armed(limit, false);
    if (stop.kind == Kind::Arrived && position() < limit) stop.kind = Kind::End;
    return stop;
  });
}

NavStop RecordingNavigator::step(unsigned vcpu, u64 count) {
  return move([&] {
    Loud loud(*this);
    if (machine().vcpu_count() > 1) return step_among_several(vcpu, count);
    const u64 left = end() - position();
    NavStop stop = run_armed(position() + std::min(count, left), false);
    if (stop.kind == Kind::Arrived && count > left) stop.kind = Kind::End;
    return stop;
  });
}

NavStop RecordingNavigator::step_among_several(unsigned vcpu, u64 count) {
  if (vcpu >= machine().vcpu_count()) throw Fatal(fmt::format("there is no vCPU {}", vcpu));
  const Switches switches(machine());
  Vcpu& cpu = machine().vcpu(vcpu);
  const u64 until = cpu.executed() + count;
  const Icount start = position();
  while (cpu.executed() < until) {
    if (position() >= end()) return stopped(Kind::End);
    // While another runs, a switch comes before the first instruction of this one.
    const u64 room = end() - position();
    const u64 leg = &machine().current() == &cpu ? std::min(room, until - cpu.executed()) : room;
    NavStop stop = run_armed(position() + leg, position() != start);
    if (stop.kind != Kind::Arrived) return stop;
  }
  NavStop stop = stopped(Kind::Arrived);
  stop.vcpu = vcpu;
  return stop;
}

// ---- backward

NavStop RecordingNavigator::step_back(unsigned vcpu) {
  return move([&] {
    if (vcpu >= machine().vcpu_count()) throw Fatal(fmt::format("there is no vCPU {}", vcpu));
    const Icount now = position();
    const u64 done = machine().vcpu(vcpu).executed();
    if (now == begin() || done == 0) {
      const bool arrived = go_to(begin());
      return stopped(arrived ? Kind::Begin : Kind::Interrupted);
    }
    bool arrived = go_to(now - 1);
    if (arrived && machine().vcpu(vcpu).executed() == done) {
      // Others have run since.
      const std::optional<Icount> after = end_of_attempt(vcpu, done, now - 1);
      arrived = after && go_to(*after - 1);
    }
    NavStop stop = stopped(arrived ? Kind::Arrived : Kind::Interrupted);
    stop.vcpu = vcpu;
    return stop;
  });
}

std::optional<Icount> RecordingNavigator::end_of_attempt(unsigned vcpu, u64 count, Icount until) {
  arm(false);
  const Vcpu& cpu = machine().vcpu(vcpu);
  Icount end = until;
  do {
    const Icount start = snapshots_->last_before(end - 1);
    snapshots_->restore(start);
    if (cpu.executed() >= count) {
      end = start;
      continue;
    }
    // A vCPU's turn ends where another takes over.
    const Switches switches(machine());
    while (position() < end && cpu.executed() < count) {
      player_.advance(end);
      if (stop_) return std::nullopt;
    }
    return position();
  } while (end > begin());
  return begin() + 1;
}

/// Where to begin in order to search about `length` before `end`.
Icount RecordingNavigator::segment_start(Icount end, Icount length) const {
  const Icount nearest = snapshots_->last_before(end - 1);
  if (end - nearest >= length) return nearest;
  const Icount wanted = snapshots_->last_before(end - begin() > length ? end - length : begin());
  return end - wanted <= 4 * length ? wanted : nearest;
}

std::optional<RecordingNavigator::Found> RecordingNavigator::last_stop(Icount until, bool hits_at_end) {
  std::optional<Found> last;
  bool stop_here = true;
  arm(true);
  snapshot_at_ns_ = host_now_ns();
  Icount leg_end = position();
  while (position() < until) {
    if (position() >= leg_end) leg_end = until - position() > kLeg ? position() + kLeg : until;
    const StopReason reason = player_.advance(leg_end, stop_here);
    if (auto stop = judge(reason, stop_here)) {
      if (stop->kind == Kind::Interrupted) break;
      if (position() < until || hits_at_end) last = Found{position(), *stop};
      stop_here = stop->kind != Kind::Breakpoint;
    } else if (reason == StopReason::Limit) {
      maybe_snapshot(until);
    }
    if (stop_ || reason == StopReason::Exit) break;
  }
  return last;
}

NavStop RecordingNavigator::run_back(bool access_here) {
  return move([&] {
    const Icount now = position();
    Icount end = now, length = kFirstSegment;
    while (end > begin()) {
      const Icount start = segment_start(end, length);
      snapshots_->restore(start);
      std::optional<Found> found = last_stop(end, access_here || end != now);
      if (stop_) {
        // Nothing stopped the run from `end` on; what is before it is not known yet.
        stop_ = false;
        go_to(end);
        return stopped(Kind::Interrupted);
      }
      if (found) {
        if (!go_to(found->icount)) return stopped(Kind::Interrupted);
        if (found->stop.kind == Kind::Breakpoint) {
          // As a run forward would stand there: timers that are due have fired, and the vCPU has been chosen.
          arm(true);
          if (player_.advance(found->icount + 1, true) != StopReason::Breakpoint) go_to(found->icount);
        }
        return found->stop;
      }
      end = start;
      length *= 2;
    }
    const bool arrived = go_to(begin());
    return stopped(arrived ? Kind::Begin : Kind::Interrupted);
  });
}

}  // namespace

std::unique_ptr<Navigator> Navigator::open(const std::string& path, const EngineOptions& engine,
                                           bool verify) {
  return std::make_unique<RecordingNavigator>(path, engine, verify);
}

std::unique_ptr<PastNavigator> PastNavigator::open(const std::string& path, const EngineOptions& engine) {
  return std::make_unique<RecordingNavigator>(path, engine, true);
}

}  // namespace hindcast::replay
