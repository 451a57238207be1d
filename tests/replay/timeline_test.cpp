// A live run under a debugger: whatever was done to it, its recording replays, and its past is its past.
#include "replay/timeline.h"

#include <chrono>
#include <map>
#include <thread>

#include "replay/checkpoint.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

using Kind = NavStop::Kind;
using Clock = std::chrono::steady_clock;

class TimelineTest : public testing::Test {
 protected:
  std::string path() const { return folder / "rec"; }
  void start(const MachineConfig& config, const std::string& keys = "hello t world tq", u64 seed = 1,
             bool close_after = true) {
    RecordOptions options;
    options.path = path();
    options.hash_grid = 1u << 16;
    console = std::make_shared<TypingConsole>(keys, seed, close_after);
    timeline = Timeline::start(config, host_with(console), options);
  }
  Timeline& line() { return *timeline; }
  Bytes state() {
    SaveArchive ar;
    line().machine().state(ar);
    return ar.take();
  }
  /// The recording at `at` replays to its end, to the same state and output.
  void expect_replays(const std::string& at, const RunResult& result, const std::string& output) {
    const Replayed replayed = replay_of(at);
    EXPECT_EQ(replayed.result.icount, result.icount);
    EXPECT_EQ(replayed.result.state_root, result.state_root);
    EXPECT_EQ(replayed.result.output_hash, result.output_hash);
    EXPECT_EQ(replayed.result.status(), result.status());
    EXPECT_EQ(replayed.output, output);
  }

  void interrupt_soon() {
    other = std::thread([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      line().request_stop();
    });
  }
  void TearDown() override {
    if (other.joinable()) other.join();
  }

  TempFolder folder;
  std::thread other;
  std::shared_ptr<TypingConsole> console;
  std::unique_ptr<Timeline> timeline;
};

