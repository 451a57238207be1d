// gdb itself on live runs. Without gdb-multiarch or the cross compiler: skipped.
#include "tests/gdb/real_gdb.h"

namespace hindcast::gdb {
namespace {

class LiveGdb : public RealGdb {
 protected:
  /// What replaying a recording prints and ends with.
  std::string replayed(const std::string& path, int* status) {
    return shell(std::string(HINDCAST_COMMAND) + " replay " + path, status);
  }
};

TEST_P(LiveGdb, ABugIsFoundBackwardsWithoutRecordingFirst) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  debug_live("heapbug", "",
             {"info registers pc", "break failed", "continue", "watch -l *(unsigned*)(heap + 56)",
              "reverse-continue", "backtrace", "reverse-stepi", "set var heap_used = 3", "delete", "continue",
              "set var heap_used = 77", "print heap_used", "finish", "stepi", "reverse-stepi", "info line",
              "monitor when"});
  EXPECT_SAID("0x1000", "info registers pc");
  EXPECT_SAID("Breakpoint 1, failed", "continue");
  EXPECT_SAID("New value = 100", "reverse-continue");
  EXPECT_SAID("trap_entry", "backtrace");
  EXPECT_SAID("Cannot access memory", "set var heap_used = 3");
  EXPECT_SAID("the past cannot be changed", "set var heap_used = 3");
  // Forward again: the present is a stop.
  EXPECT_SAID("No more reverse-execution history", "continue", 2);
  EXPECT_SAID(" = 77", "print heap_used");
  // The guest's console is in gdb's window, and its end is a stop.
  EXPECT_SAID("instead of 400", "finish");
  EXPECT_SAID("the guest ended the run with status 1", "finish");
  EXPECT_SAID("No more reverse-execution history", "finish");
  EXPECT_SAID("sw", "monitor when");
}

TEST_P(LiveGdb, ChangesAreRecordedAndReplayed) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  debug_live("heapbug", "-o " + recording(),
             {"break total", "continue", "set var ((struct account*)(heap + 56))->balance = 100",
              "set var $t0 = 5", "print total(first_account)", "delete", "continue"});
  EXPECT_SAID("Breakpoint 1, total", "continue");
  // A function of the guest, called by gdb.
  EXPECT_SAID(" = 400", "print total(first_account)");
  EXPECT_SAID("all is well", "continue", 2);
  EXPECT_SAID("status 0", "continue", 2);
  int status = -1;
  EXPECT_EQ(replayed(recording(), &status), "all is well\n");
  EXPECT_EQ(status, 0);
  EXPECT_NE(shell(std::string(HINDCAST_COMMAND) + " events --kind memory-write " + recording())
                .find("memory-write"),
            std::string::npos);
}

TEST_P(LiveGdb, LoadsAProgramIntoMemory) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  debug_live(
      "heapbug", "-o " + recording(),
      {"break failed", "continue", "load", "compare-sections .text", "tbreak main", "continue", "continue"});
  EXPECT_SAID("Start address", "load");
  EXPECT_SAID("matched", "compare-sections .text");
  EXPECT_SAID("main (", "continue", 2);
  EXPECT_SAID("Breakpoint 1, failed", "continue", 3);
  int status = -1;
  replayed(recording(), &status);
  EXPECT_EQ(status, 0);
}

TEST_P(LiveGdb, WatchpointsAndStepsOnTheLiveRun) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  debug_live("heapbug", "",
             {"tbreak take_sample", "continue", "watch r->count", "continue", "continue", "delete", "finish",
              "next", "step", "stepi", "until", "break take_sample if r->count == 5", "continue",
              "print r->count", "info breakpoints", "reverse-continue", "monitor when"});
  EXPECT_SAID("Old value = 0", "continue", 2);
  EXPECT_SAID("New value = 1", "continue", 2);
  EXPECT_SAID("trap (", "finish");
  EXPECT_SAID(" = 5", "print r->count");
  EXPECT_SAID("already hit 1 time", "info breakpoints");
  EXPECT_SAID("icount 0 of", "monitor when");
}

TEST_P(LiveGdb, ABranchGoesAnotherWay) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  const std::string branch = recording() + ".saved";
  debug({"break failed", "continue", "watch -l *(unsigned*)(heap + 56)", "reverse-continue", "delete",
         "set var heap_used = 1", "monitor branch " + branch, "return", "monitor when", "continue",
         "reverse-stepi", "monitor branch " + branch, "monitor branch"});
  EXPECT_SAID("monitor branch goes on from here", "set var heap_used = 1");
  EXPECT_SAID("recorded into " + branch, "monitor branch " + branch);
  EXPECT_SAID("all is well", "continue", 2);
  EXPECT_SAID("exists already", "monitor branch " + branch, 2);
  EXPECT_SAID("recorded into " + branch + ".branch1", "monitor branch");
  int status = -1;
  EXPECT_EQ(replayed(branch, &status), "all is well\n");
  EXPECT_EQ(status, 0);
  EXPECT_NE(replayed(recording(), &status).find("instead of 400"), std::string::npos);
  EXPECT_EQ(status, 1);
  EXPECT_EQ(shell(std::string(HINDCAST_COMMAND) + " verify " + branch, &status).empty(), false);
  EXPECT_EQ(status, 0);
}

