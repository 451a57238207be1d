// Segmented recordings: they may begin at a checkpoint, and what they have forgotten takes no room.
#include <set>

#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

WriterOptions segmented() {
  WriterOptions options;
  options.segmented = true;
  return options;
}

TEST(Segments, WhatIsKeptIsWhole) {
  for (u64 seed = 0; seed < 12; seed++) {
    SCOPED_TRACE(seed);
    TempFolder folder;
    RandomRun run(folder / "rec", seed, segmented());
    for (unsigned i = 0; i < 500; i++) run.step();
    run.writer().flush(run.model.covered);
    run.close();
    const auto reader = Reader::open(folder / "rec");
    EXPECT_EQ(reader->schema(), kSegmentedSchema);
    expect_equal(*reader, run.model);
    // From any place on.
    for (const EventRecord& event : run.model.events) {
      const auto found = read_events(*reader, event.icount);
      ASSERT_FALSE(found.empty());
      EXPECT_EQ(found.front().icount, event.icount);
    }
    if (run.model.begin) {
      EXPECT_EQ(reader->checkpoints().front().icount, run.model.begin->icount);
    }
  }
}

TEST(Segments, NothingIsKeptThatNoCheckpointNeeds) {
  TempFolder folder;
  RandomRun run(folder / "rec", 5, segmented());
  for (unsigned i = 0; i < 6000; i++) run.step();
  run.close();
  ASSERT_TRUE(run.model.begin);
  const auto reader = Reader::open(folder / "rec");
  // Pages of the model, and the nodes above them: 10 + 1 + 1 of each checkpoint at most.
  EXPECT_LE(reader->stats().pages, run.model.pages.size() + 13 * run.model.checkpoints.size());
  EXPECT_GE(run.all_checkpoints.size(), 4 * run.model.checkpoints.size()) << "there was something to forget";
}

TEST(Segments, TheFolderDoesNotGrow) {
  TempFolder folder;
  const auto writer = Writer::create(folder / "rec", {}, segmented());
  writer->start_segment(true);
  std::mt19937_64 random(3);
  Memory memory("ram", 0, 64 * kPageSize);
  u64 most = 0;
  for (u64 round = 1; round <= 60; round++) {
    for (unsigned i = 0; i < 16; i++)  // a part that changes, and one that stays
      for (unsigned byte = 0; byte < kPageSize; byte++)
        memory.bytes()[i * kPageSize + byte] = static_cast<u8>(random());
    writer->append(event_at(round * 1000 - 1, 0, random_bytes(random, 50'000)));
    writer->start_segment(false);
    CheckpointRecord record;
    record.icount = round * 1000;
    record.blocks.push_back(memory.put(*writer, nullptr));
    record.root = checkpoint_root(record.machine_state, record.blocks);
    writer->put_checkpoint(record);
    writer->flush_tables();
    while (writer->segments().size() > 4) writer->drop_segment();
    if (round > 20) most = std::max(most, writer->disk_bytes());
  }
  // Four segments of 50 + 64 KiB, their tables' frames, and the log.
  EXPECT_LT(most, 800'000u);
  EXPECT_EQ(writer->segments().front().begin_icount, 57'000u);
}

TEST(Segments, OneThatWasNotBegunIsNotThere) {
  TempFolder folder;
  const auto writer = Writer::create(folder / "rec", {}, segmented());
  writer->append(event_at(0, 0, {1, 2, 3}));
  writer->flush(0);
  EXPECT_THROW(Reader::open(folder / "rec"), NeverBegun);
  writer->start_segment(true);
  EXPECT_EQ(read_events(*Reader::open(folder / "rec")).size(), 1u);
  EXPECT_TRUE(Reader::open(folder / "rec")->growing());
}

TEST(Segments, CheckpointsCanBeAdded) {
  TempFolder folder;
  RandomRun run(folder / "rec", 7, segmented());
  for (unsigned i = 0; i < 800; i++) run.step();
  run.close();
  const CheckpointInfo last = Reader::open(folder / "rec")->checkpoints().back();
  CheckpointRecord record;
  record.icount = last.icount + 1;
  Memory memory("ram", 0, 10 * kPageSize);
  memory.bytes()[5000] = 7;
  {
    const auto writer = Writer::reopen(folder / "rec");
    record.blocks.push_back(memory.put(*writer, nullptr));
    record.root = checkpoint_root({}, record.blocks);
    writer->put_checkpoint(record);
    static_cast<CheckpointInfo&>(record) = last;  // is there already
    const CheckpointRecord again = Reader::open(folder / "rec")->checkpoint(last.icount);
    writer->put_checkpoint(again);
    writer->finish_adding();
  }
  const auto reader = Reader::open(folder / "rec");
  EXPECT_EQ(reader->checkpoints().back().icount, last.icount + 1);
  EXPECT_EQ(reader->checkpoints().size(), run.model.checkpoints.size() + 1);
  EXPECT_TRUE(reader->verify([](const std::string& line) { ADD_FAILURE() << line; }));
}

}  // namespace
}  // namespace hindcast::storage::test
