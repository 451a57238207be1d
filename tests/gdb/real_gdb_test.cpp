// gdb itself, on recordings of real firmware. Without gdb-multiarch or the cross compiler: skipped.
#include "tests/gdb/real_gdb.h"

namespace hindcast::gdb {
namespace {

TEST_P(RealGdb, TheCulpritOfACorruptedHeapCellIsFoundBackwards) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"break failed", "continue", "watch -l *(unsigned*)(heap + 56)", "reverse-continue", "backtrace",
         "monitor when", "x/i $pc", "continue", "reverse-continue", "reverse-continue", "monitor when"});
  EXPECT_SAID("Breakpoint 1, failed", "continue");
  EXPECT_SAID("New value = 100", "reverse-continue");
  EXPECT_SAID("in take_sample", "reverse-continue");
  EXPECT_SAID("trap_entry", "backtrace");
  EXPECT_SAID("sw", "x/i $pc");
  // Forward again: the same store, and then the same failure.
  EXPECT_SAID("Old value = 100", "continue", 2);
  EXPECT_SAID("New value = 100", "reverse-continue", 2);
  // Before it: the cell was set to 100 once.
  EXPECT_SAID("Old value = 100", "reverse-continue", 3);
}

TEST_P(RealGdb, StepsInBothDirections) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"tbreak total",
         "continue",
         "next",
         "next",
         "reverse-next",
         "step",
         "reverse-step",
         "stepi",
         "reverse-stepi",
         "finish",
         "reverse-finish",
         "until",
         "monitor when",
         "break take_sample if r->count == 5",
         "reverse-continue",
         "print r->count",
         "info breakpoints",
         "delete",
         "reverse-continue",
         "monitor when",
         "continue",
         "continue",
         "monitor when",
         "info registers pc"});
  EXPECT_SAID("total (", "continue");
  EXPECT_SAID("while", "next", 2);
  EXPECT_SAID("sum = a->balance", "reverse-next");
  EXPECT_SAID("while", "step");
  EXPECT_SAID("sum = a->balance", "reverse-step");
  EXPECT_SAID("Value returned is", "finish");
  EXPECT_SAID("take_sample", "reverse-continue");
  EXPECT_SAID(" = 5", "print r->count");
  // The server evaluated the condition: gdb has seen one hit.
  EXPECT_SAID("already hit 1 time", "info breakpoints");
  EXPECT_SAID("No more reverse-execution history", "reverse-continue", 2);
  EXPECT_SAID("icount 0 of", "monitor when", 2);
  EXPECT_SAID("No more reverse-execution history", "continue", 2);
  EXPECT_SAID("No more reverse-execution history", "continue", 3);
  EXPECT_SAID("(100.0 %)", "monitor when", 3);
  EXPECT_SAID("power_off", "info registers pc");
}

// gdb steps by a breakpoint of its own, which it leaves out where one with a condition is already.
TEST_P(RealGdb, AStepOntoAPointWithAFalseConditionEnds) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"tbreak total", "continue", "stepi", "set $there = $pc", "reverse-stepi",
         "break *$there if $sp == 0", "stepi", "print $pc == $there", "reverse-stepi", "next",
         "print $pc - $there", "delete", "info line"});
  EXPECT_SAID("$1 = 1", "print $pc == $there");
  EXPECT_SAID("$2 = 0", "print $pc - $there");
}

TEST_P(RealGdb, NothingIsWritten) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  debug({"break failed", "continue", "set var heap_used = 9", "print heap_used == 9", "set var $pc = 0",
         "load", "compare-sections .text", "find /w heap, +200, 100", "x/1xb 0x10000000",
         "monitor last-write 0 4", "last-write heap_used", "monitor device", "monitor nonsense", "info mem",
         "seek begin", "info registers pc"});
  EXPECT_SAID("Cannot access memory", "set var heap_used = 9");
  EXPECT_SAID("$1 = 0", "print heap_used == 9");
  EXPECT_SAID("a recording cannot be changed", "set var $pc = 0");
  EXPECT_SAID("Load failed", "load");
  EXPECT_SAID("matched", "compare-sections .text");
  EXPECT_SAID("<heap+4>", "find /w heap, +200, 100");
  EXPECT_SAID("Cannot access memory", "x/1xb 0x10000000");
  EXPECT_SAID("no instruction wrote", "monitor last-write 0 4");
  EXPECT_SAID("monitor seek", "last-write heap_used");
  EXPECT_SAID("uart", "monitor device");
  EXPECT_SAID("no monitor command", "monitor nonsense");
  EXPECT_SAID("80000000 0x", "info mem");
  EXPECT_SAID("0x1000", "info registers pc");
}

TEST_P(RealGdb, TwoHartsAreThreads) {
  if (!record("smp-debug", "--smp 2")) GTEST_SKIP() << "no guest";
  debug({"tbreak main", "continue", "info threads", "delete", "watch locked_sum", "continue", "delete",
         "continue", "watch locked_sum", "reverse-continue", "reverse-continue", "delete", "thread 1",
         "monitor when", "reverse-stepi", "stepi", "info threads", "break trap thread 2", "continue"});
  EXPECT_SAID("Thread 2 \"vCPU 1\"", "info threads");
  EXPECT_SAID("New value = 1", "continue", 2);
  EXPECT_SAID("No more reverse-execution history", "continue", 3);
  EXPECT_SAID("Old value = 10000", "reverse-continue");
  EXPECT_SAID("New value = 9998", "reverse-continue", 2);
  EXPECT_SAID("Thread 2 \"vCPU 1\" hit Breakpoint", "continue", 4);
}

TEST_P(RealGdb, AServerOutlivesItsClientsUntilOneKillsIt) {
  if (!record("heapbug")) GTEST_SKIP() << "no guest";
  const std::string socket = "unix:" + recording() + ".socket";
  const std::string client = "gdb-multiarch -nx -batch -ex 'target remote " + recording() + ".socket'";
  // The first leaves at the failure, the second finds it there, with the image from the server.
  const std::string script =
      "(" + std::string(HINDCAST_COMMAND) + " debug " + recording() + " --listen " + socket +
      " & S=$!; "
      "for i in 1 2 3 4 5 6 7 8 9; do test -S " +
      recording() + ".socket && break; sleep 0.2; done; " + client + " -ex 'break failed' -ex continue; " +
      client + " -ex 'backtrace 1' -ex kill; wait $S; echo status $?)";
  transcript_ = shell("sh -c " + quoted(script));
  EXPECT_NE(transcript_.find("Breakpoint 1, failed"), std::string::npos) << transcript_;
  EXPECT_NE(transcript_.find("#0  failed"), std::string::npos) << transcript_;
  EXPECT_NE(transcript_.find("status 0"), std::string::npos) << transcript_;
}

INSTANTIATE_TEST_SUITE_P(Widths, RealGdb, testing::Values("rv64gc", "rv32gc"));

}  // namespace
}  // namespace hindcast::gdb