TEST_F(TimelineTest, TheRunIsWhatItWouldHaveBeen) {
  const MachineConfig config = machine_of(ticker_program(20, 20'000));
  const RunResult plain = record_to(folder / "plain", config, std::make_shared<TypingConsole>("", 1));
  start(config, "");
  std::mt19937_64 random(3);
  while (!line().ended()) {
    line().run(line().position() + random() % 5000);
    if (random() % 4 == 0) line().step_back(0);
    line().seek(line().end());
  }
  const RunResult result = line().finish();
  EXPECT_EQ(result.kind, StopKind::GuestExit);
  EXPECT_EQ(result.icount, plain.icount);
  EXPECT_EQ(result.state_root, plain.state_root);
  EXPECT_EQ(result.output_hash, plain.output_hash);
  expect_replays(path(), result, console->output);
}

TEST_F(TimelineTest, GoesBackIntoThePastAndOnFromThePresent) {
  start(machine_of(echo_program(true)), "some keys", 2, false);
  EXPECT_EQ(line().run(10'000).kind, Kind::Arrived);
  const GuestAddr pc = line().machine().current().pc();
  line().set_breakpoints({pc});
  // The present goes on live.
  EXPECT_EQ(line().run().kind, Kind::Breakpoint);
  const Icount present = line().position();
  EXPECT_GT(present, 10'000u);
  EXPECT_TRUE(line().at_present());
  // Back: the breakpoint before, which was at or before the first stop.
  EXPECT_EQ(line().run_back().kind, Kind::Breakpoint);
  EXPECT_EQ(line().position(), 10'000u);
  EXPECT_FALSE(line().at_present());
  EXPECT_EQ(line().end(), present);
  EXPECT_EQ(line().step_back(0).kind, Kind::Arrived);
  EXPECT_EQ(line().position(), 9'999u);
  // Forward: both again, the second one being where the run stands.
  EXPECT_EQ(line().run().kind, Kind::Breakpoint);
  EXPECT_EQ(line().position(), 10'000u);
  EXPECT_EQ(line().run().kind, Kind::Breakpoint);
  EXPECT_EQ(line().position(), present);
  EXPECT_TRUE(line().at_present());
  // Without it, the present is a stop in itself, once.
  line().set_breakpoints({});
  line().seek(500);
  EXPECT_EQ(line().run().kind, Kind::End);
  EXPECT_EQ(line().position(), present);
  EXPECT_EQ(line().run(present + 100).kind, Kind::Arrived);
  EXPECT_EQ(line().position(), present + 100);
  // A step from the past into the present, and on.
  line().step_back(0);
  EXPECT_EQ(line().step(0).kind, Kind::Arrived);
  EXPECT_TRUE(line().at_present());
  EXPECT_EQ(line().step(0, 7).kind, Kind::Arrived);
  EXPECT_EQ(line().position(), present + 107);
  line().seek(0);
  EXPECT_EQ(line().run_back().kind, Kind::Begin);
  EXPECT_EQ(line().step_back(0).kind, Kind::Begin);
  expect_replays(path(), line().finish(), console->output);
}

/// Everything that a debugger can do, at random. What was seen at a position is seen there again.
void wander(TimelineTest&, Timeline& line, std::mt19937_64& random, unsigned moves) {
  std::map<Icount, std::pair<GuestAddr, u64>> seen;
  const unsigned vcpus = line.machine().vcpu_count();
  for (unsigned i = 0; i < moves && !line.ended(); ++i) {
    const unsigned vcpu = random() % vcpus;
    Machine& machine = line.machine();
    NavStop stop;
    switch (random() % 10) {
      case 0: stop = line.run(line.position() + random() % 20'000); break;
      case 1: stop = line.step(vcpu, 1 + random() % 50); break;
      case 2: stop = line.step_back(vcpu); break;
      case 3: stop = line.seek(line.position() - std::min<Icount>(line.position(), random() % 10'000)); break;
      case 4: stop = line.run_back(); break;
      case 5:
        // Where vCPUs are now is where they come again.
        line.set_breakpoints({machine.vcpu(vcpu).pc(), machine.vcpu(random() % vcpus).pc()});
        stop = line.run(line.end() + 100'000);
        break;
      case 6: line.set_watches({{0x80000000 + random() % 0x1000, 64, true, true}}); break;
      case 7:
        line.set_watches({});
        line.set_breakpoints({});
        line.seek(line.end());
        break;
      default: {
        const bool live = line.at_present();
        const u64 value = random();
        const Bytes bytes(1 + random() % 20, static_cast<u8>(value));
        EXPECT_EQ(line.write_memory(0x80200000 + random() % 5000, bytes).has_value(), !live);
        // Registers that the programs do not live on, and the interrupt enables, which they do.
        const unsigned row = random() % 3 == 0 ? machine.arch().pc_register() : 20 + random() % 10;
        if (machine.arch().registers()[row].zero) break;
        const u64 to = row == machine.arch().pc_register() ? machine.vcpu(vcpu).pc() : value;
        EXPECT_EQ(line.write_register(vcpu, row, to).has_value(), !live) << row;
        if (live) seen.erase(line.position());
        continue;
      }
    }
    ASSERT_NE(stop.kind, Kind::Interrupted);
    // A stop at a breakpoint may be behind the firing of a timer; registers are the same anyway.
    const Icount at = line.position();
    Vcpu& first = line.machine().vcpu(0);
    const std::pair<GuestAddr, u64> now{first.pc(), first.executed()};
    const auto [it, fresh] = seen.emplace(at, now);
    EXPECT_EQ(it->second, now) << at;
  }
}

struct Course {
  const char* name;
  MachineConfig (*config)();
  const char* keys;
};
void PrintTo(const Course& course, std::ostream* out) { *out << course.name; }

class Wandering : public TimelineTest, public testing::WithParamInterface<Course> {};

TEST_P(Wandering, LeavesARecordingThatReplays) {
  for (u64 seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    start(GetParam().config(), GetParam().keys, seed, false);
    std::mt19937_64 random(seed);
    wander(*this, line(), random, 60);
    const RunResult result = line().finish();
    expect_replays(path(), result, console->output);
    timeline.reset();
    std::filesystem::remove_all(path());
  }
}

TEST_P(Wandering, BranchesThatStandByThemselves) {
  record_to(path(), GetParam().config(),
            std::make_shared<TypingConsole>(std::string(GetParam().keys) + "q", 4));
  const std::vector<storage::EventRecord> events = events_of(path());
  for (u64 seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    const std::string first = folder / ("one" + std::to_string(seed)), second = first + ".two";
    console = std::make_shared<TypingConsole>("typed in the branch q", seed, false);
    timeline = Timeline::open(path(), host_with(console));
    std::mt19937_64 random(seed);
    EXPECT_TRUE(line().write_memory(0x80200000, Bytes{1}).has_value());
    line().seek(seed == 1 ? 0 : seed == 2 ? line().end() - 1 : random() % line().end());
    const Icount at = line().position();
    const Bytes before = state();
    line().branch(first);
    EXPECT_EQ(line().path(), first);
    EXPECT_EQ(line().position(), at);
    EXPECT_EQ(state(), before);
    EXPECT_TRUE(line().at_present());
    EXPECT_EQ(line().write_memory(0x80200000, Bytes{1, 2, 3}), std::nullopt);
    wander(*this, line(), random, 30);
    // A branch of the branch, from somewhere in its past.
    line().set_breakpoints({});
    line().set_watches({});
    line().seek(random() % (line().end() + 1));
    line().branch(second);
    wander(*this, line(), random, 30);
    const RunResult result = line().finish();
    const std::string output = console->output;
    timeline.reset();
    const Replayed one = replay_of(first), two = replay_of(second);
    EXPECT_GE(one.result.icount, at);
    EXPECT_EQ(two.result.state_root, result.state_root);
    EXPECT_EQ(two.result.output_hash, result.output_hash);
    EXPECT_EQ(two.result.icount, result.icount);
    std::string problems;
    EXPECT_TRUE(verify(second, [&](const std::string& line) { problems += line + "\n"; })) << problems;
  }
  const std::vector<storage::EventRecord> after = events_of(path());
  ASSERT_EQ(after.size(), events.size());
  for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(after[i].payload, events[i].payload);
}

INSTANTIATE_TEST_SUITE_P(
    Programs, Wandering,
    testing::Values(Course{"echo", [] { return machine_of(echo_program(true)); }, "keys and t, more keys"},
                    Course{"ticker", [] { return machine_of(ticker_program(400, 2'000)); }, "ab c"},
                    Course{"three", [] { return machine_of(echo_program(true), 3); }, "three t of us"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(TimelineTest, ABranchInTheMiddleOfAQuestionIsAnswered) {
  start(machine_of(semihost_cat_program()), "", 1, false);
  interrupt_soon();
  EXPECT_EQ(line().run().kind, Kind::Interrupted);
  const Icount waits = line().position();
  line().finish();
  console = std::make_shared<TypingConsole>("branched", 5);
  timeline = Timeline::open(path(), host_with(console));
  line().seek(waits);
  line().branch(folder / "branch");
  EXPECT_EQ(line().run().kind, Kind::End);
  EXPECT_EQ(line().ended(), StopKind::GuestExit);
  EXPECT_EQ(console->output, "branched");
  expect_replays(folder / "branch", line().finish(), "branched");
}

TEST_F(TimelineTest, AFolderThatExistsIsNoBranch) {
  record_to(path(), machine_of(echo_program(true)), std::make_shared<TypingConsole>("q", 1));
  timeline = Timeline::open(path(), {});
  EXPECT_THROW(line().branch(path()), Fatal);
  EXPECT_THROW(line().branch(folder / "no/such/folder"), std::exception);
  line().seek(3);
  EXPECT_EQ(line().position(), 3u);
}

TEST_F(TimelineTest, ALiveRunSurvivesABranchThatCannotBeMade) {
  start(machine_of(echo_program(true)), "keysq", 3, true);
  EXPECT_EQ(line().run(500).kind, Kind::Arrived);
  const Bytes before = state();
  for (const std::string& impossible : {path(), folder / "no/such/folder", std::string("/dev/null/x")}) {
    EXPECT_THROW(line().branch(impossible), std::exception) << impossible;
    EXPECT_TRUE(line().has_present());
    EXPECT_EQ(line().path(), path());
    line().seek(500);
    EXPECT_TRUE(line().at_present());
    EXPECT_EQ(state(), before);
  }
  EXPECT_EQ(line().run().kind, Kind::End);
  expect_replays(path(), line().finish(), console->output);
}

TEST_F(TimelineTest, AnIdleGuestStopsAtOnce) {
  start(machine_of(sleep_for_ever_program()), "", 1, false);
  interrupt_soon();
  const auto begun = Clock::now();
  EXPECT_EQ(line().run().kind, Kind::Interrupted);
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(2));
  // A write while it sleeps is where it should be in a replay.
  EXPECT_EQ(line().write_memory(0x80200000, Bytes{7}), std::nullopt);
  expect_replays(path(), line().finish(SIGKILL), "");
  EXPECT_EQ(line().finish().status(), 137);
}

TEST_F(TimelineTest, RunsFreelyUntilItEnds) {
  start(machine_of(ticker_program(20, 20'000)), "");
  line().set_breakpoints({line().machine().current().pc()});
  line().run(5'000);
  line().seek(100);
  EXPECT_TRUE(line().run_free());
  EXPECT_EQ(line().ended(), StopKind::GuestExit);
  EXPECT_EQ(line().run().kind, Kind::End);
  EXPECT_TRUE(line().write_memory(0x80200000, Bytes{7}).has_value());
  EXPECT_EQ(line().step_back(0).kind, Kind::Arrived);
  EXPECT_EQ(line().run().kind, Kind::End);
  expect_replays(path(), line().finish(), console->output);
}

}  // namespace
}  // namespace hindcast::replay::test
