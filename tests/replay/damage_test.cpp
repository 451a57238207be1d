// What is said of a recording whose files were damaged after the recorder closed it, as against one whose
// recorder was killed.
#include <algorithm>
#include <filesystem>

#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

namespace fs = std::filesystem;

std::string log_of(const std::string& recording) {
  std::string log;
  for (const auto& entry : fs::directory_iterator(recording))
    if (entry.path().extension() == ".log") log = std::max(log, entry.path().string());
  return log;
}

/// All that verify() finds; its verdict in `sound`.
std::string findings(const std::string& path, bool& sound) {
  std::string text;
  sound = verify(path, [&](const std::string& line) { text += line + "\n"; });
  return text;
}

class DamagedRecording : public testing::Test {
 protected:
  void SetUp() override {
    whole_ = record_to(path_, machine_of(echo_program(true)),
                       std::make_shared<TypingConsole>("some keys t and t more q", 1));
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "rec";
  RunResult whole_;
};

TEST_F(DamagedRecording, AClosedOneWithoutItsEndIsNoKilledOne) {
  const auto size = fs::file_size(log_of(path_));
  // Without the end record alone, without half of it all, and without any event.
  for (const auto cut : {size - 40, size / 2, size_t{4000}}) {
    fs::resize_file(log_of(path_), cut);
    try {
      const Replayed replayed = replay_of(path_);
      ADD_FAILURE() << "cut to " << cut << ": replayed to " << replayed.result.icount;
    } catch (const Fatal& error) {
      EXPECT_NE(std::string(error.what()).find("is damaged"), std::string::npos) << error.what();
    }
    bool sound = true;
    EXPECT_NE(findings(path_, sound), "");
    EXPECT_FALSE(sound);
  }
}

TEST_F(DamagedRecording, WhatComesBeforeTheDamageReplays) {
  fs::resize_file(log_of(path_), fs::file_size(log_of(path_)) - 40);
  const RecordingInfo about = info(path_);
  EXPECT_TRUE(about.end_lost);
  EXPECT_FALSE(about.clean_close);
  ASSERT_GT(about.icount, 1000u);
  ReplayOptions options;
  options.until = about.icount - 1;
  EXPECT_EQ(replay_of(path_, options).result.icount, options.until);
}

TEST_F(DamagedRecording, VerifyTellsDamageFromNoRecording) {
  bool sound = true;
  fs::resize_file(path_ + "/CURRENT", 3);
  EXPECT_NE(findings(path_, sound).find("damaged"), std::string::npos);
  EXPECT_FALSE(sound);
  EXPECT_THROW(verify(folder_ / "none", [](const std::string&) {}), storage::StoreError);
}

}  // namespace
}  // namespace hindcast::replay::test
