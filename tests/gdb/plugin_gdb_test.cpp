// Plugins while gdb moves: they see each instruction once, wherever the cursor has been meanwhile, and are
// loaded and unloaded on the way. Without gdb-multiarch or the cross compiler: skipped.
#include <sstream>

#include "tests/gdb/real_gdb.h"

namespace hindcast::gdb {
namespace {

class PluginGdb : public RealGdb {
 protected:
  bool record_beginning() {
    if (!fs::exists(elf("heapbug"))) return false;
    int status = 0;
    const std::string out =
        shell(std::string(HINDCAST_COMMAND) + " record --serial none --max-icount 400000 -o " + recording() +
                  " " + elf("heapbug"),
              &status);
    EXPECT_EQ(status, 124) << out;
    return true;
  }
  std::string log() { return folder_ / "log"; }
  std::string logged() {
    std::stringstream text;
    text << std::ifstream(log()).rdbuf();
    return text.str();
  }
  /// What an analysis of a part of the recording writes.
  std::string analyzed(const std::string& plugin, const std::string& part) {
    return shell(std::string(HINDCAST_COMMAND) + " analyze " + recording() + " -p " + plugin + " " + part);
  }
  std::string with(const std::string& plugins) {
    return std::string(HINDCAST_COMMAND) + " debug -D " + log() + " " + plugins + " " + recording() +
           " --gdb";
  }
  /// The number behind "icount " in what `monitor when` said.
  long when(unsigned n = 1) {
    const std::string text = said("monitor when", n);
    const std::size_t at = text.find("icount ");
    return at == std::string::npos ? -1 : std::stol(text.substr(at + 7));
  }
};

TEST_P(PluginGdb, SeeARecordingOnce) {
  if (!record_beginning()) GTEST_SKIP() << "no guest";
  gdb(with("-p insn -p bb"),
      {"monitor seek 100000", "reverse-stepi", "reverse-stepi", "stepi", "monitor seek 50", "stepi 100",
       "break take_sample", "reverse-continue", "monitor seek 123456", "monitor plugin list",
       "monitor seek 200000", "monitor seek 1000", "monitor plugin unload 1", "monitor plugin list",
       "monitor seek 300000", "monitor seek begin"});
  EXPECT_SAID("1: insn", "monitor plugin list");
  EXPECT_SAID("2: bb", "monitor plugin list");
  EXPECT_SAID("seen the recording up to icount 123456", "monitor plugin list");
  EXPECT_SAID("plugin 1 'insn' has been unloaded", "monitor plugin unload 1");
  EXPECT_SAID("2: bb", "monitor plugin list", 2);
  EXPECT_EQ(logged(), analyzed("insn", "--to 200000") + analyzed("bb", "--to 300000")) << transcript_;
}

TEST_P(PluginGdb, AreLoadedAnywhereInARecording) {
  if (!record_beginning()) GTEST_SKIP() << "no guest";
  gdb(with(""),
      {"monitor plugin list", "monitor seek 234567", "monitor plugin load execlog,reg=a*", "monitor seek +10",
       "monitor seek -3", "monitor seek 235000", "monitor seek 0", "monitor plugin unload 1",
       "monitor seek 240000", "monitor plugin load nonsense", "monitor plugin load insn,x=1",
       "monitor plugin unload 1", "monitor plugin unload 99999999999", "monitor plugin",
       "monitor plugin load", "monitor plugin list"});
  EXPECT_SAID("no plugins", "monitor plugin list");
  EXPECT_SAID("plugin 1 'execlog' sees what is executed from icount 234567 on",
              "monitor plugin load execlog,reg=a*");
  EXPECT_SAID("is none of the bundled ones", "monitor plugin load nonsense");
  EXPECT_SAID("the option 'x' is not known", "monitor plugin load insn,x=1");
  EXPECT_SAID("there is no plugin 1", "monitor plugin unload 1", 2);
  EXPECT_SAID("there is no plugin 99999999999", "monitor plugin unload 99999999999");
  EXPECT_SAID("plugin load NAME", "monitor plugin load");
  EXPECT_SAID("no plugins", "monitor plugin list", 2);
  EXPECT_EQ(logged(), analyzed("execlog,reg=a*", "--from 234567 --to 235000")) << transcript_;
}

TEST_P(PluginGdb, SeeALiveRunOnce) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  debug_live(
      "heapbug", "-o " + recording() + " -D " + log() + " -p insn",
      {"break take_sample", "continue", "stepi 5", "monitor when", "monitor plugin load execlog", "stepi 40",
       "reverse-stepi", "reverse-stepi", "stepi", "stepi", "monitor plugin unload 2", "monitor when",
       "stepi 20", "reverse-continue", "continue", "monitor plugin load insn,x=1", "monitor when", "kill"});
  EXPECT_SAID("Breakpoint 1, take_sample", "continue");
  EXPECT_SAID("plugin 2 'execlog' has been unloaded", "monitor plugin unload 2");
  EXPECT_SAID("the option 'x' is not known", "monitor plugin load insn,x=1");
  const std::string part = "--from " + std::to_string(when()) + " --to " + std::to_string(when(2));
  EXPECT_EQ(when(2), when() + 40) << transcript_;
  // Alone it would begin a block of its own; here it sees the next one that begins.
  const std::string all = logged();
  const std::size_t report = all.find("cpu 0 insns: ");
  ASSERT_NE(report, std::string::npos) << all;
  EXPECT_GT(report, 0u) << "it has seen nothing";
  EXPECT_NE(analyzed("execlog", part).find(all.substr(0, report)), std::string::npos) << all;
  EXPECT_NE(all.find(analyzed("insn", "")), std::string::npos) << all << transcript_;
  int status = -1;
  const std::string replayed = shell(std::string(HINDCAST_COMMAND) + " replay " + recording(), &status);
  EXPECT_EQ(status, 128 + 9) << replayed;
}

TEST_P(PluginGdb, ARefusedOneLeavesNothingBehind) {
  if (!record_beginning()) GTEST_SKIP() << "no guest";
  gdb(with(""), {"monitor seek 300000", "monitor plugin load insn,x=1", "monitor seek 100000",
                 "monitor plugin load insn", "monitor seek 200000"});
  EXPECT_SAID("the option 'x' is not known", "monitor plugin load insn,x=1");
  EXPECT_SAID("sees what is executed from icount 100000 on", "monitor plugin load insn");
  EXPECT_EQ(logged(), analyzed("insn", "--from 100000 --to 200000")) << transcript_;
}

TEST_P(PluginGdb, WhatOneWantedIsNotMadeForTheNext) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  const std::string plugin = "monitor plugin load " HINDCAST_TEST_PLUGINS "/changes.so,do=start-memory,";
  debug_live("heapbug", "-D " + log(),
             {"break take_sample", "continue", plugin + "to=0x80700000,value=0x11", "monitor plugin unload 1",
              plugin + "to=0x80700001,value=0x22", "stepi", "x/2xb 0x80700000", "kill"});
  EXPECT_SAID("0x00\t0x22", "x/2xb 0x80700000");
  EXPECT_EQ(logged(), "");
}

TEST_P(PluginGdb, BranchesAreNotWatched) {
  if (!record_beginning()) GTEST_SKIP() << "no guest";
  const std::string branch = folder_ / "branch";
  gdb(with("-p insn"), {"monitor seek 1000", "monitor branch " + branch, "stepi 50", "monitor plugin load bb",
                        "monitor plugin list"});
  EXPECT_SAID("not a branch", "monitor plugin load bb");
  EXPECT_EQ(logged(), analyzed("insn", "--to 1000")) << transcript_;
}

INSTANTIATE_TEST_SUITE_P(Width, PluginGdb, testing::Values("rv64gc", "rv32gc"));

}  // namespace
}  // namespace hindcast::gdb
