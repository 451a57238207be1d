// Wherever the navigator goes, it finds the state of the straight run; searches find what trying every
// instruction finds.
#include "replay/navigator.h"

#include <map>

#include "replay/checkpoint.h"
#include "replay/player.h"
#include "replay/touched_pages.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

using Kind = NavStop::Kind;

std::shared_ptr<TypingConsole> typing(std::string keys, u64 seed) {
  return std::make_shared<TypingConsole>(std::move(keys), seed);
}

/// A recording, the navigator on it, and a second player that goes straight.
class World {
 public:
  explicit World(const MachineConfig& config, const std::string& keys = "hello t world tq", u64 seed = 1,
                 RecordOptions options = {}) {
    record_to(path(), config, typing(keys, seed), options);
    navigator = Navigator::open(path(), {});
  }
  std::string path() const { return folder_ / "rec"; }
  Navigator& nav() { return *navigator; }

  /// The straight run's machine at `icount`.
  Machine& straight(Icount icount) {
    if (!player_ || player_->icount() > icount) player_ = std::make_unique<Player>(path(), EngineOptions{});
    player_->advance(icount);
    return player_->machine();
  }
  /// The navigator's machine is in the state of the straight run.
  void expect_right() {
    const Icount at = nav().position();
    SCOPED_TRACE("icount " + std::to_string(at));
    Machine& right = straight(at);
    ASSERT_EQ(right.icount(), at);
    SaveArchive a, b;
    right.state(a);
    nav().machine().state(b);
    EXPECT_EQ(a.bytes(), b.bytes());
    const auto& blocks = right.memory().ram_blocks();
    for (std::size_t i = 0; i < blocks.size(); ++i)
      EXPECT_EQ(content(*blocks[i]), content(*nav().machine().memory().ram_blocks()[i])) << blocks[i]->name;
  }

  std::unique_ptr<Navigator> navigator;

 private:
  static std::vector<std::pair<u64, Bytes>> content(const RamBlock& block) {
    std::vector<std::pair<u64, Bytes>> out;
    for_each_page(
        block, [&](u64 number, ByteView page) { out.emplace_back(number, Bytes(page.begin(), page.end())); });
    return out;
  }

  TempFolder folder_;
  std::unique_ptr<Player> player_;
};

u64 executed(Machine& machine, unsigned vcpu) { return machine.vcpu(vcpu).executed(); }

void seek_about(const MachineConfig& config, const std::string& keys, RecordOptions options = {}) {
  World w(config, keys, 3, options);
  std::mt19937_64 random(5);
  const Icount end = w.nav().end();
  ASSERT_GT(end, 500u);
  Icount at = 0;
  for (int i = 0; i < 24; ++i) {
    // Far and near, forward and back.
    at = i % 3 == 0 ? random() % (end + 1)
                    : std::min(end, at - std::min<Icount>(at, random() % 3000) + random() % 2000);
    EXPECT_EQ(w.nav().seek(at).kind, Kind::Arrived);
    EXPECT_EQ(w.nav().position(), at);
    w.expect_right();
  }
  EXPECT_EQ(w.nav().seek(end + 5).kind, Kind::End);
  EXPECT_EQ(w.nav().position(), end);
}

TEST(Navigator, SeeksAnywhere) { seek_about(machine_of(echo_program(true)), "some keys tt and q"); }

