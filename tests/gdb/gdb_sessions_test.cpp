// Whole sessions of gdb itself on recordings, on 32 and 64 bits, with one hart and with two: what gdb's
// commands lead to, one after the other. Without gdb-multiarch or the cross compiler: skipped.
#include "tests/gdb/real_gdb.h"

namespace hindcast::gdb {
namespace {

class GdbSessions : public RealGdb {};

TEST_P(GdbSessions, OneHart) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"tbreak total",
         "continue",
         "stepi",
         "reverse-stepi",
         "reverse-finish",
         "step",
         "next",
         "next",
         "reverse-next",
         "reverse-step",
         "finish",
         "break mix",
         "reverse-continue",
         "reverse-continue 3",
         "print round",
         "continue 2",
         "print round",
         "delete",
         "tbreak total",
         "continue",
         "until 50",
         "until",
         "advance 53",
         "break take_sample if r->count == 5 && value != 0",
         "reverse-continue",
         "info breakpoints",
         "set var r->count = 1",
         "print r->count",
         "set var $a0 = 1",
         "load",
         "x/1i $pc",
         "info threads",
         "reverse-next",
         "reverse-step"});
  EXPECT_SAID("Temporary breakpoint 1, total (", "continue");
  EXPECT_SAID("47\t", "reverse-stepi");
  // Back out of a function: at the call, which enters it again.
  EXPECT_SAID("in main (", "reverse-finish");
  EXPECT_SAID("total (", "step");
  EXPECT_SAID("while (", "next");
  EXPECT_SAID("heap + a->next", "next", 2);
  EXPECT_SAID("while (", "reverse-next");
  EXPECT_SAID("sum = a->balance", "reverse-step");
  EXPECT_SAID("main (", "finish");
  EXPECT_SAID("Value returned is", "finish");
  EXPECT_SAID("round=round@entry=3999999", "reverse-continue");
  EXPECT_SAID(" = 3999996", "print round");
  EXPECT_SAID(" = 3999998", "print round", 2);
  EXPECT_SAID("Temporary breakpoint 3, total (", "continue", 2);
  EXPECT_SAID("50\t", "until 50");
  EXPECT_SAID("51\t", "until");
  EXPECT_SAID("53\t", "advance 53");
  EXPECT_SAID("Breakpoint 4, take_sample (", "reverse-continue", 2);
  EXPECT_SAID("already hit 1 time", "info breakpoints");
  EXPECT_SAID("a recording cannot be changed", "set var r->count = 1");
  EXPECT_SAID(" = 5", "print r->count");
  EXPECT_SAID("a recording cannot be changed", "set var $a0 = 1");
  EXPECT_SAID("Load failed", "load");
  EXPECT_SAID("<take_sample>:", "x/1i $pc");
  EXPECT_SAID("* 1    Thread 1 \"vCPU 0\" (running) take_sample (", "info threads");
  EXPECT_SAID("trap (", "reverse-next", 2);
  EXPECT_SAID("power_off(2)", "reverse-step", 2);
}

TEST_P(GdbSessions, Monitor) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"break failed",
         "continue",
         "monitor when",
         "monitor checkpoint",
         "monitor seek 50%",
         "maintenance flush register-cache",
         "monitor when",
         "monitor seek +10",
         "monitor when",
         "monitor checkpoint",
         "monitor checkpoint list",
         "monitor seek c1",
         "maintenance flush register-cache",
         "backtrace 1",
         "eval \"monitor last-write %#lx 4\", (long)(heap + 56) & 0xffffffff",
         "monitor seek begin",
         "monitor events 2",
         "monitor device",
         "monitor device uart0",
         "monitor help",
         "monitor seek 1000%",
         "monitor last-write &heap"});
  EXPECT_SAID("failed (first=", "backtrace 1");
  EXPECT_SAID("vCPU 0 at 0x", "monitor when");
  EXPECT_SAID("(50.0 %)", "monitor when", 2);
  EXPECT_SAID("c1 comes back", "monitor checkpoint");
  EXPECT_SAID("c2: icount", "monitor checkpoint list");
  EXPECT_SAID("wrote 4 bytes at", "eval \"monitor last-write %#lx 4\", (long)(heap + 56) & 0xffffffff");
  EXPECT_SAID("was 0x64", "eval \"monitor last-write %#lx 4\", (long)(heap + 56) & 0xffffffff");
  EXPECT_SAID("channel", "monitor events 2");
  EXPECT_SAID("clint0", "monitor device");
  EXPECT_SAID("device   uart0", "monitor device uart0");
  EXPECT_SAID("last-write ADDR", "monitor help");
  EXPECT_SAID("is not a percentage", "monitor seek 1000%");
  EXPECT_SAID("is not a number", "monitor last-write &heap");
}

