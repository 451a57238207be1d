// A recorded run and its replay are the same run.
#include <fstream>

#include "replay/event_format.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

std::shared_ptr<TypingConsole> typing(std::string keys, u64 seed, bool close_after = true) {
  return std::make_shared<TypingConsole>(std::move(keys), seed, close_after);
}

/// Records, replays with both engines, and compares everything that a run ends with.
void expect_same(const MachineConfig& config, const std::string& keys, u64 seed, StopKind kind,
                 bool close_after = true) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  TempFolder folder;
  auto console = typing(keys, seed, close_after);
  const RunResult recorded = record_to(folder / "rec", config, console);
  EXPECT_EQ(recorded.kind, kind);
  for (int engine = 0; engine < 3; ++engine) {
    SCOPED_TRACE(engine);
    ReplayOptions options;
    options.engine.jit = engine != 1;
    options.engine.chaos_seed = engine == 2 ? seed + 1 : 0;
    const Replayed replayed = replay_of(folder / "rec", options);
    EXPECT_EQ(replayed.output, console->output);
    EXPECT_EQ(replayed.result.kind, recorded.kind);
    EXPECT_EQ(replayed.result.status(), recorded.status());
    EXPECT_EQ(replayed.result.icount, recorded.icount);
    EXPECT_EQ(replayed.result.state_root, recorded.state_root);
    EXPECT_EQ(replayed.result.output_hash, recorded.output_hash);
  }
  std::vector<std::string> problems;
  EXPECT_TRUE(verify(folder / "rec", [&](const std::string& line) { problems.push_back(line); }));
  EXPECT_EQ(problems, std::vector<std::string>{});
}

TEST(RecordReplay, KeysAtRandomMoments) {
  for (u64 seed = 0; seed < 8; ++seed)
    expect_same(machine_of(echo_program(seed % 2 == 0)), "hello tt world ttt q", seed, StopKind::GuestExit);
}

TEST(RecordReplay, SeveralVcpus) {
  for (u64 seed = 0; seed < 3; ++seed)
    expect_same(machine_of(echo_program(true), 3), "hello t world q", seed, StopKind::GuestExit);
}

TEST(RecordReplay, ManyBytesAtOnceAreAllTakenAndEchoed) {
  std::string keys;
  for (int i = 0; i < 300; ++i) keys += static_cast<char>('A' + i % 25);
  TempFolder folder;
  auto console = typing(keys + "q", 1);
  record_to(folder / "rec", machine_of(echo_program(true)), console);
  EXPECT_EQ(console->output, keys);
  EXPECT_EQ(replay_of(folder / "rec").output, keys);
}

TEST(RecordReplay, AByteThatArrivesElsewhereIsAnotherRun) {
  // The test program must be able to show a difference, or the tests above show nothing.
  TempFolder folder;
  const RunResult a = record_to(folder / "a", machine_of(echo_program(true)), typing("some more keysq", 1));
  const RunResult b = record_to(folder / "b", machine_of(echo_program(true)), typing("some more keysq", 2));
  EXPECT_NE(a.state_root, b.state_root);
}

TEST(RecordReplay, RunWithoutRecordingEndsTheSameWay) {
  auto console = typing("hello q", 3);
  const RunResult result = run_live(machine_of(echo_program(true)), host_with(console));
  EXPECT_EQ(result.status(), 7);
  EXPECT_EQ(console->output, "hello ");
}

