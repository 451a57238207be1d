// A recorder that is killed leaves a recording that replays everything that was seen of it.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

/// Runs `record` in a process of its own, reads what it prints, and kills it after `ms` milliseconds.
std::string record_and_kill(const std::string& path, const MachineConfig& config, unsigned us,
                            const RecordOptions& options) {
  int out[2], in[2];
  if (::pipe(out) != 0 || ::pipe(in) != 0) throw std::runtime_error("no pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    for (int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
    try {
      HostOptions host;
      RecordOptions mine = options;
      mine.path = path;
      record(config, host, mine);
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(out[1]);
  ::close(in[0]);
  ::usleep(us / 2);
  [[maybe_unused]] ssize_t typed = ::write(in[1], "typed text", 10);
  ::usleep(us / 2);
  ::kill(child, SIGKILL);
  std::string shown;
  char buffer[65536];
  for (ssize_t n; (n = ::read(out[0], buffer, sizeof buffer)) > 0;)
    shown.append(buffer, static_cast<std::size_t>(n));
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(out[0]);
  ::close(in[1]);
  return shown;
}

void kill_many(const Bytes& program, unsigned rounds, const RecordOptions& options) {
  std::mt19937_64 random(rounds);
  unsigned opened = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    TempFolder folder;
    const std::string path = folder / "rec";
    const std::string shown =
        record_and_kill(path, machine_of(program), 1000 + static_cast<unsigned>(random() % 120'000), options);
    // Killed before there was a recording: then nothing was shown either.
    if (!std::filesystem::exists(path) || std::filesystem::is_empty(path)) {
      EXPECT_EQ(shown, "");
      continue;
    }
    ++opened;
    std::vector<std::string> problems;
    EXPECT_TRUE(verify(path, [&](const std::string& line) { problems.push_back(line); }));
    EXPECT_EQ(problems, std::vector<std::string>{});
    const Replayed replayed = replay_of(path);
    EXPECT_EQ(replayed.result.kind, StopKind::CutShort);
    EXPECT_EQ(replayed.result.status(), 124);
    EXPECT_NE(replayed.result.message.find("cut short at icount"), std::string::npos)
        << replayed.result.message;
    EXPECT_EQ(replayed.output.substr(0, shown.size()), shown);
  }
  EXPECT_GT(opened, rounds / 2);
}

TEST(Killed, WhilePrinting) {
  RecordOptions options;
  options.hash_grid = 1u << 20;
  kill_many(chatter_program(), 12, options);
}

TEST(Killed, WhileMakingCheckpoints) {
  RecordOptions options;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 100'003;
  kill_many(echo_program(true), 12, options);
}

TEST(Killed, WhileTheGuestSleeps) { kill_many(ticker_program(100'000, 3'000), 12, {}); }

TEST(Killed, WhileReadingTheSemihostingConsole) { kill_many(semihost_cat_program(), 8, {}); }

}  // namespace
}  // namespace hindcast::replay::test
