// kill -9 of the recorder at 200 random moments, its creation, checkpoints and closing included: what the
// console had shown is in the recording, and replays.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <random>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

constexpr unsigned kMoments = 200;
constexpr unsigned kLines = 4000;

class Kill : public ::testing::Test {
 protected:
  Kill() { write_file(image, counter_program(kLines, 4000)); }
  std::vector<std::string> record(const std::string& recording) const {
    return {"record", "-o", recording, "--checkpoints", "every=1000000", image};
  }
  TempFolder folder;
  std::string image = folder / "counter";
};

TEST_F(Kill, AtRandomMoments) {
  auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(hindcast(record(folder / "whole")).out, counter_text(kLines));
  auto whole =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);

  std::mutex lock;
  std::mt19937 random(4);
  unsigned unborn = 0, cut_short = 0, complete = 0;
  const std::string everything = counter_text(kLines);
  in_parallel(kMoments, [&](unsigned i) {
    std::string recording = folder / ("rec" + std::to_string(i)), console = recording + ".console";
    useconds_t delay;
    {
      std::lock_guard guard(lock);
      // Every fourth in the first moments, when the folder and the database are made; the others over the
      // whole run and a little beyond, so that closing is met too (two at a time they take longer than
      // alone).
      auto range = static_cast<unsigned>(i % 4 == 0 ? whole.count() / 4 : whole.count() * 2);
      delay = random() % range;
    }
    SpawnOptions options;
    options.output_file = console;
    Process process(record(recording), options);
    ::usleep(delay);
    process.signal(SIGKILL);
    Outcome recorder = process.finish();
    std::string shown = read_file(console);

    std::string where =
        "killed after " + std::to_string(delay) + " us, shown " + std::to_string(shown.size()) + " bytes: ";
    ASSERT_TRUE(everything.starts_with(shown)) << where;
    Outcome verify = hindcast({"verify", recording});
    std::lock_guard guard(lock);
    if (!std::filesystem::exists(recording)) {
      ++unborn;
      EXPECT_EQ(verify.status, 125) << where << verify.describe();
      EXPECT_EQ(shown, "") << where;
      return;
    }
    EXPECT_EQ(verify.status, 0) << where << verify.describe() << verify.out;
    Outcome replay = hindcast({"replay", recording});
    EXPECT_TRUE(replay.out.starts_with(shown))
        << where << "replayed " << replay.out.size() << " bytes, " << replay.describe();
    EXPECT_TRUE(everything.starts_with(replay.out)) << where;
    if (replay.status == 5) {
      ++complete;
      EXPECT_EQ(replay.err, "");
      EXPECT_EQ(replay.out, everything);
    } else {
      ++cut_short;
      EXPECT_EQ(replay.status, 124) << where << replay.describe();
      EXPECT_TRUE(replay.one_line()) << where << replay.err;
      EXPECT_NE(replay.err.find("cut short"), std::string::npos) << replay.err;
    }
    EXPECT_EQ(hindcast({"info", recording}).status, 0) << where;
    std::filesystem::remove_all(recording);
  });
  RecordProperty("unborn", static_cast<int>(unborn));
  RecordProperty("cut_short", static_cast<int>(cut_short));
  RecordProperty("complete", static_cast<int>(complete));
  std::printf("%u before the recording existed, %u cut short, %u complete\n", unborn, cut_short, complete);
  EXPECT_GT(cut_short, kMoments / 10) << "the moments missed the run";
}

TEST_F(Kill, ABrokenBirthCanBeReplaced) {
  // Whatever a killed recorder left behind, --force makes a new recording in its place.
  auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(hindcast(record(folder / "whole")).status, 5);
  auto whole =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  for (unsigned i = 0; i < 10; ++i) {
    std::string recording = folder / "rec";
    Process process(record(recording));
    ::usleep(static_cast<useconds_t>(whole.count() * i / 20));
    process.signal(SIGKILL);
    process.finish();
    std::vector<std::string> again = record(recording);
    again.push_back("--force");
    Outcome outcome = hindcast(again);
    EXPECT_EQ(outcome.status, 5) << outcome.describe();
    EXPECT_EQ(hindcast({"replay", recording}).out, counter_text(kLines));
  }
}

}  // namespace
}  // namespace hindcast::cli_test
