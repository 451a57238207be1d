// --sync: what flush() has returned for is on the disk, not only in the operating system's hands.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <climits>

#include "tests/storage/support.h"

namespace {

std::atomic<unsigned> g_log_syncs{0}, g_table_syncs{0};

void note_sync(int fd) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), path, sizeof path);
  const std::string_view name(path, size > 0 ? static_cast<std::size_t>(size) : 0);
  if (name.ends_with(".log")) g_log_syncs++;
  if (name.ends_with(".sst") || name.ends_with(".dbtmp")) g_table_syncs++;
}

}  // namespace

// In place of the C library's, for the database too.
extern "C" int fdatasync(int fd) {
  note_sync(fd);
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
extern "C" int fsync(int fd) {
  note_sync(fd);
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fsync"))(fd);
}

namespace hindcast::storage::test {
namespace {

/// How often the log reaches the disk between an event of `size` bytes and the return of flush().
unsigned syncs_of(bool sync, std::size_t size) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {.sync = sync});
  std::mt19937_64 random(1);
  writer->append(event_at(10, 0, random_bytes(random, 100)));
  writer->flush(10);
  const unsigned before = g_log_syncs;
  writer->append(event_at(20, 0, random_bytes(random, size)));
  writer->flush(20);
  return g_log_syncs - before;
}

TEST(Sync, FlushWaitsForTheDisk) {
  EXPECT_GE(syncs_of(true, 100), 1u);
  EXPECT_EQ(syncs_of(false, 100), 0u);
}

TEST(Sync, AlsoWhenTheEventFilledItsChunk) {
  EXPECT_GE(syncs_of(true, 200'000), 1u);
  EXPECT_EQ(syncs_of(false, 200'000), 0u);
}

TEST(Sync, TablesOfLargeBlobs) {
  for (const bool sync : {true, false}) {
    TempFolder folder;
    auto writer = Writer::create(folder / "rec", {}, {.sync = sync});
    const unsigned before = g_table_syncs;
    writer->put_blob("large", Bytes(3 << 20, 1));
    EXPECT_EQ(g_table_syncs > before, sync);
  }
}

}  // namespace
}  // namespace hindcast::storage::test
