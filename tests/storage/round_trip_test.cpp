// What is written is read back: events, checkpoints, pages, blobs, end; finished, abandoned and still
// growing.
#include <sys/stat.h>

#include <algorithm>

#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

TEST(RoundTrip, EmptyRecording) {
  TempFolder folder;
  Writer::create(folder / "rec", {1, 2, 3}, {})->close({});
  const auto reader = Reader::open(folder / "rec");
  Model model;
  model.meta = {1, 2, 3};
  model.end = EndRecord{};
  expect_equal(*reader, model);
  EXPECT_THROW(reader->page(PageId{1, 2, 0}), StoreError);
  EXPECT_THROW(reader->blob("none"), StoreError);
  EXPECT_THROW(reader->checkpoint(0), StoreError);
}

TEST(RoundTrip, FolderIsPrivate) {
  TempFolder folder;
  Writer::create(folder / "rec", {}, {})->close({});
  struct stat status {};
  ASSERT_EQ(stat((folder / "rec").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(RoundTrip, RandomOperations) {
  for (u64 seed = 0; seed < 30; seed++) {
    SCOPED_TRACE(seed);
    TempFolder folder;
    RandomRun run(folder / "rec", seed);
    for (unsigned i = 0; i < 40 * (seed % 10 + 1); i++) run.step();
    run.close();
    expect_equal(*Reader::open(folder / "rec"), run.model);
  }
}

TEST(RoundTrip, AbandonedWriterLeavesWhatWasFlushed) {
  for (u64 seed = 100; seed < 110; seed++) {
    SCOPED_TRACE(seed);
    TempFolder folder;
    Model model;
    {
      RandomRun run(folder / "rec", seed);
      for (unsigned i = 0; i < 200; i++) run.step();
      run.writer().flush(run.model.covered);  // says nothing new, but takes what waits along
      run.model.events.insert(run.model.events.end(), run.pending.begin(), run.pending.end());
      if (!run.pending.empty()) run.model.covered = std::max(run.model.covered, run.pending.back().icount);
      model = run.model;
    }
    expect_equal(*Reader::open(folder / "rec"), model);
  }
}

TEST(RoundTrip, EventsFromAnywhere) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {});
  std::vector<EventRecord> events;
  for (u64 i = 0; i < 3000; i++) {
    events.push_back(event_at(100 + i / 3 * 10, i % 3, Bytes(1, static_cast<u8>(i))));
    writer->append(events.back());
    if (i % 50 == 0) writer->flush(events.back().icount);
  }
  writer->close({.icount = 20000});
  const auto reader = Reader::open(folder / "rec");
  for (const u64 from :
       {u64{0}, u64{1}, u64{100}, u64{101}, u64{110}, u64{5555}, u64{10090}, u64{10091}, u64{99999}}) {
    const auto found = read_events(*reader, from);
    const auto first =
        std::find_if(events.begin(), events.end(), [&](const auto& e) { return e.icount >= from; });
    ASSERT_EQ(found.size(), static_cast<std::size_t>(events.end() - first)) << from;
    for (std::size_t i = 0; i < found.size(); i++) ASSERT_TRUE(same(found[i], first[static_cast<long>(i)]));
  }
  // Stops when told to.
  unsigned seen = 0;
  reader->events(0, [&](const EventRecord&) { return ++seen < 7; });
  EXPECT_EQ(seen, 7u);
}

TEST(RoundTrip, LargeEventsAndBlobs) {
  TempFolder folder;
  std::mt19937_64 random(5);
  auto writer = Writer::create(folder / "rec", {}, {});
  const Bytes noise = random_bytes(random, 5 << 20), dull(9 << 20, 7);
  writer->append(event_at(1, 0, noise));
  writer->append(event_at(1, 1, {}));
  writer->append(event_at(~u64{0} - 1, ~u32{0}, dull, 255, 65535));
  writer->put_blob("noise", noise);
  writer->put_blob("dull", dull);
  writer->put_blob("empty", {});
  const Bytes several_tables(70 << 20, 3);
  writer->put_blob("several tables", several_tables);
  writer->close({.icount = ~u64{0} - 1});
  const auto reader = Reader::open(folder / "rec");
  const auto events = read_events(*reader);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_TRUE(same(events[0], event_at(1, 0, noise)));
  EXPECT_TRUE(same(events[1], event_at(1, 1, {})));
  EXPECT_TRUE(same(events[2], event_at(~u64{0} - 1, ~u32{0}, dull, 255, 65535)));
  EXPECT_EQ(reader->blob("noise"), noise);
  EXPECT_EQ(reader->blob("dull"), dull);
  EXPECT_TRUE(reader->blob("several tables") == several_tables);
  EXPECT_EQ(reader->blob("empty"), Bytes());
  EXPECT_TRUE(reader->verify([](const std::string& line) { ADD_FAILURE() << line; }));
}

TEST(RoundTrip, ReadableWhileBeingWritten) {
  TempFolder folder;
  RandomRun run(folder / "rec", 9);
  for (unsigned round = 0; round < 10; round++) {
    for (unsigned i = 0; i < 60; i++) run.step();
    const auto reader = Reader::open(folder / "rec");
    // What was flushed, and maybe more: full chunks are written without waiting for a flush.
    const auto events = read_events(*reader);
    std::vector<EventRecord> expected = run.model.events;
    expected.insert(expected.end(), run.pending.begin(), run.pending.end());
    ASSERT_GE(events.size(), run.model.events.size());
    ASSERT_LE(events.size(), expected.size());
    for (std::size_t i = 0; i < events.size(); i++) ASSERT_TRUE(same(events[i], expected[i]));
    EXPECT_GE(reader->covered_icount(), run.model.covered);
    EXPECT_EQ(reader->checkpoints().size(), run.model.checkpoints.size());
    EXPECT_FALSE(reader->end());
    EXPECT_FALSE(reader->tail_torn());
  }
}

/// Large enough that the database moves its log into tables under the readers.
TEST(RoundTrip, ReadableWhileTablesAreMade) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {});
  std::mt19937_64 random(4);
  const Bytes noise = random_bytes(random, 1 << 20);
  for (u64 i = 1; i <= 40; i++) {
    writer->append(event_at(i, 0, noise));
    writer->flush(i);
    if (i % 8 != 0) continue;
    const auto reader = Reader::open(folder / "rec");
    EXPECT_EQ(reader->covered_icount(), i);
    EXPECT_FALSE(reader->tail_torn());
    EXPECT_EQ(reader->stats().events, i);
  }
  writer->close({.icount = 41});
  const auto reader = Reader::open(folder / "rec");
  EXPECT_EQ(reader->stats().events, 40u);
  EXPECT_TRUE(reader->verify([](const std::string& line) { ADD_FAILURE() << line; }));
}

TEST(Limits, PositionsMustIncrease) {
  TempFolder folder;
  for (const auto& second : {event_at(10, 5, {}), event_at(10, 4, {}), event_at(9, 9, {})}) {
    auto writer = Writer::create(folder / "rec", {}, {.replace = true});
    writer->append(event_at(10, 5, {}));
    EXPECT_THROW(writer->append(second), StoreError);
  }
  auto writer = Writer::create(folder / "rec", {}, {.replace = true});
  writer->flush(100);
  EXPECT_THROW(writer->append(event_at(99, 0, {})), StoreError);
}

TEST(Limits, NothingAfterAFailure) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {});
  writer->append(event_at(10, 0, {}));
  writer->flush(10);
  EXPECT_THROW(writer->append(event_at(5, 0, {})), StoreError);
  EXPECT_THROW(writer->flush(20), StoreError);
  EXPECT_THROW(writer->close({}), StoreError);
  writer->close_failed();
  EXPECT_EQ(read_events(*Reader::open(folder / "rec")).size(), 1u);
}

}  // namespace
}  // namespace hindcast::storage::test
