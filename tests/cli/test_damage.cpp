// Damaged recordings, full disks, hostile images: one clear line, the right status, and what was recorded
// still replays.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

namespace fs = std::filesystem;

class Damage : public ::testing::Test {
 protected:
  Damage() { write_file(image, counter_program(kLines, 1000)); }
  static constexpr unsigned kLines = 300;
  TempFolder folder;
  std::string image = folder / "counter", recording = folder / "rec";
};

TEST_F(Damage, FlippedBitsAndCutFiles) {
  ASSERT_EQ(hindcast({"record", "-o", recording, "--checkpoints", "every=50000", image}).status, 5);
  const std::string everything = counter_text(kLines);
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(recording))
    if (entry.is_regular_file() && entry.file_size() != 0) files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty());
  constexpr unsigned kCases = 60;
  std::vector<unsigned> seeds(kCases);
  in_parallel(kCases, [&](unsigned i) {
    std::mt19937 random(i);
    std::string copy = folder / ("copy" + std::to_string(i));
    fs::copy(recording, copy, fs::copy_options::recursive);
    std::string file = copy + "/" + files[i % files.size()];
    std::string bytes = read_file(file);
    std::string where = files[i % files.size()];
    if (i / files.size() % 3 == 2) {
      bytes.resize(random() % bytes.size());
      where += " cut to " + std::to_string(bytes.size());
    } else {
      std::size_t at = random() % bytes.size();
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
      where += " bit flipped at " + std::to_string(at);
    }
    write_file(file, bytes);
    Outcome verify = hindcast({"verify", copy});
    EXPECT_TRUE(verify.status == 0 || verify.status == 1 || verify.status == 125)
        << where << ": " << verify.describe();
    if (verify.status != 0) {
      EXPECT_TRUE(verify.one_line()) << where << ": " << verify.err;
    }
    Outcome replay = hindcast({"replay", copy});
    EXPECT_TRUE(everything.starts_with(replay.out)) << where << ": replay showed what was never there";
    if (verify.status == 0) {
      EXPECT_TRUE(replay.status == 5 || replay.status == 124)
          << where << ": sound, but " << replay.describe();
    }
    EXPECT_TRUE(replay.status == 5 || replay.status == 124 || replay.status == 125)
        << where << ": " << replay.describe();
    if (replay.status == 5) {
      EXPECT_EQ(replay.out, everything) << where;
    } else {
      EXPECT_TRUE(replay.one_line()) << where << ": " << replay.err;
    }
    for (const char* report : {"info", "events"}) {
      Outcome outcome = hindcast({report, copy});
      EXPECT_TRUE(outcome.status == 0 || (outcome.status == 125 && outcome.one_line()))
          << where << ": " << outcome.describe();
    }
    fs::remove_all(copy);
  });
}

TEST_F(Damage, ThingsThatAreNoRecording) {
  fs::create_directory(folder / "empty");
  fs::create_directory(folder / "other");
  write_file(folder / "other/CURRENT", "MANIFEST-000001\n");
  write_file(folder / "file", "text");
  for (const std::string& what :
       {folder / "other", folder / "file", std::string("/dev/null"), folder / "none", std::string("")}) {
    for (const char* command : {"replay", "info", "events", "verify"}) {
      Outcome outcome = hindcast({command, what});
      EXPECT_EQ(outcome.status, 125) << command << " " << what << ": " << outcome.describe();
      EXPECT_TRUE(outcome.one_line()) << outcome.err;
    }
  }
  // What a recorder leaves that was killed in its first moment.
  Outcome replay = hindcast({"replay", folder / "empty"});
  EXPECT_EQ(replay.status, 124) << replay.describe();
  EXPECT_NE(replay.err.find("cut short at icount 0"), std::string::npos) << replay.err;
  EXPECT_EQ(hindcast({"verify", folder / "empty"}).status, 0);
  EXPECT_TRUE(fs::is_empty(folder / "empty")) << "looking at a folder made files in it";
}

