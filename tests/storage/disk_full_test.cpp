// A disk that fills up: one clear error, and what was flushed before stays readable. The limit on file sizes
// stands in for the disk: it makes the same writes fail at chosen places.
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

/// No file of this process may grow beyond `bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(DiskFull, WhileRecording) {
  for (const rlim_t limit : {600, 2000, 10000, 50000, 200000, 700000}) {
    for (const u64 seed : {1, 2}) {
      SCOPED_TRACE(std::to_string(limit) + " bytes, seed " + std::to_string(seed));
      TempFolder folder;
      RandomRun run(folder / "rec", seed);
      std::string message;
      {
        const FileSizeLimit full(limit);
        for (unsigned i = 0; i < 5000 && message.empty(); i++) {
          try {
            run.step();
          } catch (const StoreError& error) {
            message = error.what();
          }
        }
        ASSERT_NE(message, "");
        EXPECT_THROW(run.writer().flush(~u64{0}), StoreError);
        run.writer().close_failed();
      }
      EXPECT_EQ(message.find('\n'), std::string::npos);
      EXPECT_NE(message.find(folder / "rec"), std::string::npos) << message;
      const Contents found = read_all(folder / "rec");
      EXPECT_EQ(found.error, "");
      EXPECT_FALSE(found.torn);
      EXPECT_GE(found.model.covered, run.model.covered);
      std::vector<EventRecord> all = run.model.events;
      all.insert(all.end(), run.pending.begin(), run.pending.end());
      ASSERT_GE(found.model.events.size(), run.model.events.size());
      ASSERT_LE(found.model.events.size(), all.size());
      for (std::size_t i = 0; i < found.model.events.size(); i++)
        ASSERT_TRUE(same(found.model.events[i], all[i]));
      EXPECT_EQ(found.model.checkpoints.size(), run.model.checkpoints.size());
    }
  }
}

TEST(DiskFull, WhileCreating) {
  std::mt19937_64 random(3);
  const Bytes meta = random_bytes(random, 5000);
  for (const rlim_t limit : {0, 1, 100, 200, 250, 300, 400}) {
    SCOPED_TRACE(limit);
    TempFolder folder;
    std::string message = "created";
    {
      const FileSizeLimit full(limit);
      try {
        Writer::create(folder / "rec", meta, {});
      } catch (const StoreError& error) {
        message = error.what();
      }
    }
    ASSERT_NE(message, "created");
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(folder / "rec"));
  }
}

/// A real disk, of one megabyte: here the database hears "no space left" and not just of a failed write.
TEST(DiskFull, RealDisk) {
  TempFolder folder;
  const std::string disk = folder / "disk";
  std::filesystem::create_directory(disk);
  if (mount("none", disk.c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "may not mount a disk of its own";
  struct Unmount {
    std::string path;
    ~Unmount() { umount2(path.c_str(), MNT_DETACH); }
  } unmount{disk};
  RandomRun run(disk + "/rec", 3);
  std::string message;
  for (unsigned i = 0; i < 50000 && message.empty(); i++) {
    try {
      run.step();
    } catch (const StoreError& error) {
      message = error.what();
    }
  }
  EXPECT_NE(message.find("the disk is full"), std::string::npos) << message;
  EXPECT_THROW(run.writer().close({}), StoreError);
  run.writer().close_failed();
  const Contents found = read_all(disk + "/rec");
  EXPECT_EQ(found.error, "");
  EXPECT_TRUE(found.sound);
  EXPECT_GE(found.model.events.size(), run.model.events.size());
  EXPECT_EQ(found.model.checkpoints.size(), run.model.checkpoints.size());
}

/// Room for the log but not for the tables that closing makes of it: the recording is whole all the same.
TEST(DiskFull, WhileClosing) {
  TempFolder folder;
  std::mt19937_64 random(1);
  auto writer = Writer::create(folder / "rec", {}, {});
  const Bytes noise = random_bytes(random, 900'000);
  for (const char* name : {"noise/0", "noise/1", "noise/2", "noise/3"}) writer->put_blob(name, noise);
  {
    const FileSizeLimit full(3 << 20);  // the log is beyond it already
    EXPECT_THROW(writer->close({}), StoreError);
  }
  writer.reset();
  EXPECT_EQ(Reader::open(folder / "rec")->blob("noise/3"), noise);
}

/// Blobs of 1 MiB and more do not pass the log: their tables find no room either.
TEST(DiskFull, WhileStoringALargeBlob) {
  TempFolder folder;
  std::mt19937_64 random(1);
  const Bytes noise = random_bytes(random, 3 << 20);
  for (const rlim_t limit : {20'000, 1 << 20, 3 << 20}) {
    SCOPED_TRACE(limit);
    const std::string path = folder / std::to_string(limit);
    auto writer = Writer::create(path, {7}, {});
    writer->append(event_at(1, 0, {1}));
    writer->flush(1);
    {
      const FileSizeLimit full(limit);
      EXPECT_THROW(writer->put_blob("noise", noise), StoreError);
    }
    EXPECT_FALSE(std::filesystem::exists(path + "/0.dbtmp"));
    EXPECT_THROW(writer->flush(2), StoreError);
    writer->close_failed();
    const Contents found = read_all(path);
    EXPECT_EQ(found.error, "");
    EXPECT_EQ(found.model.events.size(), 1u);
    EXPECT_TRUE(found.model.blobs.empty());
  }
}

}  // namespace
}  // namespace hindcast::storage::test
