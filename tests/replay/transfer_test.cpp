// Exports: the whole and parts of recordings, which replay as the recording did.
#include "replay/transfer.h"

#include "replay/compare.h"
#include "replay/index.h"
#include "replay/live_run.h"
#include "replay/navigator.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

namespace fs = std::filesystem;

RecordOptions every(Icount n) {
  RecordOptions options;
  options.hash_grid = 1u << 14;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = n;
  return options;
}

void expect_sound(const std::string& path) {
  EXPECT_TRUE(verify(path, [](const std::string& line) { ADD_FAILURE() << line; }));
}

/// Export and import in one: `to` becomes the part of `from`.
TransferResult move_part(const TempFolder& folder, const std::string& from, const std::string& to,
                         const ExportOptions& options = {}) {
  const TransferResult out = export_recording(folder / from, folder / "file", options);
  const TransferResult in = import_recording(folder / "file", folder / to, {});
  EXPECT_EQ(out.begin, in.begin);
  EXPECT_EQ(out.end, in.end);
  EXPECT_EQ(out.events, in.events);
  EXPECT_EQ(out.checkpoints, in.checkpoints);
  expect_sound(folder / to);
  return in;
}

TEST(Transfer, TheWholeIsTheSame) {
  TempFolder folder;
  const RunResult recorded =
      record_to(folder / "rec", machine_of(echo_program(true)),
                std::make_shared<TypingConsole>("some keys t and moreq", 3), every(50'000));
  const TransferResult moved = move_part(folder, "rec", "again");
  EXPECT_EQ(moved.begin, 0u);
  EXPECT_EQ(moved.end, recorded.icount);
  const RecordingInfo before = info(folder / "rec"), after = info(folder / "again");
  EXPECT_EQ(after.schema_version, 1u);
  EXPECT_EQ(after.build_id, before.build_id);
  EXPECT_EQ(after.events, before.events);
  EXPECT_EQ(after.checkpoints, before.checkpoints);
  EXPECT_EQ(after.pages, before.pages);
  EXPECT_EQ(after.state_root, before.state_root);
  EXPECT_EQ(after.output_hash, before.output_hash);
  EXPECT_EQ(after.exit_code, 7);
  const Replayed original = replay_of(folder / "rec"), replayed = replay_of(folder / "again");
  EXPECT_EQ(replayed.result.state_root, recorded.state_root);
  EXPECT_EQ(replayed.result.status(), 7);
  EXPECT_EQ(replayed.output, original.output);
  EXPECT_EQ(compare(folder / "rec", folder / "again", {}).verdict, CompareReport::Verdict::Same);
  // Without its checkpoints it is smaller, and replays all the same.
  ExportOptions options;
  options.checkpoints = false;
  const u64 size = moved.file_bytes;
  EXPECT_LT(move_part(folder, "rec", "bare", options).file_bytes, size);
  EXPECT_EQ(replay_of(folder / "bare").result.state_root, recorded.state_root);
  EXPECT_EQ(info(folder / "bare").checkpoints, 0u);
}

/// Parts of a recording, many, and everything that can be done with them.
void expect_parts(const MachineConfig& config, const std::string& keys, Icount distance) {
  TempFolder folder;
  const RunResult recorded =
      record_to(folder / "rec", config, std::make_shared<TypingConsole>(keys, 5), every(distance));
  const Icount end = recorded.icount;
  std::mt19937_64 random(end);
  const auto full = Navigator::open(folder / "rec", {});
  for (unsigned round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    ExportOptions options;
    if (round % 4 != 0) options.from = random() % (end + 1);
    if (round % 3 != 0)
      options.to = options.from.value_or(0) + random() % (end - options.from.value_or(0) + 1);
    const Icount to = options.to.value_or(end);
    const std::string name = "part" + std::to_string(round);
    const TransferResult moved = move_part(folder, "rec", name, options);
    EXPECT_EQ(moved.end, to);
    if (options.from) {
      EXPECT_LE(moved.begin, *options.from);
      EXPECT_GT(moved.begin + distance, *options.from);
    }
    const RecordingInfo facts = info(folder / name);
    EXPECT_EQ(facts.begin, moved.begin);
    EXPECT_EQ(facts.schema_version, moved.begin == 0 ? 1u : 2u);
    ReplayOptions until;
    until.until = to;
    const Replayed original = replay_of(folder / "rec", until), replayed = replay_of(folder / name);
    EXPECT_EQ(replayed.result.icount, to);
    EXPECT_EQ(replayed.result.state_root, original.result.state_root);
    EXPECT_EQ(replayed.result.output_hash, original.result.output_hash);
    EXPECT_EQ(replayed.result.status(), to == end ? recorded.status() : 124);
    EXPECT_TRUE(original.output.ends_with(replayed.output));
    if (moved.begin == 0) {
      EXPECT_EQ(original.output, replayed.output);
    }
    const CompareReport report = compare(folder / "rec", folder / name, {});
    EXPECT_EQ(report.verdict, to == end ? CompareReport::Verdict::Same : CompareReport::Verdict::Lengths);
    const auto part = Navigator::open(folder / name, {});
    EXPECT_EQ(part->begin(), moved.begin);
    for (unsigned i = 0; i < 3; ++i) {
      const Icount at = moved.begin + random() % (to - moved.begin + 1);
      part->seek(at);
      full->seek(at);
      EXPECT_EQ(part->position(), at);
      EXPECT_EQ(part->machine().current().pc(), full->machine().current().pc());
      part->step_back(0);
      EXPECT_EQ(part->position(), std::max(moved.begin, at == 0 ? 0 : at - 1));
    }
    EXPECT_EQ(part->seek(0).kind, moved.begin == 0 ? NavStop::Kind::Arrived : NavStop::Kind::Begin);
  }
}

TEST(Transfer, PartsReplay) { expect_parts(machine_of(echo_program(true)), "keys t for a parttq", 30'000); }
TEST(Transfer, PartsOfAGuestThatSleepsReplay) {
  expect_parts(machine_of(ticker_program(60, 3000)), "ab c", 700);
}
TEST(Transfer, PartsOfAGuestThatReadsItsSemihostingConsoleReplay) {
  expect_parts(machine_of(semihost_cat_program()), "some text for it\nand more", 60);
}

TEST(Transfer, APartOfAPartAndIndexed) {
  TempFolder folder;
  const RunResult recorded =
      record_to(folder / "rec", machine_of(echo_program(true)),
                std::make_shared<TypingConsole>("some more keys t and moreq", 4), every(40'000));
  ExportOptions options;
  options.from = recorded.icount / 4;
  const Icount begin = move_part(folder, "rec", "part", options).begin;
  ASSERT_NE(begin, 0u);
  IndexOptions index;
  index.every = 10'000;
  EXPECT_GT(index_recording(folder / "part", index).added, 5u);
  expect_sound(folder / "part");
  EXPECT_EQ(replay_of(folder / "part").result.state_root, recorded.state_root);
  options.from = begin + (recorded.icount - begin) / 2;
  const Icount later = move_part(folder, "part", "less", options).begin;
  EXPECT_GT(later, begin);
  EXPECT_GT(later + 10'000, *options.from);
  EXPECT_EQ(replay_of(folder / "less").result.state_root, recorded.state_root);
  options.from = begin - 1;
  EXPECT_EQ(move_part(folder, "part", "same", options).begin, begin);
  options.to = begin - 1;
  EXPECT_THROW(export_recording(folder / "part", folder / "no", options), Fatal);
  options.from = begin;
  EXPECT_THROW(export_recording(folder / "part", folder / "no", options), Fatal);
  EXPECT_FALSE(fs::exists(folder / "no"));
}

TEST(Transfer, ABranchOfAPartBeginsWhereThePartDoes) {
  TempFolder folder;
  record_to(folder / "rec", machine_of(echo_program(true)),
            std::make_shared<TypingConsole>("keys t and mq", 4), every(20'000));
  ExportOptions options;
  options.from = info(folder / "rec").icount / 2;
  const TransferResult part = move_part(folder, "rec", "part", options);
  ASSERT_NE(part.begin, 0u);
  RunResult result;
  {
    const auto past = PastNavigator::open(folder / "part", {});
    past->seek(part.begin + (part.end - part.begin) / 2);
    RecordOptions record_options;
    record_options.path = folder / "branch";
    LiveRun run(*past, host_with(std::make_shared<TypingConsole>("other keysq", 9)), record_options);
    result = run.driver().run();
  }
  EXPECT_EQ(result.status(), 7);
  expect_sound(folder / "branch");
  EXPECT_EQ(info(folder / "branch").begin, part.begin);
  const Replayed replayed = replay_of(folder / "branch");
  EXPECT_EQ(replayed.result.state_root, result.state_root);
  EXPECT_EQ(replayed.result.output_hash, result.output_hash);
}

TEST(Transfer, ARecordingThatWasCutShortStaysOne) {
  TempFolder folder;
  record_to(folder / "rec", machine_of(echo_program(true)), std::make_shared<TypingConsole>("keysq", 4), {});
  copy_recording(folder / "rec", folder / "cut", [](Edit& edit) { edit.end.reset(); });
  const TransferResult moved = move_part(folder, "cut", "again");
  const Replayed replayed = replay_of(folder / "again");
  EXPECT_EQ(replayed.result.kind, StopKind::CutShort);
  EXPECT_EQ(replayed.result.icount, moved.end);
  EXPECT_EQ(replayed.result.state_root, replay_of(folder / "cut").result.state_root);
}

TEST(Transfer, AnotherModelIsRefusedByTheFilesName) {
  TempFolder folder;
  record_to(folder / "rec", machine_of(echo_program(true)), std::make_shared<TypingConsole>("q", 4), {});
  copy_recording(folder / "rec", folder / "other", [](Edit& edit) {
    std::string text(edit.meta.begin(), edit.meta.end());
    const std::string model = "\"model\":" + std::to_string(kModelVersion);
    text.replace(text.find(model), model.size(), "\"model\":77");
    edit.meta.assign(text.begin(), text.end());
  });
  export_recording(folder / "other", folder / "file", {});
  try {
    import_recording(folder / "file", folder / "again", {});
    ADD_FAILURE() << "not refused";
  } catch (const Fatal& error) {
    EXPECT_NE(std::string(error.what()).find((folder / "file") + ": recorded by model version 77"),
              std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(fs::exists(folder / "again"));
}

}  // namespace
}  // namespace hindcast::replay::test
