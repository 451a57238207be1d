// The flight recorder: its disk is bounded, and what it has kept is a recording like any other.
#include <fstream>
#include <map>

#include "replay/compare.h"
#include "replay/index.h"
#include "replay/navigator.h"
#include "replay/timeline.h"
#include "replay/transfer.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

u64 folder_bytes(const std::string& path) {
  u64 total = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    const u64 size = entry.file_size(error);
    if (!error) total += size;
  }
  return total;
}

/// Memory of this process, in KiB.
u64 resident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  return 0;
}

/// Says nothing; looks at the folder now and then while the guest prints or is polled for input.
class WatchingConsole final : public Console {
 public:
  explicit WatchingConsole(std::string path, bool open) : path_(std::move(path)), open_(open) {}
  bool input_open() const override { return open_; }
  bool wait(u64, int) override {
    look();
    return false;
  }
  std::size_t read(u8*, std::size_t) override { return 0; }
  void write(ByteView data, const std::function<bool()>&) override {
    output.append(data.begin(), data.end());
    look();
  }

  std::string output;
  /// The most bytes of disk, and KiB of memory, by tenths of `whole` characters printed.
  std::map<std::size_t, std::pair<u64, u64>> seen;
  std::size_t whole = ~std::size_t{0};
  u64 most_disk() const {
    u64 most = 0;
    for (const auto& [tenth, values] : seen) most = std::max(most, values.first);
    return most;
  }

 private:
  void look() {
    if (looks_++ % 16 != 0) return;
    auto& [disk, memory] = seen[output.size() / (whole / 10)];
    disk = std::max(disk, folder_bytes(path_));
    memory = std::max(memory, resident());
  }
  std::string path_;
  bool open_;
  unsigned looks_ = 0;
};

struct Watched {
  RunResult result;
  std::string output;
  u64 most = 0;  // bytes of disk at any look
};

/// Records `icounts` instructions at most.
Watched watch(const std::string& path, const MachineConfig& config, Icount icounts, RecordOptions options) {
  auto console = std::make_shared<WatchingConsole>(path, icounts != kNever);
  HostOptions host = host_with(console);
  host.max_icount = icounts;
  options.path = path;
  Watched out;
  out.result = record(config, host, options);
  out.output = console->output;
  out.most = console->most_disk();
  return out;
}

void expect_usable(const TempFolder& folder, const Watched& recorded) {
  const std::string path = folder / "rec";
  EXPECT_TRUE(verify(path, [](const std::string& line) { ADD_FAILURE() << line; }));
  const RecordingInfo facts = info(path);
  EXPECT_TRUE(facts.clean_close);
  EXPECT_EQ(facts.icount, recorded.result.icount);
  const Replayed replayed = replay_of(path);
  EXPECT_EQ(replayed.result.state_root, recorded.result.state_root);
  EXPECT_EQ(replayed.result.output_hash, recorded.result.output_hash);
  EXPECT_EQ(replayed.result.status(), recorded.result.status());
  EXPECT_TRUE(recorded.output.ends_with(replayed.output));
  const auto checkpoints = storage::Reader::open(path)->checkpoints();
  for (std::size_t i = checkpoints.size() / 2; i < checkpoints.size(); i += 1 + checkpoints.size() / 4) {
    ReplayOptions options;
    options.from_checkpoint = checkpoints[i].icount;
    EXPECT_EQ(replay_of(path, options).result.state_root, recorded.result.state_root) << i;
  }
  auto nav = Navigator::open(path, {});
  EXPECT_EQ(nav->begin(), facts.begin);
  EXPECT_EQ(nav->seek(kNever).kind, NavStop::Kind::End);
  EXPECT_EQ(nav->step_back(0).kind, NavStop::Kind::Arrived);
  EXPECT_EQ(nav->run_back().kind, NavStop::Kind::Begin);
  EXPECT_EQ(nav->position(), facts.begin);
  nav.reset();
  export_recording(path, folder / "file", {});
  import_recording(folder / "file", folder / "again", {});
  EXPECT_EQ(compare(path, folder / "again", {}).verdict, CompareReport::Verdict::Same);
  IndexOptions index;
  index.every = std::max<Icount>((facts.icount - facts.begin) / 7, 1);
  index_recording(path, index);
  EXPECT_TRUE(verify(path, [](const std::string& line) { ADD_FAILURE() << line; }));
  EXPECT_EQ(replay_of(path).result.state_root, recorded.result.state_root);
}

TEST(Keep, DiskIsBounded) {
  TempFolder folder;
  RecordOptions options;
  options.keep.bytes = 12u << 20;
  // The program changes a megabyte all the time, so each checkpoint takes one.
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 2'000'000;
  options.notice = [](const std::string& line) { ADD_FAILURE() << line; };
  const Watched recorded = watch(folder / "rec", machine_of(noise_program()), 100'000'000, options);
  EXPECT_LE(recorded.most, options.keep.bytes);
  EXPECT_LE(folder_bytes(folder / "rec"), options.keep.bytes);
  const RecordingInfo facts = info(folder / "rec");
  EXPECT_GT(facts.begin, 50'000'000u);
  EXPECT_EQ(facts.schema_version, 2u);
  EXPECT_GE(facts.checkpoints, 6u);
  EXPECT_GE(facts.disk_bytes, options.keep.bytes / 2) << "more could have been kept";
  expect_usable(folder, recorded);
}