TEST_P(GdbSessions, TwoHarts) {
  if (!record("smp-debug", "--smp 2")) GTEST_SKIP() << "no guest";
  debug({"tbreak contend if hart == 1",
         "continue",
         "info threads",
         "next",
         "next",
         "next",
         "reverse-next",
         "reverse-step",
         "stepi",
         "reverse-stepi",
         "break contend",
         "reverse-continue",
         "reverse-continue",
         "delete",
         "break pair_add if word == &finished",
         "continue",
         "finish",
         "continue",
         "thread",
         "reverse-finish",
         "monitor when",
         "thread 1",
         "monitor when",
         "reverse-stepi",
         "stepi",
         "delete",
         "break trap",
         "continue",
         "continue 50",
         "until",
         "print pings",
         "reverse-continue 10",
         "print pings",
         "set var finished = 0",
         "load",
         "x/2xw &pings",
         "delete",
         "watch finished",
         "reverse-continue",
         "reverse-continue"});
  EXPECT_SAID("Thread 2 \"vCPU 1\" hit Temporary breakpoint 1, contend (hart=hart@entry=1)", "continue");
  EXPECT_SAID("* 2    Thread 2 \"vCPU 1\" (running) contend", "info threads");
  EXPECT_SAID("pair_add(&pair_sum", "next", 3);
  EXPECT_SAID("amo_sum", "reverse-next");
  EXPECT_SAID("main (hart=1)", "reverse-step");
  EXPECT_SAID("contend (hart=hart@entry=1)", "stepi");
  EXPECT_SAID("main (hart=1)", "reverse-stepi");
  EXPECT_SAID("Thread 1 \"vCPU 0\" hit Breakpoint 2, contend (hart=hart@entry=0)", "reverse-continue");
  EXPECT_SAID("No more reverse-execution history", "reverse-continue", 2);
  EXPECT_SAID("Thread 1 \"vCPU 0\" hit Breakpoint 3, pair_add (", "continue", 2);
  EXPECT_SAID("main (hart=", "finish");
  EXPECT_SAID("Thread 2 \"vCPU 1\" hit Breakpoint 3, pair_add (", "continue", 3);
  EXPECT_SAID("Current thread is 2", "thread");
  EXPECT_SAID("main (hart=", "reverse-finish");
  EXPECT_SAID("vCPU 1 at", "monitor when");
  EXPECT_SAID("vCPU 0 at", "monitor when", 2);
  EXPECT_SAID("hit Breakpoint 4, trap (", "continue", 4);
  EXPECT_SAID("hit Breakpoint 4, trap (", "continue 50");
  EXPECT_SAID("a recording cannot be changed", "set var finished = 0");
  EXPECT_SAID("Load failed", "load");
  EXPECT_SAID("<pings>:", "x/2xw &pings");
  EXPECT_SAID("Old value = 2", "reverse-continue", 3);
  EXPECT_SAID("New value = 1", "reverse-continue", 3);
  EXPECT_SAID("New value = 0", "reverse-continue", 4);
}

// Printed by the server, which does not stop for it; and in the past nothing is printed twice.
TEST_P(GdbSessions, DprintfInTheServer) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  script(
      "set dprintf-style agent\n"
      "dprintf take_sample,\"%d samples, %c%%\\n\",r->count,88\n"
      "condition 1 r->count >= 6 && r->count < 8\n"
      "dprintf total,\"adding up from %#lx, level %d\\n\",a,a->balance\n"
      "tbreak failed\n"
      "continue\n"
      "info breakpoints\n"
      "reverse-continue\n");
  EXPECT_PRINTED("6 samples, X%\n7 samples, X%\nadding up from 0x800010");
  EXPECT_PRINTED(", level 100\n");
  EXPECT_PRINTED("Temporary breakpoint 3, failed");
  const std::size_t once = transcript_.find("adding up from 0x");
  EXPECT_EQ(transcript_.find("adding up from 0x", once + 1), std::string::npos) << transcript_;
}

TEST_P(GdbSessions, StateVariablesCountInThePast) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  script(
      "tvariable $hits = 100\ntrace take_sample\nactions\ncollect r->count, $regs\n"
      "teval $hits = $hits + 1\nwhile-stepping 2\ncollect $pc\nend\nend\n"
      "tstart\ntstatus\ninfo tvariables\ntfind 3\nprint $hits\ntdump\ntfind 4\nprint $trace_frame\n"
      // At each of its instructions: each step is a hit as well.
      "tfind none\ntrace *take_sample + 4\ntstart\ntstatus\n");
  const bool wide = std::string(GetParam()) == "rv64gc";
  EXPECT_PRINTED(wide ? "Collected 1920 trace frames" : "Collected 1728 trace frames");
  EXPECT_PRINTED(wide ? "740" : "676");
  EXPECT_PRINTED("$1 = 102");
  EXPECT_PRINTED("r->count = 1");
  EXPECT_PRINTED("$2 = 4");
  EXPECT_PRINTED(wide ? "Collected 2560 trace frames" : "Collected 2304 trace frames");
}

TEST_P(GdbSessions, TablesAndARunFromAnywhere) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"info os", "info os devices", "info os vcpus", "monitor physical on", "x/1xw heap",
         "monitor physical off"});
  EXPECT_SAID("The recorded events", "info os");
  EXPECT_SAID("0x10000000", "info os devices");
  EXPECT_SAID("0x1000", "info os vcpus");
  EXPECT_SAID("addresses are physical", "monitor physical on");
  EXPECT_SAID("<heap>:", "x/1xw heap");
  EXPECT_SAID("addresses are virtual", "monitor physical off");
}

INSTANTIATE_TEST_SUITE_P(Widths, GdbSessions, testing::Values("rv64gc", "rv32gc"));

}  // namespace
}  // namespace hindcast::gdb
