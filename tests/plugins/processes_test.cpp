// Commands of several processes with plugins: one of them ends before its time, or all are to end.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::hindcast;
using cli_test::Process;

/// The running processes whose command line contains all of these, in the order of their numbers.
std::vector<pid_t> running(const Strings& words) {
  std::vector<pid_t> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = cli_test::read_file(entry.path() / "cmdline");
    if (std::all_of(words.begin(), words.end(),
                    [&](const std::string& word) { return line.find(word) != std::string::npos; }))
      out.push_back(std::stoi(name));
  }
  std::sort(out.begin(), out.end());
  return out;
}

template <typename Fn>
bool soon(Fn fn) {
  for (int i = 0; i < 1000; ++i, ::usleep(10'000))
    if (fn()) return true;
  return false;
}

/// Blocked, and stays so.
bool sleeps(pid_t pid) {
  for (int i = 0; i < 15; ++i, ::usleep(10'000)) {
    const std::string stat = cli_test::read_file("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t at = stat.rfind(") ");
    if (at == std::string::npos || stat[at + 2] != 'S') return false;
  }
  return true;
}

class Processes : public Plugins {
 protected:
  /// A recording of `icounts` instructions.
  std::string recorded(const std::string& icounts) {
    const std::string rec = folder / "rec";
    cli_test::Assembler a;
    const unsigned loop = a.here();
    a.addi(a.t0, a.t0, 1);
    a.jump(loop);
    image_ = program("image", a.elf());
    EXPECT_EQ(hindcast({"record", "--max-icount", icounts, "-o", rec, image_}).status, 124);
    return rec;
  }
  std::string image_;
};

/// The run is over where a plugin ends it in one process too: parts behind that place count for nothing,
/// however far they are.
TEST_F(Processes, WhereAPluginEndsTheRunItIsOver) {
  const std::string rec = recorded("9000000"), plugin = loaded("ends");
  const Outcome one = hindcast({"analyze", "-p", plugin, rec});
  EXPECT_EQ(one.status, 7) << one.describe();
  for (int round = 0; round < 5; ++round) {
    const Outcome several = hindcast({"analyze", "-p", plugin, "--jobs", "5", rec});
    EXPECT_EQ(several.status, 7) << several.describe();
    EXPECT_EQ(several.err, one.err);
  }
}

/// However it ends: with what the other plugins have found out, and in the log.
TEST_F(Processes, AMistakeOfAPluginIsTheSameInAPart) {
  const std::string rec = recorded("9000000"), plugin = loaded("ends") + ",wrong=on";
  const Outcome one = hindcast({"analyze", "-p", plugin, "-p", "insn", rec});
  EXPECT_EQ(one.status, 125) << one.describe();
  EXPECT_NE(one.err.find("total insns: "), std::string::npos) << one.describe();
  for (const std::string jobs : {"2", "5"}) {
    const Outcome several = hindcast({"analyze", "-p", plugin, "-p", "insn", "--jobs", jobs, rec});
    EXPECT_EQ(several.status, 125);
    EXPECT_EQ(several.err, one.err);
  }
}

/// Processes that still run parts behind the end are ended whatever they do with SIGTERM.
TEST_F(Processes, PartsEndWhereSigtermIsIgnored) {
  const std::string rec = recorded("9000000"), plugin = loaded("ends");
  const auto before = ::signal(SIGTERM, SIG_IGN);
  const Outcome outcome = hindcast({"analyze", "-p", plugin, "--jobs", "5", rec});
  ::signal(SIGTERM, before);
  EXPECT_EQ(outcome.status, 7) << outcome.describe();
}

/// Also where each process has its next part already, since what the plugins write makes parts short.
TEST_F(Processes, WhereAPluginEndsTheRunItsTextIsOver) {
  const std::string rec = recorded("9000000"), plugin = loaded("ends");
  const Outcome one = hindcast({"analyze", "-p", "execlog", "-p", plugin, rec});
  EXPECT_EQ(one.status, 7);
  EXPECT_GT(one.err.size(), 64'000'000u);
  for (const std::string jobs : {"2", "5"}) {
    const Outcome several = hindcast({"analyze", "-p", "execlog", "-p", plugin, "--jobs", jobs, rec});
    EXPECT_EQ(several.status, 7) << jobs;
    EXPECT_TRUE(several.err == one.err) << jobs << ": " << several.err.size() << ", " << one.err.size();
  }
}

/// A part without text waits for no turn, and its turn may come when the process has its next part already.
TEST_F(Processes, PartsWithoutTextBetweenOthers) {
  cli_test::Assembler a;
  const auto loop = [&](int turns, int logged) {
    a.li(a.t1, turns);
    const unsigned top = a.here();
    for (int i = 0; i < logged; ++i) a.slli(a.t0, a.t1, 1);
    a.addi(a.t1, a.t1, -1);
    a.bne(a.t1, a.zero, top);
  };
  a.li(a.t2, 5);
  const unsigned round = a.here();
  loop(80'000, 4);
  loop(400'000, 0);
  a.addi(a.t2, a.t2, -1);
  a.bne(a.t2, a.zero, round);
  a.exit(a.t2);
  const std::string image = program("bursts", a.elf()), rec = folder / "rec";
  EXPECT_EQ(hindcast({"record", "-o", rec, image}).status, 0);
  Strings command = {"analyze", "-p", "execlog,ifilter=slli", rec};
  const Outcome one = hindcast(command);
  EXPECT_GT(one.err.size(), 48'000'000u);
  command.insert(command.end(), {"--jobs", "2"});
  for (int i = 0; i < 3; ++i) {
    const Outcome several = hindcast(command);
    EXPECT_EQ(several.status, 0);
    EXPECT_TRUE(several.err == one.err) << several.err.size() << ", " << one.err.size();
  }
}

TEST_F(Processes, APluginMayGoWrongWhenAskedWhetherItCanShare) {
  const std::string rec = recorded("1000"), plugin = loaded("ends");
  const std::pair<const char*, const char*> cases[] = {
      {"crash", "crashed: a memory fault (SIGSEGV)"},
      {"exit", "ended the command while it was loaded, with status 3"},
  };
  for (const auto& [how, says] : cases) {
    const Outcome outcome = hindcast({"analyze", "-p", plugin + ",possible=" + how, rec});
    EXPECT_EQ(outcome.status, 125) << outcome.describe();
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.describe();
  }
}

TEST_F(Processes, SeveralVcpusAreNotDivided) {
  recorded("1000");
  const std::string rec = folder / "two";
  EXPECT_EQ(hindcast({"record", "--max-icount", "3000000", "--smp", "2", "-o", rec, image_}).status, 124);
  const std::string one = hindcast({"analyze", "-p", "insn", rec}).err;
  EXPECT_EQ(hindcast({"analyze", "-p", "insn", "--jobs", "2", rec}).err,
            "hindcast: a machine with several vCPUs is not divided: one job runs everything\n" + one);
}

/// A command that was killed while it waited has left its socket; one that was interrupted has not.
TEST_F(Processes, ASocketThatWasLeftBehindIsSaidToBeSo) {
  recorded("1000");
  const std::string socket = folder / "socket";
  const Strings command = {"run", "-p", "lockstep,sockpath=" + socket, "--max-icount", "1000", image_};
  for (const int signal : {SIGINT, SIGKILL}) {
    Process first(command);
    ASSERT_TRUE(soon([&] { return std::filesystem::exists(socket); }));
    ::usleep(100'000);
    first.signal(signal);
    first.finish();
    EXPECT_EQ(std::filesystem::exists(socket), signal == SIGKILL);
  }
  const Outcome outcome = hindcast(command);
  EXPECT_EQ(outcome.status, 125) << outcome.describe();
  EXPECT_NE(outcome.err.find("remove that socket"), std::string::npos) << outcome.describe();
}

/// Nobody reads the text: the first part cannot write on, the second is done and waits for its turn.
TEST_F(Processes, APartThatIsKilledIsReported) {
  const std::string rec = recorded("2500000");
  const Strings command = {"analyze", "-p", "execlog", "--jobs", "2", rec};
  for (const bool waiting : {false, true}) {
    for (const std::size_t which : {0, 1}) {
      Process process(command);
      std::vector<pid_t> parts;
      ASSERT_TRUE(soon([&] { return (parts = running({rec, "--part"})).size() == 2; }));
      if (waiting) {
        EXPECT_TRUE(soon([&] { return sleeps(parts[0]) && sleeps(parts[1]); }));
      }
      ::kill(parts[which], SIGKILL);
      const Outcome outcome = process.finish();
      const Strings lines = lines_of(outcome.err);
      EXPECT_EQ(outcome.status, 125) << which << waiting;
      ASSERT_FALSE(lines.empty());
      EXPECT_NE(lines.back().find("hindcast: a part of the analysis (from icount "), std::string::npos)
          << lines.back();
      EXPECT_NE(lines.back().find("was ended by signal 9 "), std::string::npos) << lines.back();
      EXPECT_TRUE(soon([&] { return running({rec, "--part"}).empty(); }));
    }
  }
}

TEST_F(Processes, ASignalLeavesNoPartBehind) {
  const std::string rec = recorded("2500000");
  for (const bool waiting : {false, true}) {
    for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
      Process process({"analyze", "-p", "execlog", "--jobs", "2", rec});
      std::vector<pid_t> parts;
      ASSERT_TRUE(soon([&] { return (parts = running({rec, "--part"})).size() == 2; }));
      if (waiting) {
        EXPECT_TRUE(soon([&] { return sleeps(parts[0]) && sleeps(parts[1]); }));
      }
      process.signal(signal);
      EXPECT_TRUE(soon([&] { return running({rec, "--part"}).empty(); })) << signal << waiting;
      EXPECT_EQ(process.finish().signal, signal);
    }
  }
}

/// Ctrl-C in a terminal is for the whole group of processes.
TEST_F(Processes, CtrlCEndsARunInLockstep) {
  const std::string rec = recorded("200000000"), log = folder / "log";
  cli_test::SpawnOptions options;
  options.group = true;
  for (const std::string command : {"run", "record"}) {
    Strings words = {command, "-D", log, "-p", "lockstep,registers,with=" + rec, image_};
    if (command == "record") words.insert(words.end(), {"-o", folder / "again"});
    Process process(words, options);
    ASSERT_TRUE(soon([&] { return !running({rec, "lockstep,peer="}).empty(); }));
    ::usleep(300'000);
    process.signal(SIGINT);
    const Outcome outcome = process.finish();
    EXPECT_EQ(outcome.status, 130) << outcome.describe();
    const std::string text = cli_test::read_file(log);
    EXPECT_EQ(text.find("No divergence :-)\nExecuted "), 0u) << text;
    EXPECT_TRUE(soon([&] { return running({rec, "lockstep,peer="}).empty(); }));
  }
}

}  // namespace
}  // namespace hindcast::plugin_test