TEST(Navigator, SeeksWithTimersAndIdling) { seek_about(machine_of(ticker_program(60, 20'000)), "wake up"); }

TEST(Navigator, SeeksWithSeveralVcpus) { seek_about(machine_of(echo_program(true), 3), "keys t for threeq"); }

TEST(Navigator, SeeksFromCheckpointsOfTheRecording) {
  RecordOptions options;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 50'000;
  seek_about(machine_of(echo_program(true)), "a longer line of keys, with checkpoints tq", options);
}

TEST(Navigator, StepsBackInstructionByInstruction) {
  World w(machine_of(ticker_program(10, 20'000)), "ab");
  const Icount end = w.nav().end();
  w.nav().seek(end);
  for (Icount at = end; at > end - std::min<Icount>(end, 300);) {
    EXPECT_EQ(w.nav().step_back(0).kind, Kind::Arrived);
    EXPECT_EQ(w.nav().position(), --at);
    if (at % 32 == 0) w.expect_right();
  }
  w.nav().seek(2);
  EXPECT_EQ(w.nav().step_back(0).kind, Kind::Arrived);
  EXPECT_EQ(w.nav().step_back(0).kind, Kind::Arrived);
  EXPECT_EQ(w.nav().position(), w.nav().begin());
  EXPECT_EQ(w.nav().step_back(0).kind, Kind::Begin);
}

TEST(Navigator, StepsOfOneVcpuAmongSeveral) {
  World w(machine_of(echo_program(true), 3));
  for (Icount from : {Icount{49'990}, Icount{50'010}, Icount{120'000}}) {
    for (unsigned vcpu = 0; vcpu < 3; ++vcpu) {
      SCOPED_TRACE(std::to_string(from) + " vcpu " + std::to_string(vcpu));
      w.nav().seek(from);
      u64 count = executed(w.nav().machine(), vcpu);
      for (int i = 0; i < 3; ++i) {
        const NavStop stop = w.nav().step(vcpu);
        ASSERT_EQ(stop.kind, Kind::Arrived);
        EXPECT_EQ(stop.vcpu, vcpu);
        EXPECT_EQ(executed(w.nav().machine(), vcpu), ++count);
        w.expect_right();
      }
      // Back over the same ones, and beyond.
      for (int i = 0; i < 5 && count > 0; ++i) {
        ASSERT_EQ(w.nav().step_back(vcpu).kind, Kind::Arrived);
        EXPECT_EQ(executed(w.nav().machine(), vcpu), --count);
        w.expect_right();
        EXPECT_EQ(executed(w.straight(w.nav().position() + 1), vcpu), count + 1);
      }
    }
  }
}

/// All positions up to `until` at which the only vCPU is about to execute an instruction at `pc`, and whether
/// any memory in [base, base + size) changes by it.
struct Truth {
  std::vector<Icount> at_pc, changes;
};
Truth try_everything(World& w, Icount from, Icount until, GuestAddr pc, GuestAddr base, u64 size) {
  Truth truth;
  Machine& machine = w.straight(from);
  Bytes before(size), after(size);
  machine.memory().host_read(base, before.data(), size);
  for (Icount at = from; at < until; ++at) {
    if (w.straight(at).current().pc() == pc) truth.at_pc.push_back(at);
    w.straight(at + 1).memory().host_read(base, after.data(), size);
    if (after != before) truth.changes.push_back(at + 1);
    before = after;
  }
  return truth;
}

TEST(Navigator, RunsBackToTheLastBreakpointAndWatch) {
  World w(machine_of(echo_program(true)), "some keys t to tq", 2);
  const Icount until = std::min<Icount>(w.nav().end(), 60'000);
  // The pc that was executed here, and the checksum that every byte changes.
  const GuestAddr pc = w.straight(1234).current().pc();
  const GuestAddr watched = 0x80100000;
  const Truth truth = try_everything(w, 0, until, pc, watched, 8);
  ASSERT_GT(truth.at_pc.size(), 10u);

  w.nav().set_breakpoints({pc});
  w.nav().seek(until);
  for (std::size_t i = truth.at_pc.size(); i-- > truth.at_pc.size() - 10;) {
    EXPECT_EQ(w.nav().run_back().kind, Kind::Breakpoint);
    EXPECT_EQ(w.nav().position(), truth.at_pc[i]);
    w.expect_right();
  }
  w.nav().seek(truth.at_pc.front() + 1);
  EXPECT_EQ(w.nav().run_back().kind, Kind::Breakpoint);
  EXPECT_EQ(w.nav().position(), truth.at_pc.front());
  EXPECT_EQ(w.nav().run_back().kind, Kind::Begin);
  EXPECT_EQ(w.nav().position(), w.nav().begin());
  // And forward again.
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(w.nav().run().kind, Kind::Breakpoint);
    EXPECT_EQ(w.nav().position(), truth.at_pc[i]);
  }

  w.nav().set_breakpoints({});
  w.nav().set_watches({{watched, 8, false, true}});
  w.nav().set_filter([](Machine&, const NavStop& stop) {
    return stop.kind != Kind::Watchpoint || stop.watch->old_value != stop.watch->new_value;
  });
  w.nav().seek(until);
  for (std::size_t i = truth.changes.size(); i-- > 0;) {
    const NavStop stop = w.nav().run_back();
    ASSERT_EQ(stop.kind, Kind::Watchpoint);
    EXPECT_EQ(w.nav().position(), truth.changes[i]);
    ASSERT_TRUE(stop.watch);
    EXPECT_TRUE(stop.watch->store);
    w.expect_right();
  }
  EXPECT_EQ(w.nav().run_back().kind, Kind::Begin);
}

TEST(Navigator, AnAccessJustMadeCountsIfAskedFor) {
  for (unsigned smp : {1u, 2u}) {
    World w(machine_of(echo_program(true), smp), "some keys t to tq", 2);
    w.nav().set_watches({{0x80100000, 8, false, true}});
    ASSERT_EQ(w.nav().run().kind, Kind::Watchpoint);
    const Icount first = w.nav().position();
    ASSERT_EQ(w.nav().run().kind, Kind::Watchpoint);
    const Icount second = w.nav().position();
    EXPECT_EQ(w.nav().run_back(true).kind, Kind::Watchpoint);
    EXPECT_EQ(w.nav().position(), second);
    w.expect_right();
    EXPECT_EQ(w.nav().run_back().kind, Kind::Watchpoint);
    EXPECT_EQ(w.nav().position(), first);
    w.nav().seek(second - 1);
    EXPECT_EQ(w.nav().run_back(true).kind, Kind::Watchpoint);
    EXPECT_EQ(w.nav().position(), first);
  }
}

/// All stops of a run forward from the beginning.
std::vector<Icount> stops_forward(Navigator& nav) {
  std::vector<Icount> out;
  nav.seek(nav.begin());
  for (;;) {
    const NavStop stop = nav.run();
    if (stop.kind == Kind::End) return out;
    out.push_back(nav.position());
  }
}

TEST(Navigator, BackwardFindsWhatForwardFinds) {
  for (unsigned smp : {1u, 2u}) {
    World w(machine_of(echo_program(true), smp), "tell me q", 4);
    std::mt19937_64 random(smp);
    std::set<GuestAddr> pcs;
    for (int i = 0; i < 3; ++i) pcs.insert(w.straight(random() % w.nav().end()).current().pc());
    w.nav().set_breakpoints(pcs);
    w.nav().set_watches({{0x80100000, 16, true, true}});
    unsigned asked = 0;
    // One of so many counts, so that segments without stops are searched too.
    w.nav().set_filter([&](Machine& m, const NavStop&) { return ++asked, m.icount() % 997 == 3; });
    const std::vector<Icount> forward = stops_forward(w.nav());
    ASSERT_GT(forward.size(), 5u);
    EXPECT_GT(asked, forward.size());
    std::vector<Icount> back;
    w.nav().seek(w.nav().end());
    while (w.nav().run_back().kind != Kind::Begin && back.size() < 50) back.push_back(w.nav().position());
    const std::size_t n = std::min<std::size_t>(50, forward.size());
    EXPECT_EQ(back, std::vector<Icount>(forward.rbegin(), forward.rbegin() + static_cast<std::ptrdiff_t>(n)));
  }
}

TEST(Navigator, AConditionIsAskedOnceForEachPass) {
  World w(machine_of(echo_program(true)), "some keys t to tq", 2);
  const Icount until = std::min<Icount>(w.nav().end(), 60'000);
  const GuestAddr pc = w.straight(1234).current().pc();
  const Truth truth = try_everything(w, 0, until, pc, 0x80100000, 8);
  std::vector<Icount> asked;
  w.nav().set_breakpoints({pc});
  w.nav().set_filter([&](Machine& machine, const NavStop&) {
    EXPECT_EQ(machine.current().pc(), pc);
    asked.push_back(machine.icount());
    return false;
  });
  EXPECT_EQ(w.nav().run(until).kind, Kind::Arrived);
  EXPECT_EQ(asked, truth.at_pc);
  w.expect_right();
}

TEST(Navigator, OutputIsHeardOnceGoingForward) {
  World w(machine_of(echo_program(true)), "echoq");
  std::string heard;
  w.nav().on_output([&](Channel, ByteView data) { heard.append(data.begin(), data.end()); });
  w.nav().seek(w.nav().end());
  EXPECT_EQ(heard, "echo");
  w.nav().set_breakpoints({0});
  EXPECT_EQ(w.nav().run_back().kind, Kind::Begin);
  w.nav().seek(100);
  w.nav().seek(50);
  EXPECT_EQ(heard, "echo");
  EXPECT_EQ(w.nav().run().kind, Kind::End);
  EXPECT_EQ(heard, "echo");
  EXPECT_EQ(w.nav().run().kind, Kind::End);
}

TEST(Navigator, RequestStopEndsASearch) {
  World w(machine_of(echo_program(true)), "a few keys for a long run tt q");
  const GuestAddr pc = w.straight(2000).current().pc();
  w.nav().set_breakpoints({pc});
  unsigned asked = 0;
  w.nav().set_filter([&](Machine&, const NavStop&) {
    if (++asked == 3) w.nav().request_stop();
    return false;
  });
  w.nav().seek(w.nav().end());
  EXPECT_EQ(w.nav().run_back().kind, Kind::Interrupted);
  EXPECT_LT(asked, 10u);
  w.expect_right();
  EXPECT_EQ(w.nav().run_back().kind, Kind::Begin);
}

}  // namespace
}  // namespace hindcast::replay::test
