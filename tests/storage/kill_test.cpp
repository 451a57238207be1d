// A recorder killed at any moment leaves a recording that opens, verifies, and holds at least what flush()
// and put_checkpoint() had returned for: a true beginning of what it would have recorded.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

constexpr char kPathVariable[] = "HINDCAST_STORAGE_CHILD_PATH",
               kSeedVariable[] = "HINDCAST_STORAGE_CHILD_SEED",
               kSegmentedVariable[] = "HINDCAST_STORAGE_CHILD_SEGMENTED";
constexpr int kReportFd = 100;
constexpr unsigned kSteps = 400;

/// What the child writes into the pipe: how far it has got for certain.
struct Report {
  enum Stage : u64 { Starting, Running, Closing, Closed } stage;
  u64 events, checkpoints, covered;
};

void report(Report::Stage stage, const Model& model) {
  const Report report{stage, model.events.size(), model.checkpoints.size(), model.covered};
  if (write(kReportFd, &report, sizeof report) != sizeof report) _exit(3);
}

/// Run by the test below in a process of its own, to be killed.
TEST(KilledRecorder, DISABLED_Child) {
  const char* path = std::getenv(kPathVariable);
  const char* seed = std::getenv(kSeedVariable);
  ASSERT_TRUE(path != nullptr && seed != nullptr);
  report(Report::Starting, {});
  WriterOptions options;
  options.segmented = std::getenv(kSegmentedVariable) != nullptr;
  RandomRun run(path, std::strtoull(seed, nullptr, 10), options);
  for (unsigned i = 0; i < kSteps; i++) {
    report(Report::Running, run.model);
    run.step();
  }
  report(Report::Closing, run.model);
  run.close();
  report(Report::Closed, run.model);
  pause();
}

constexpr unsigned kLargeBlobs = 12;

Bytes large_blob(unsigned i) { return Bytes((1 + i % 3) << 20, static_cast<u8>(i)); }

/// Likewise: stores blobs that are large enough for tables of their own. As many events as blobs are said to
/// be there for certain.
TEST(KilledRecorder, DISABLED_LargeBlobsChild) {
  const char* path = std::getenv(kPathVariable);
  ASSERT_TRUE(path != nullptr);
  const auto tell = [](Report::Stage stage, u64 blobs) {
    const Report report{stage, blobs, 0, 0};
    if (write(kReportFd, &report, sizeof report) != sizeof report) _exit(3);
  };
  tell(Report::Starting, 0);
  const auto writer = Writer::create(path, {5}, {});
  for (unsigned i = 0; i < kLargeBlobs; i++) {
    tell(Report::Running, i);
    writer->put_blob(std::to_string(i), large_blob(i));
  }
  tell(Report::Closing, kLargeBlobs);
  pause();
}

class Child {
 public:
  Child(const std::string& path, u64 seed, const char* test = "DISABLED_Child") {
    const std::string filter = std::string("--gtest_filter=KilledRecorder.") + test;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    setenv(kPathVariable, path.c_str(), 1);
    setenv(kSeedVariable, std::to_string(seed).c_str(), 1);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], kReportFd);
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, 1);
      execl("/proc/self/exe", "child", "--gtest_also_run_disabled_tests", filter.c_str(), nullptr);
      _exit(4);
    }
    close(ends[1]);
    pipe_ = ends[0];
  }
  ~Child() {
    kill();
    close(pipe_);
  }
  /// Reads on to the first report of `stage` that is at least the `count`th.
  void await(Report::Stage stage, unsigned count) {
    while (next() && (last_.stage < stage || count-- > 1)) {
    }
  }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
    while (next()) {
    }
  }
  const Report& last() const { return last_; }

 private:
  bool next() { return read(pipe_, &last_, sizeof last_) == sizeof last_; }

  pid_t pid_ = 0;
  int pipe_ = -1;
  Report last_{};
};