TEST(Keep, ALiveRunGoesBackIntoWhatIsLeft) {
  TempFolder folder;
  RecordOptions options;
  options.path = folder / "rec";
  options.keep.bytes = 1u << 20;
  options.hash_grid = 50;  // many events
  auto console = std::make_shared<TypingConsole>("", 1);
  const auto timeline = Timeline::start(machine_of(ticker_program(~0u, 10)), host_with(console), options);
  const auto state = [&] {
    SaveArchive ar;
    timeline->machine().state(ar);
    return ar.take();
  };
  for (Icount at = 500'000; at <= 5'000'000; at += 500'000) {
    ASSERT_EQ(timeline->run(at).kind, NavStop::Kind::Arrived);
    const Bytes present = state();
    // Whatever the cursor of the past stood at before may not be there any more.
    timeline->seek(at - 3);
    EXPECT_EQ(timeline->position(), at - 3);
    timeline->seek(0);
    EXPECT_EQ(timeline->position(), timeline->begin());
    EXPECT_EQ(timeline->run(at - 1).kind, NavStop::Kind::Arrived);
    timeline->seek(at);
    EXPECT_EQ(state(), present);
  }
  EXPECT_GT(timeline->begin(), 0u) << "too short a run for this test";
  timeline->finish();
}

TEST(Keep, EventsAloneMakeRoomToo) {
  TempFolder folder;
  RecordOptions options;
  options.keep.bytes = 1u << 20;
  options.hash_grid = 50;  // many events
  options.notice = [](const std::string& line) { ADD_FAILURE() << line; };
  const Watched recorded = watch(folder / "rec", machine_of(ticker_program(~0u, 10)), 1'500'000, options);
  EXPECT_LE(recorded.most, options.keep.bytes);
  EXPECT_GT(info(folder / "rec").begin, 0u) << "too short a run for this test";
  expect_usable(folder, recorded);
}

TEST(Keep, WhatIsTooLittleIsSaidOnce) {
  TempFolder folder;
  RecordOptions options;
  options.keep.bytes = 1u << 20;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 1'500'000;
  std::vector<std::string> lines;
  options.notice = [&](const std::string& line) { lines.push_back(line); };
  const Watched recorded = watch(folder / "rec", machine_of(noise_program()), 20'000'000, options);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("--keep"), std::string::npos) << lines[0];
  EXPECT_LE(recorded.most, 10u << 20);  // bounded all the same
  expect_usable(folder, recorded);
  options.keep.bytes = 1000;
  EXPECT_THROW(record_to(folder / "no", machine_of(echo_program(true)),
                         std::make_shared<TypingConsole>("q", 1), options),
               Fatal);
}

TEST(Keep, ATimeIsKept) {
  TempFolder folder;
  RecordOptions options;
  options.keep.ns = 2'000'000'000;
  // 300 virtual seconds in ticks of a millisecond.
  const Watched recorded =
      watch(folder / "rec", machine_of(ticker_program(300'000, 10'000)), kNever, options);
  EXPECT_GT(info(folder / "rec").begin, 0u);
  // A tick prints a character, so what is printed again shows how much was kept.
  const std::string output = replay_of(folder / "rec").output;
  EXPECT_GE(output.size(), 2'000u);
  EXPECT_LT(output.size(), 290'000u);
  expect_usable(folder, recorded);
}

TEST(Keep, ADayTakesNoMoreThanAnHour) {
  constexpr u32 kTicks = 10 * 24 * 3600;
  TempFolder folder;
  RecordOptions options;
  options.keep.ns = 300'000'000'000;
  options.path = folder / "rec";
  auto console = std::make_shared<WatchingConsole>(options.path, false);
  console->whole = kTicks;
  const RunResult result = record(machine_of(ticker_program(kTicks, 1'000'000)), host_with(console), options);
  EXPECT_EQ(result.kind, StopKind::GuestExit);
  EXPECT_EQ(console->output.size(), kTicks);
  ASSERT_GE(console->seen.size(), 8u);
  const auto [disk, memory] = std::next(console->seen.begin())->second;
  for (std::size_t tenth = 2; tenth < 10; ++tenth) {
    if (!console->seen.contains(tenth)) continue;
    EXPECT_LE(console->seen[tenth].first, disk + (1u << 20)) << tenth;
    EXPECT_LE(console->seen[tenth].second, memory + (16u << 10)) << tenth;
  }
  const std::string output = replay_of(options.path).output;
  EXPECT_GE(output.size(), 3000u);
  EXPECT_LT(output.size(), kTicks / 2);
  EXPECT_TRUE(verify(options.path, [](const std::string& line) { ADD_FAILURE() << line; }));
}

}  // namespace
}  // namespace hindcast::replay::test
