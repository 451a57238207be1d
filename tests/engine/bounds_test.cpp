// Whatever the guest does, the host's resources that serve it are bounded.
#include <unistd.h>

#include <fstream>

#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

/// A function in every second page, each called `rounds` times: more stretches of protected memory than a
/// process may have mappings (vm.max_map_count, 65530).
TEST(Bounds, CodeInEverySecondPage) {
  constexpr u64 kMemory = 256u << 20, kStep = 0x2000, kFirst = kRam + 0x10000;
  constexpr u64 kFunctions = (kMemory - 0x10000) / kStep;
  Assembler a;
  a.label("round");
  a.la(s0, kFirst);
  a.li(s1, kFunctions);
  a.lui(s2, kStep >> 12);
  a.label("loop");
  a.jalr(ra, s0);
  a.add(s0, s0, s2);
  a.addi(s1, s1, -1);
  a.bne(s1, zero, "loop");
  a.addi(s3, s3, 1);
  a.j("round");
  const Board board{.image = a.finish(), .memory = kMemory};
  for (const EngineOptions& engine : {jit(), interpreter()}) {
    Guest guest(board, engine);
    for (u64 i = 0; i < kFunctions; ++i) guest.set_word(kFirst + i * kStep, kRet);
    guest.run_to(kFunctions * 6);
    EXPECT_EQ(guest.x(s3), 1u);
    // What was translated early on is still known to be code.
    guest.set_word(kFirst, addi(s4, s4, 5));
    guest.set_word(kFirst + 4, kRet);
    guest.run_to(kFunctions * 12);
    EXPECT_EQ(guest.x(s4), 5u);
  }
}

/// Of this process, in bytes.
i64 resident_memory() {
  std::ifstream statm("/proc/self/statm");
  i64 size = 0, resident = 0;
  statm >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

/// A mebibyte of code that is never run twice.
TEST(Bounds, WhatTheInterpreterKeeps) {
  constexpr u64 kMemory = 2u << 20, kCode = kRam + 0x1000, kInsns = 1u << 18;
  Assembler a;
  a.la(s0, kCode);
  a.jr(s0);
  a.org(kCode);
  for (u64 i = 0; i < kInsns; ++i) a.addi(s1, s1, 1);
  a.label("done");
  a.j("done");
  EngineOptions small = interpreter();
  small.code_cache_bytes = 1;  // the smallest there is
  Guest guest({.image = a.finish(), .memory = kMemory}, small);
  guest.run_to(1000);
  const i64 before = resident_memory();
  guest.run_to(kInsns + 10);
  EXPECT_EQ(guest.x(s1), kInsns);
  EXPECT_LT(resident_memory() - before, 6 << 20);
}

}  // namespace
}  // namespace hindcast::test
