// Checkpoints added afterwards: the recording stays what it was, and seeks from them go right.
#include "replay/index.h"

#include "replay/navigator.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

RunResult record_echo(const std::string& path, RecordOptions options = {}) {
  return record_to(path, machine_of(echo_program(true)),
                   std::make_shared<TypingConsole>("keys t for the indexq", 2), options);
}

std::vector<std::string> problems_of(const std::string& path) {
  std::vector<std::string> out;
  verify(path, [&](const std::string& line) { out.push_back(line); });
  return out;
}

TEST(Index, AddsCheckpointsAndChangesNothingElse) {
  TempFolder folder;
  const RunResult recorded = record_echo(folder / "rec");
  const RecordingInfo before = info(folder / "rec");
  IndexOptions options;
  options.every = std::max<Icount>(recorded.icount / 20, 1);
  const IndexResult first = index_recording(folder / "rec", options);
  EXPECT_GE(first.added, 19u);
  EXPECT_LE(first.added, 21u);
  const RecordingInfo after = info(folder / "rec");
  EXPECT_EQ(after.checkpoints, before.checkpoints + first.added);
  EXPECT_EQ(after.state_root, before.state_root);
  EXPECT_EQ(after.events, before.events);
  EXPECT_EQ(after.icount, before.icount);
  EXPECT_TRUE(after.clean_close);
  EXPECT_EQ(problems_of(folder / "rec"), std::vector<std::string>{});
  // All are there by now.
  EXPECT_EQ(index_recording(folder / "rec", options).added, 0u);
  for (Icount from : {Icount{0}, recorded.icount / 3, recorded.icount / 2, recorded.icount}) {
    ReplayOptions replay_options;
    replay_options.from_checkpoint = from;
    EXPECT_EQ(replay_of(folder / "rec", replay_options).result.state_root, recorded.state_root) << from;
  }
}

TEST(Index, DenserLaterAndBesideTheRecordersOwn) {
  TempFolder folder;
  RecordOptions record_options;
  record_options.checkpoints = RecordOptions::Checkpoints::Every;
  record_options.checkpoint_every = 1000;
  const RunResult recorded = record_echo(folder / "rec", record_options);
  IndexOptions options;
  options.every = 1000;
  EXPECT_LE(index_recording(folder / "rec", options).added, 1u);
  options.every = 500;
  EXPECT_GT(index_recording(folder / "rec", options).added, 0u);
  EXPECT_EQ(problems_of(folder / "rec"), std::vector<std::string>{});
  EXPECT_EQ(replay_of(folder / "rec").result.state_root, recorded.state_root);
  const auto nav = Navigator::open(folder / "rec", {});
  for (Icount at : {recorded.icount, Icount{700}, recorded.icount / 2}) {
    EXPECT_EQ(nav->seek(at).kind, NavStop::Kind::Arrived);
    EXPECT_EQ(nav->position(), at);
  }
}

TEST(Index, IsRefusedWhileInUse) {
  TempFolder folder;
  record_echo(folder / "rec");
  const auto reader = storage::Reader::open(folder / "rec");
  EXPECT_THROW(index_recording(folder / "rec", {}), storage::StoreError);
}

}  // namespace
}  // namespace hindcast::replay::test
