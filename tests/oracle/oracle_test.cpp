// Random instruction streams drawn from the rows: the JIT against the interpreter, with caches dropped and
// tiers changed at random, and both against QEMU where it is installed. The full-size run is `oracle`
// (tool/main.cpp).
#include <gtest/gtest.h>

#include <algorithm>

#include "targets/riscv/riscv.h"
#include "tests/oracle/compare.h"
#include "tests/oracle/generator.h"
#include "tests/oracle/runner.h"

namespace hindcast::oracle {
namespace {

EngineOptions interpreter() {
  EngineOptions o;
  o.jit = false;
  return o;
}

EngineOptions jit(u64 chaos) {
  EngineOptions o;
  o.chaos_seed = chaos;
  return o;
}

class Oracle : public ::testing::TestWithParam<unsigned> {
 protected:
  Oracle() : arch_(riscv::make_riscv_arch(cpu())) {}
  std::string cpu() const { return "rv" + std::to_string(GetParam()) + "," + kBesides; }
  Side here(EngineOptions options) {
    return [this, options](const Program& p) { return run_here(p, options, cpu()); };
  }
  std::unique_ptr<riscv::RiscvArch> arch_;
};

TEST_P(Oracle, EveryRowCanBeDrawn) {
  Generator generator(*arch_, 1);
  for (int i = 0; i < 3; ++i) generator.program(100, 1);
  for (auto [row, count] : generator.drawn()) EXPECT_GT(count, 0u) << riscv::all_rows()[row]->name;
}

TEST_P(Oracle, FindsAndShrinksADifference) {
  Generator generator(*arch_, 2);
  const Program program = generator.program(100, 1);
  // A side on which every and is an or.
  const Side wrong = [&](const Program& p) {
    Program changed = p;
    for (Block& block : changed.blocks) {
      for (Item& item : block.items) {
        for (Item::Piece& piece : item.pieces) {
          if ((piece.bits & 0xfe00707f) == 0x00007033) piece.bits ^= 0x1000;
        }
      }
    }
    return run_here(changed, interpreter(), cpu());
  };
  const std::string report = compare(*arch_, program, here(interpreter()), wrong, "right", "wrong", {});
  EXPECT_NE(report.find("1 block(s)"), std::string::npos) << report;
  EXPECT_NE(report.find("  and "), std::string::npos) << report;
  EXPECT_LE(std::count(report.begin(), report.end(), '\n'), 16) << report;
}

TEST_P(Oracle, JitEqualsInterpreter) {
  Generator generator(*arch_, 11);
  const Program program = generator.program(400, 1);
  EXPECT_EQ(compare(*arch_, program, here(jit(0)), here(interpreter()), "jit", "interp", {}), "");
}

TEST_P(Oracle, HotCodeEqualsInterpreter) {
  Generator generator(*arch_, 12);
  const Program program = generator.program(60, 150);
  EXPECT_EQ(compare(*arch_, program, here(jit(0)), here(interpreter()), "jit", "interp", {}), "");
}

TEST_P(Oracle, ChaosChangesNothing) {
  for (u64 seed : {13u, 14u, 15u}) {
    Generator generator(*arch_, seed);
    const Program program = generator.program(60, 30);
    EXPECT_EQ(compare(*arch_, program, here(jit(seed)), here(interpreter()), "chaos", "interp", {}), "")
        << seed;
  }
}

TEST_P(Oracle, AgreesWithQemu) {
  const auto qemu = Qemu::find(GetParam());
  if (!qemu) GTEST_SKIP() << "no qemu-system-riscv" << GetParam() << " (package qemu-system-misc)";
  CompareOptions options;
  options.tolerate_qemu = true;
  Generator generator(*arch_, 16, {.without = qemu->missing(), .spare_qemu = true});
  const Program program = generator.program(400, 1);
  const Side there = [&](const Program& p) { return qemu->run(p); };
  EXPECT_EQ(compare(*arch_, program, here(jit(0)), there, "jit", "qemu", options), "");
}

INSTANTIATE_TEST_SUITE_P(RiscV, Oracle, ::testing::Values(32u, 64u),
                         [](const auto& info) { return "rv" + std::to_string(info.param); });

}  // namespace
}  // namespace hindcast::oracle