TEST_P(LiveGdb, OutputIsShownOnceGoingForward) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"continue", "reverse-continue", "continue", "monitor when"});
  EXPECT_SAID("instead of 400", "continue");
  EXPECT_EQ(said("continue", 2).find("instead"), std::string::npos) << transcript_;
}

TEST_P(LiveGdb, TwoHartsLive) {
  if (!fs::exists(elf("smp-debug"))) GTEST_SKIP() << "no guest";
  debug_live("smp-debug", "--smp 2 -o " + recording(),
             {"tbreak main", "continue", "info threads", "watch locked_sum", "continue", "continue",
              "reverse-continue", "delete", "thread 2", "stepi", "reverse-stepi", "continue", "continue"});
  EXPECT_SAID("Thread 2 \"vCPU 1\"", "info threads");
  EXPECT_SAID("New value = 1", "continue", 2);
  EXPECT_SAID("New value = 2", "continue", 3);
  int status = -1;
  replayed(recording(), &status);
  EXPECT_EQ(status, 0);
}

TEST_P(LiveGdb, RunStartsOverInExtendedMode) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  const std::string socket = recording() + ".socket";
  const std::string gdb_line = "gdb-multiarch -q " + elf("heapbug") + " -nx -batch -ex 'set confirm off' " +
                               "-ex 'target extended-remote " + socket + "' ";
  const std::string server =
      std::string(HINDCAST_COMMAND) + " debug " + recording() + " --listen unix:" + socket;
  const std::string wait =
      "for i in 1 2 3 4 5 6 7 8 9; do test -S " + socket + " && break; sleep 0.2; done; ";
  transcript_ = shell(
      "sh -c " + quoted("(" + server + " & S=$!; " + wait + gdb_line +
                        "-ex 'break failed' -ex continue -ex run -ex 'starti 1000' -ex 'monitor when' -ex "
                        "kill; wait $S; echo status $?)"));
  const std::size_t first = transcript_.find("Breakpoint 1, failed");
  ASSERT_NE(first, std::string::npos) << transcript_;
  EXPECT_NE(transcript_.find("Breakpoint 1, failed", first + 1), std::string::npos) << transcript_;
  EXPECT_NE(transcript_.find("icount 1000 of"), std::string::npos) << transcript_;
  EXPECT_NE(transcript_.find("status 0"), std::string::npos) << transcript_;
}

TEST_P(LiveGdb, LoadsIntoFlash) {
  if (!fs::exists(elf("heapbug"))) GTEST_SKIP() << "no guest";
  const std::string part = folder_ / "part.bin", image = folder_ / "flash.elf";
  std::ofstream(part) << "what is in the flash";
  if (std::system(
          ("riscv64-unknown-elf-objcopy -I binary -O elf64-littleriscv --change-addresses 0x20001000 " +
           part + " " + image)
              .c_str()) != 0)
    GTEST_SKIP() << "no objcopy";
  debug_live("heapbug", "-o " + recording(),
             {"load " + image, "x/s 0x20001000", "x/1xw 0x20001018", "set var *(int*)0x20001000 = 1"});
  EXPECT_SAID("what is in the flash", "x/s 0x20001000");
  EXPECT_SAID("0xffffffff", "x/1xw 0x20001018");
  EXPECT_SAID("Writing to flash memory forbidden", "set var *(int*)0x20001000 = 1");
  EXPECT_NE(shell(std::string(HINDCAST_COMMAND) + " events --kind memory-write " + recording())
                .find("memory-write"),
            std::string::npos);
}

TEST_P(LiveGdb, TracepointsOverThePast) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"trace take_sample if r->count % 2 == 1", "trace total", "tstart", "tstop", "tstatus", "tfind start",
         "print r->count", "tfind", "print r->count", "tdump", "tfind pc total", "backtrace 2", "tfind none",
         "info registers pc", "break total", "continue"});
  EXPECT_SAID("Collected", "tstatus");
  EXPECT_SAID("Found trace frame 0, tracepoint 1", "tfind start");
  EXPECT_SAID(" = 1", "print r->count");
  EXPECT_SAID(" = 3", "print r->count", 2);
  EXPECT_SAID("tracepoint 2", "tfind pc total");
  EXPECT_SAID("in main", "backtrace 2");
  EXPECT_SAID("0x1000", "info registers pc");
  EXPECT_SAID("Breakpoint 3, total", "continue");
}

TEST_P(LiveGdb, HistoryOfInstructionsAndCalls) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"break failed", "continue", "set record btrace bts buffer-size 2000", "record btrace", "info record",
         "record function-call-history /c -", "record instruction-history", "record stop", "monitor when"});
  EXPECT_SAID("Branch Trace Store", "info record");
  EXPECT_SAID("total", "record function-call-history /c -");
  EXPECT_SAID("main+", "record instruction-history");
  EXPECT_SAID("80060615", "monitor when");
}

INSTANTIATE_TEST_SUITE_P(Width, LiveGdb, testing::Values("rv64gc"));

}  // namespace
}  // namespace hindcast::gdb