TEST_F(Damage, AFileSizeLimitIsLikeAFullDisk) {
  write_file(image, counter_program(0, 100));
  for (unsigned long limit : {16ul << 10, 128ul << 10}) {
    recording = folder / ("rec" + std::to_string(limit));
    SpawnOptions options;
    options.file_size_limit = limit;
    options.output = Stream::Pipe;
    Outcome outcome =
        hindcast({"record", "-o", recording, "--checkpoints=every=20000", "--max-icount=200000000", image},
                 "", options);
    EXPECT_EQ(outcome.status, 125) << limit << ": " << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << limit << ": " << outcome.err;
    if (outcome.out.empty() && !fs::exists(recording)) continue;
    Outcome replay = hindcast({"replay", recording});
    EXPECT_TRUE(replay.status == 124 || (replay.status == 125 && outcome.out.empty()))
        << limit << ": " << replay.describe();
    EXPECT_TRUE(replay.out.starts_with(outcome.out)) << limit << ": what was shown does not replay";
  }
}

TEST_F(Damage, AFullDisk) {
  std::string disk = folder / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=3m,mode=0700") != 0)
    GTEST_SKIP() << "may not mount a small disk here";
  write_file(image, counter_program(0, 100));
  Outcome outcome = hindcast(
      {"record", "-o", disk + "/rec", "--checkpoints=every=20000", "--max-icount=2000000000", image});
  EXPECT_EQ(outcome.status, 125) << outcome.describe();
  EXPECT_TRUE(outcome.one_line()) << outcome.err;
  Outcome verify = hindcast({"verify", disk + "/rec"});
  EXPECT_EQ(verify.status, 0) << verify.describe();
  Outcome replay = hindcast({"replay", disk + "/rec"});
  EXPECT_EQ(replay.status, 124) << replay.describe();
  EXPECT_FALSE(outcome.out.empty());
  EXPECT_TRUE(replay.out.starts_with(outcome.out)) << "what was shown does not replay";
  ::umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(Damage, HostileImages) {
  const std::string good = exit_program(9);
  constexpr unsigned kCases = 240;
  in_parallel(kCases, [&](unsigned i) {
    std::mt19937 random(i);
    std::string bytes = good;
    if (i % 3 == 0) {
      bytes.resize(i < 180 ? i : random() % bytes.size());
    } else {
      // The headers (64 + 56 bytes) with random bytes, or one field with all ones.
      std::size_t at = random() % 120;
      if (i % 3 == 1)
        bytes[at] = static_cast<char>(random());
      else
        for (std::size_t k = 0; k < 8; ++k) bytes[(at & ~std::size_t{7}) + k] = '\xff';
    }
    std::string file = folder / ("image" + std::to_string(i));
    write_file(file, bytes);
    Outcome outcome = hindcast({"run", "--max-icount", "2000", file});
    EXPECT_TRUE(outcome.status == 9 || outcome.status == 124 || outcome.status == 125)
        << i << ": " << outcome.describe();
    if (outcome.status == 125) {
      EXPECT_TRUE(outcome.one_line()) << i << ": " << outcome.err;
    }
    EXPECT_EQ(outcome.out, "");
  });
}

TEST_F(Damage, HostileDeviceTrees) {
  write_file(image, exit_program(9));
  for (unsigned i = 0; i < 40; ++i) {
    std::mt19937 random(i);
    std::string bytes("\xd0\x0d\xfe\xed", 4);
    for (unsigned n = random() % 400; n != 0; --n)
      bytes += static_cast<char>(random() % 3 != 0 ? 0 : random());
    write_file(folder / "dtb", bytes);
    Outcome outcome = hindcast({"run", "--max-icount", "2000", "--dtb", folder / "dtb", image});
    EXPECT_EQ(outcome.status, 125) << i << ": " << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << i << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace hindcast::cli_test