/// `model`: of the run that was not killed.
void check_killed(const std::string& path, const Model& model, const Report& last) {
  Contents found;
  try {
    found = read_all(path);
  } catch (const StoreError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.find("cut short while being created") != std::string::npos ||
                message.find("does not exist") != std::string::npos)
        << message;
    EXPECT_EQ(last.stage, Report::Starting);
    return;
  }
  EXPECT_EQ(found.error, "");
  EXPECT_TRUE(found.sound);
  EXPECT_FALSE(found.torn);
  EXPECT_EQ(found.model.meta, model.meta);
  EXPECT_GE(found.model.events.size(), last.events);
  ASSERT_LE(found.model.events.size(), model.events.size());
  for (std::size_t i = 0; i < found.model.events.size(); i++) {
    ASSERT_TRUE(same(found.model.events[i], model.events[i])) << i;
  }
  EXPECT_GE(found.model.covered, last.covered);
  const auto covered = std::count_if(model.events.begin(), model.events.end(),
                                     [&](const auto& event) { return event.icount < found.model.covered; });
  EXPECT_GE(found.model.events.size(), static_cast<std::size_t>(covered));
  EXPECT_GE(found.model.checkpoints.size(), last.checkpoints);
  ASSERT_LE(found.model.checkpoints.size(), model.checkpoints.size());
  for (std::size_t i = 0; i < found.model.checkpoints.size(); i++) {
    EXPECT_EQ(found.model.checkpoints[i].root, model.checkpoints[i].root);
    EXPECT_EQ(found.model.checkpoints[i].machine_state, model.checkpoints[i].machine_state);
  }
  if (last.stage == Report::Closed) {
    EXPECT_TRUE(found.model.end);
  }
  if (last.stage < Report::Closing) {
    EXPECT_FALSE(found.model.end);
  }
}

/// Of a segmented recording: a part of the whole run, from where one of its segments begins.
void check_killed_segmented(const std::string& path, const RandomRun& whole, const Report& last) {
  Contents found;
  try {
    found = read_all(path);
  } catch (const StoreError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.find("cut short while being created") != std::string::npos ||
                message.find("does not exist") != std::string::npos)
        << message;
    EXPECT_EQ(last.stage, Report::Starting);
    return;
  }
  EXPECT_EQ(found.error, "");
  EXPECT_TRUE(found.sound);
  EXPECT_FALSE(found.torn);
  EXPECT_GE(found.model.covered, last.covered);
  std::vector<EventRecord> expected(
      whole.all_events.begin(), whole.all_events.begin() + static_cast<std::ptrdiff_t>(whole.model.built));
  const auto position = [](const auto& at) { return std::pair(at.icount, at.seq); };
  for (std::size_t i = whole.model.built; i < whole.all_events.size(); i++)
    if (!found.model.begin || position(whole.all_events[i]) >= position(*found.model.begin))
      expected.push_back(whole.all_events[i]);
  ASSERT_LE(found.model.events.size(), expected.size());
  for (std::size_t i = 0; i < found.model.events.size(); i++)
    ASSERT_TRUE(same(found.model.events[i], expected[i])) << i;
  if (!found.model.events.empty() && !expected.empty()) {
    const auto covered = std::count_if(expected.begin(), expected.end(),
                                       [&](const auto& event) { return event.icount < found.model.covered; });
    EXPECT_GE(found.model.events.size(), static_cast<std::size_t>(covered));
  }
  auto checkpoint = whole.all_checkpoints.begin();
  if (found.model.begin) {
    checkpoint = std::find_if(checkpoint, whole.all_checkpoints.end(),
                              [&](const auto& record) { return record.icount == found.model.begin->icount; });
    ASSERT_NE(checkpoint, whole.all_checkpoints.end());
    EXPECT_FALSE(found.model.checkpoints.empty());
  }
  for (const CheckpointRecord& record : found.model.checkpoints) {
    ASSERT_NE(checkpoint, whole.all_checkpoints.end());
    EXPECT_EQ(record.root, checkpoint->root);
    EXPECT_EQ(record.machine_state, checkpoint->machine_state);
    ++checkpoint;
  }
  EXPECT_EQ(last.stage == Report::Closed && !found.model.end, false);
}