TEST(RecordReplay, TimerTicksLogNothing) {
  TempFolder folder;
  auto console = typing("", 1);
  const RunResult recorded = record_to(folder / "rec", machine_of(ticker_program(500, 10'000)), console);
  EXPECT_EQ(recorded.kind, StopKind::GuestExit);
  EXPECT_EQ(console->output, std::string(500, '.'));
  for (const auto& event : events_of(folder / "rec")) EXPECT_EQ(event.kind, kHashGrid);
  EXPECT_EQ(replay_of(folder / "rec").output, console->output);
}

TEST(RecordReplay, IdleGuestWokenByKeys) {
  for (u64 seed = 0; seed < 6; ++seed)
    expect_same(machine_of(ticker_program(40, 20'000)), "wake", seed, StopKind::GuestExit, seed % 2 == 0);
  expect_same(machine_of(ticker_program(1000, 20'000)), "up and q", 9, StopKind::GuestExit, false);
}

TEST(RecordReplay, IdleGuestSleepsWithOpenInputAndReplayDoesNot) {
  TempFolder folder;
  auto console = typing("ab", 4, false);
  const u64 virtual_ns = 30 * 2'000'000;
  record_to(folder / "rec", machine_of(ticker_program(30, 20'000)), console);
  EXPECT_GT(console->waited_ns, virtual_ns / 2);
  bool warped = false;
  for (const auto& event : events_of(folder / "rec"))
    warped = warped || event.kind == static_cast<u8>(InputKind::Warp);
  EXPECT_TRUE(warped);
  const Replayed replayed = replay_of(folder / "rec");
  EXPECT_EQ(replayed.output, console->output);
}

TEST(RecordReplay, SemihostingConsoleToItsEnd) {
  for (u64 seed = 0; seed < 4; ++seed)
    expect_same(machine_of(semihost_cat_program()), "some text\nand more\n", seed, StopKind::GuestExit);
  expect_same(machine_of(semihost_cat_program(), 2), "text for one of two\n", 5, StopKind::GuestExit);
  auto console = typing("abc", 1);
  EXPECT_EQ(run_live(machine_of(semihost_cat_program()), host_with(console)).status(), 0);
  EXPECT_EQ(console->output, "abc");
}

TEST(RecordReplay, WaitingForEverEnds) {
  TempFolder folder;
  const RunResult recorded = record_to(folder / "rec", machine_of(sleep_for_ever_program()), typing("", 1));
  EXPECT_EQ(recorded.kind, StopKind::WaitsForever);
  EXPECT_EQ(recorded.status(), 124);
  EXPECT_NE(recorded.message.find("waits for ever"), std::string::npos);
  const Replayed replayed = replay_of(folder / "rec");
  EXPECT_EQ(replayed.result.status(), 124);
  EXPECT_EQ(replayed.result.state_root, recorded.state_root);
  // Input that the guest never takes does not keep it alive.
  EXPECT_EQ(run_live(machine_of(sleep_for_ever_program()), host_with(typing("abc", 1))).kind,
            StopKind::WaitsForever);
}

TEST(RecordReplay, FaultingForEverEnds) {
  TempFolder folder;
  for (const bool jit : {true, false}) {
    HostOptions host = host_with(typing("", 1, false));  // open input ends nothing
    host.engine.jit = jit;
    const RunResult result = run_live(machine_of(fault_for_ever_program()), host);
    EXPECT_EQ(result.kind, StopKind::WaitsForever);
    EXPECT_EQ(result.status(), 124);
    EXPECT_NE(result.message.find("same exception for ever at pc 0x50000000"), std::string::npos)
        << result.message;
    EXPECT_LT(result.icount, 50u);
  }
  const RunResult recorded = record_to(folder / "rec", machine_of(fault_for_ever_program()), typing("", 1));
  const Replayed replayed = replay_of(folder / "rec");
  EXPECT_EQ(replayed.result.kind, StopKind::WaitsForever);
  EXPECT_EQ(replayed.result.message, recorded.message);
  EXPECT_EQ(replayed.result.state_root, recorded.state_root);
}

TEST(RecordReplay, MaxIcountAndUntilAreExact) {
  TempFolder folder;
  HostOptions host = host_with(typing("", 1));
  host.max_icount = 123'457;
  RecordOptions options;
  options.path = folder / "rec";
  options.hash_grid = 10'000;
  const RunResult recorded = record(machine_of(echo_program(true)), host, options);
  EXPECT_EQ(recorded.icount, 123'457u);
  EXPECT_EQ(recorded.status(), 124);
  const Replayed replayed = replay_of(folder / "rec");
  EXPECT_EQ(replayed.result.icount, 123'457u);
  EXPECT_EQ(replayed.result.kind, StopKind::MaxIcount);
  EXPECT_EQ(replayed.result.state_root, recorded.state_root);
  ReplayOptions until;
  until.until = 77'777;
  EXPECT_EQ(replay_of(folder / "rec", until).result.icount, 77'777u);
  EXPECT_EQ(replay_of(folder / "rec", until).result.status(), 124);
}

TEST(RecordReplay, SignalsCloseTheRecording) {
  for (int polls : {0, 1, 20}) {
    TempFolder folder;
    auto console = typing("", 1, false);
    int left = polls;
    console->on_wait = [&left] {
      if (left-- == 0) ::raise(SIGTERM);
    };
    const auto program = polls == 20 ? ticker_program(10'000, 5'000) : echo_program(true);
    const RunResult recorded = record_to(folder / "rec", machine_of(program), console);
    EXPECT_EQ(recorded.kind, StopKind::Interrupted);
    EXPECT_EQ(recorded.status(), 128 + SIGTERM);
    const Replayed replayed = replay_of(folder / "rec");
    EXPECT_EQ(replayed.result.status(), 128 + SIGTERM);
    EXPECT_EQ(replayed.result.state_root, recorded.state_root);
    EXPECT_EQ(replayed.output, console->output);
    EXPECT_TRUE(info(folder / "rec").clean_close);
  }
}

TEST(RecordReplay, RealPaceKeepsToTheWallClock) {
  TempFolder folder;
  auto console = typing("", 1);
  HostOptions host = host_with(console);
  host.pace = Pace::Real;
  timespec before{}, after{};
  ::clock_gettime(CLOCK_MONOTONIC, &before);
  RecordOptions options;
  options.path = folder / "rec";
  const RunResult recorded = record(machine_of(ticker_program(20, 50'000)), host, options);  // 100 ms
  ::clock_gettime(CLOCK_MONOTONIC, &after);
  const double seconds = static_cast<double>(after.tv_sec - before.tv_sec) +
                         static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9;
  EXPECT_GT(seconds, 0.095);
  EXPECT_EQ(replay_of(folder / "rec").result.state_root, recorded.state_root);
}

TEST(RecordReplay, RestoringAnyCheckpointEqualsTheRun) {
  for (unsigned smp : {1u, 2u}) {
    TempFolder folder;
    RecordOptions options;
    options.checkpoints = RecordOptions::Checkpoints::Every;
    options.checkpoint_every = 70'001;
    auto console = typing("a few keys t for it q", 5);
    const RunResult recorded =
        record_to(folder / "rec", machine_of(echo_program(true), smp), console, options);
    const auto checkpoints = storage::Reader::open(folder / "rec")->checkpoints();
    ASSERT_GT(checkpoints.size(), 3u);
    const std::size_t step = checkpoints.size() / 12 + 1;
    for (std::size_t i = 0; i < checkpoints.size(); i += step) {
      ReplayOptions from;
      from.from_checkpoint = checkpoints[i].icount;
      from.engine.jit = i % 2 == 0;
      const Replayed replayed = replay_of(folder / "rec", from);
      EXPECT_EQ(replayed.result.state_root, recorded.state_root) << checkpoints[i].icount;
      EXPECT_EQ(replayed.result.output_hash, recorded.output_hash) << checkpoints[i].icount;
      EXPECT_EQ(console->output.substr(console->output.size() - replayed.output.size()), replayed.output);
    }
  }
}

TEST(RecordReplay, AMachineThatHasEndedGetsNoCheckpoint) {
  // Going on from one would execute something after the end.
  TempFolder folder;
  const MachineConfig config = machine_of(ticker_program(20, 10'000));
  const Icount end = record_to(folder / "rec", config, typing("", 1)).icount;
  RecordOptions options;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = end;
  options.hash_grid = end;
  EXPECT_EQ(record_to(folder / "every", config, typing("", 1), options).icount, end);
  ReplayOptions from_the_end;
  from_the_end.from_checkpoint = end;
  EXPECT_EQ(replay_of(folder / "every", from_the_end).result.kind, StopKind::GuestExit);
}

TEST(RecordReplay, CheckpointsWhileSemihostingWaits) {
  TempFolder folder;
  RecordOptions options;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 197;
  const RunResult recorded =
      record_to(folder / "rec", machine_of(semihost_cat_program(), 2), typing("some text", 5), options);
  const auto checkpoints = storage::Reader::open(folder / "rec")->checkpoints();
  ASSERT_GT(checkpoints.size(), 10u);
  for (std::size_t i = 0; i < checkpoints.size(); i += checkpoints.size() / 10) {
    ReplayOptions from;
    from.from_checkpoint = checkpoints[i].icount;
    EXPECT_EQ(replay_of(folder / "rec", from).result.state_root, recorded.state_root);
  }
}

TEST(RecordReplay, InfoSaysWhatIsThere) {
  TempFolder folder;
  record_to(folder / "rec", machine_of(echo_program(true)), typing("xyzq", 5));
  const RecordingInfo facts = info(folder / "rec");
  EXPECT_EQ(facts.machine, "virt");
  EXPECT_EQ(facts.model_version, kModelVersion);
  EXPECT_TRUE(facts.clean_close);
  EXPECT_EQ(facts.exit_code, 7);
  EXPECT_EQ(facts.state_root.size(), 32u);
  std::string typed;
  events(folder / "rec", 0, kNever, [&](const EventLine& line) {
    if (line.kind == "serial") typed.append(line.payload.begin(), line.payload.end());
    return true;
  });
  EXPECT_EQ(typed, "xyzq");
}

TEST(RecordReplay, AReplayHasNoWayToTheHost) {
  // What a replay is made of may not even see the declarations of the host's side.
  for (const char* file : {"player.h", "player.cpp", "replay_port.h", "replay_port.cpp", "port_base.h",
                           "port_base.cpp", "event_cursor.h", "event_cursor.cpp", "checkpoint.h"}) {
    std::ifstream in(std::string(HINDCAST_SOURCE_DIR "/replay/") + file);
    ASSERT_TRUE(in) << file;
    for (std::string line; std::getline(in, line);) {
      for (const char* header : {"host_services.h", "session.h", "live_port.h", "console", "interrupts.h",
                                 "recorder.h", "host_clock.h", "<sys/socket.h>"})
        EXPECT_FALSE(line.starts_with("#include") && line.find(header) != std::string::npos)
            << file << ": " << line;
    }
  }
}

}  // namespace
}  // namespace hindcast::replay::test
