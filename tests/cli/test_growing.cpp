// A recording that another process is still writing: whoever looks at it sees what is there, and the recorder
// is not disturbed.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

namespace fs = std::filesystem;

void pause(int milliseconds) { std::this_thread::sleep_for(Milliseconds(milliseconds)); }

/// A value of `info --json`.
std::string fact(const std::string& rec, const std::string& name) {
  const std::string json = hindcast({"info", "--json", rec}).out;
  const std::size_t at = json.find("\"" + name + "\": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return json.substr(begin, json.find_first_of(",\n", begin) - begin);
}

/// A recorder at no more than 125 million instructions a second, which prints a line every few thousand until
/// it is stopped.
class Recorder {
 public:
  Recorder(const TempFolder& folder, std::vector<std::string> options) : rec(folder / "rec") {
    write_file(folder / "guest.elf", counter_program(0, 3000));
    std::vector<std::string> words = {"record", "-o", rec, "--pace", "real"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(folder / "guest.elf");
    SpawnOptions streams;
    streams.output_file = folder / "console";
    process.emplace(words, streams);
    for (int i = 0; i < 1000 && !fs::exists(rec + "/RECORDING"); ++i) pause(5);
    pause(300);
  }
  std::string rec;
  std::optional<Process> process;
};

/// A replay of a growing recording: what is covered, and then the line that says so.
Outcome expect_part(const std::string& rec) {
  const Outcome out = hindcast({"replay", rec});
  EXPECT_EQ(out.status, 124) << out.describe();
  EXPECT_TRUE(out.one_line()) << out.err;
  EXPECT_NE(out.err.find("still being written"), std::string::npos) << out.err;
  return out;
}

TEST(Growing, EachReaderSeesMoreThanTheOneBefore) {
  TempFolder folder;
  Recorder recorder(folder, {"--checkpoints", "every=10000000"});
  std::size_t before = 0;
  std::uint64_t icount = 0;
  for (int round = 0; round < 4; ++round) {
    const Outcome out = expect_part(recorder.rec);
    EXPECT_GT(out.out.size(), before);
    before = out.out.size();
    // All of it has been shown, and nothing else.
    const std::string console = read_file(folder / "console");
    EXPECT_TRUE(console.starts_with(out.out) || out.out.starts_with(console));
    const std::uint64_t covered = std::stoull(fact(recorder.rec, "icount"));
    EXPECT_GT(covered, icount);
    icount = covered;
    pause(250);
  }
  EXPECT_NE(hindcast({"info", recorder.rec}).out.find("not yet: it is still being written"),
            std::string::npos);
  EXPECT_EQ(hindcast({"verify", recorder.rec}).status, 0);
  EXPECT_EQ(hindcast({"events", recorder.rec}).status, 0);
  EXPECT_EQ(hindcast({"index", recorder.rec}).status, 125);
  Outcome out = hindcast({"export", recorder.rec, folder / "file"});
  EXPECT_EQ(out.status, 0) << out.describe();
  EXPECT_EQ(hindcast({"import", folder / "file", folder / "copy"}).status, 0);
  out = hindcast({"replay", folder / "copy"});
  EXPECT_EQ(out.status, 124) << out.describe();
  EXPECT_GE(out.out.size(), before);
  recorder.process->signal(SIGINT);
  const Outcome recorded = recorder.process->finish();
  EXPECT_EQ(recorded.status, 128 + SIGINT) << recorded.describe();
  out = hindcast({"replay", recorder.rec});
  EXPECT_EQ(out.out, read_file(folder / "console"));
  EXPECT_EQ(hindcast({"verify", recorder.rec}).status, 0);
}

TEST(Growing, TheWriterMayBeKilledMeanwhile) {
  TempFolder folder;
  Recorder recorder(folder, {"--checkpoints", "every=10000000"});
  pause(500);
  Process reader({"replay", recorder.rec});
  Process checker({"verify", recorder.rec});
  ASSERT_TRUE(reader.await("\n"));
  recorder.process->signal(SIGKILL);
  EXPECT_EQ(recorder.process->finish().signal, SIGKILL);
  const Outcome out = reader.finish();
  EXPECT_EQ(out.status, 124) << out.describe();
  EXPECT_FALSE(out.out.empty());
  EXPECT_EQ(checker.finish().status, 0);
  // Whoever comes now is told the other thing.
  const Outcome after = hindcast({"replay", recorder.rec});
  EXPECT_EQ(after.status, 124) << after.describe();
  EXPECT_NE(after.err.find("cut short at icount"), std::string::npos) << after.err;
  EXPECT_TRUE(after.out.starts_with(out.out));
}

TEST(Growing, AFlightRecorderMayForgetWhatIsBeingRead) {
  TempFolder folder;
  Recorder recorder(folder, {"--keep", "1M", "--checkpoints", "every=300000"});
  for (int i = 0; i < 200 && std::stoull("0" + fact(recorder.rec, "begin")) == 0; ++i) pause(50);
  std::uint64_t begin = std::stoull("0" + fact(recorder.rec, "begin"));
  EXPECT_GT(begin, 0u) << "nothing was dropped; this test needs that";
  for (int round = 0; round < 5; ++round) {
    std::vector<std::unique_ptr<Process>> readers;
    for (const char* command : {"replay", "verify", "events", "info"})
      readers.push_back(std::make_unique<Process>(std::vector<std::string>{command, recorder.rec}));
    const int wanted[] = {124, 0, 0, 0};
    for (std::size_t i = 0; i < readers.size(); ++i) {
      const Outcome out = readers[i]->finish();
      EXPECT_EQ(out.status, wanted[i]) << i << " " << out.describe();
    }
  }
  EXPECT_GT(std::stoull("0" + fact(recorder.rec, "begin")), begin) << "nothing was dropped meanwhile";
  recorder.process->signal(SIGINT);
  const Outcome recorded = recorder.process->finish();
  EXPECT_EQ(recorded.status, 128 + SIGINT) << recorded.describe();
  EXPECT_EQ(hindcast({"verify", recorder.rec}).status, 0);
}

}  // namespace
}  // namespace hindcast::cli_test