TEST(KilledRecorder, WithSegmentsLeavesAPart) {
  constexpr u64 kSeed = 9;
  TempFolder folder;
  WriterOptions options;
  options.segmented = true;
  RandomRun whole(folder / "whole", kSeed, options);
  for (unsigned i = 0; i < kSteps; i++) whole.step();
  whole.close();
  ASSERT_TRUE(whole.model.begin) << "the seed must be one that drops segments";

  setenv(kSegmentedVariable, "1", 1);
  std::mt19937_64 random(1);
  unsigned dropped = 0;
  for (unsigned i = 0; i < 40; i++) {
    const std::string path = folder / std::to_string(i);
    Child child(path, kSeed);
    child.await(i % 4 == 0 ? Report::Starting : Report::Running, 1 + (i % 4 == 0 ? 0 : random() % kSteps));
    usleep(static_cast<useconds_t>(random() % 3000));
    child.kill();
    SCOPED_TRACE("killed in stage " + std::to_string(child.last().stage) + " with " +
                 std::to_string(child.last().events) + " events");
    check_killed_segmented(path, whole, child.last());
    if (HasFatalFailure() || HasNonfatalFailure()) break;
    try {
      dropped += Reader::open(path)->begin().has_value();
    } catch (const StoreError&) {  // killed before it began
    }
  }
  unsetenv(kSegmentedVariable);
  EXPECT_GT(dropped, 5u);
}

TEST(KilledRecorder, LeavesATrueBeginning) {
  constexpr u64 kSeed = 42;
  TempFolder folder;
  RandomRun whole(folder / "whole", kSeed);
  for (unsigned i = 0; i < kSteps; i++) whole.step();
  whole.close();

  std::mt19937_64 random(1);
  for (unsigned i = 0; i < 60; i++) {
    const std::string path = folder / std::to_string(i);
    Child child(path, kSeed);
    switch (i % 3) {
      case 0: child.await(Report::Starting, 1); break;
      case 1: child.await(Report::Running, 1 + random() % kSteps); break;
      case 2: child.await(Report::Closing, 1); break;
    }
    usleep(static_cast<useconds_t>(random() % (i % 3 == 0 ? 4000 : i % 3 == 1 ? 1500 : 1000)));
    child.kill();
    SCOPED_TRACE("killed in stage " + std::to_string(child.last().stage) + " with " +
                 std::to_string(child.last().events) + " events");
    check_killed(path, whole.model, child.last());
    if (HasFatalFailure() || HasNonfatalFailure()) break;
  }
}

/// Between a table's file and the database that takes it there are moments of their own.
TEST(KilledRecorder, WithLargeBlobsLeavesThoseThatWereStored) {
  TempFolder folder;
  std::mt19937_64 random(3);
  unsigned unfinished = 0, leftovers = 0;
  for (unsigned i = 0; i < 60; i++) {
    const std::string path = folder / std::to_string(i);
    Child child(path, 0, "DISABLED_LargeBlobsChild");
    child.await(Report::Running, 1 + random() % kLargeBlobs);
    usleep(static_cast<useconds_t>(random() % 4000));
    child.kill();
    SCOPED_TRACE("killed with " + std::to_string(child.last().events) + " blobs");
    const Contents found = read_all(path);
    EXPECT_EQ(found.error, "");
    EXPECT_TRUE(found.sound);
    EXPECT_FALSE(found.torn);
    EXPECT_EQ(found.model.meta, Bytes{5});
    EXPECT_GE(found.model.blobs.size(), child.last().events);
    EXPECT_LE(found.model.blobs.size(), child.last().events + 1);
    for (const auto& [name, content] : found.model.blobs)
      EXPECT_EQ(content, large_blob(static_cast<unsigned>(std::stoul(name))));
    unfinished += child.last().stage == Report::Running;
    const bool left = std::filesystem::exists(path + "/0.dbtmp");
    leftovers += left;
    if (left) Writer::create(path, {6}, {.replace = true})->close({});
    if (HasFailure()) break;
  }
  EXPECT_GT(unfinished, 20u);
  EXPECT_GT(leftovers, 0u);
}

}  // namespace
}  // namespace hindcast::storage::test
