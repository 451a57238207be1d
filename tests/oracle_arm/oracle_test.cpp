// Random instruction streams drawn from the Arm rows: the JIT against the interpreter, with caches dropped
// and tiers changed at random, and both against QEMU where it is installed. The full-size run is `oracle_arm`
// (tool/main.cpp).
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/oracle_arm/compare.h"
#include "tests/oracle_arm/generator.h"
#include "tests/oracle_arm/targets.h"

namespace hindcast::oracle_arm {
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

class OracleArm : public ::testing::TestWithParam<const char*> {
 protected:
  OracleArm() : target_(target_named(GetParam())), arch_(arm::parse_cpu(target_.cpu, "")) {}
  Side here(EngineOptions options) {
    return [this, options](const Program& p) { return run_here(target_, p, options); };
  }
  const Target& target_;
  arm::ArmArch arch_;
};

TEST_P(OracleArm, EveryRowCanBeDrawn) {
  Generator generator(arch_, target_, 1);
  for (int i = 0; i < 3; ++i) generator.program(150, 1);
  for (auto [row, count] : generator.drawn())
    EXPECT_GT(count, 0u) << arm::all_rows()[row]->name << " " << arm::all_rows()[row]->pattern;
}

TEST_P(OracleArm, FindsAndShrinksADifference) {
  Generator generator(arch_, target_, 2);
  const Program program = generator.program(100, 1);
  // A side on which every ands is an eors.
  const Side wrong = [&](const Program& p) {
    Program changed = p;
    for (Block& block : changed.blocks)
      for (Item& item : block.items)
        for (Item::Piece& piece : item.pieces)
          if (piece.length == 2 && (piece.bits & 0xffc0) == 0x4000) piece.bits ^= 0x40;
    return run_here(target_, changed, interpreter());
  };
  const std::string report = compare(arch_, program, here(interpreter()), wrong, "right", "wrong");
  EXPECT_NE(report.find("1 block(s)"), std::string::npos) << report;
  EXPECT_NE(report.find("  ands "), std::string::npos) << report;
}

TEST_P(OracleArm, JitEqualsInterpreter) {
  Generator generator(arch_, target_, 11);
  const Program program = generator.program(400, 1);
  EXPECT_EQ(compare(arch_, program, here(jit(0)), here(interpreter()), "jit", "interp"), "");
}

TEST_P(OracleArm, HotCodeEqualsInterpreter) {
  Generator generator(arch_, target_, 12);
  const Program program = generator.program(60, 100);
  EXPECT_EQ(compare(arch_, program, here(jit(0)), here(interpreter()), "jit", "interp"), "");
}

TEST_P(OracleArm, ChaosChangesNothing) {
  for (const u64 seed : {13u, 14u}) {
    Generator generator(arch_, target_, seed);
    const Program program = generator.program(60, 20);
    EXPECT_EQ(compare(arch_, program, here(jit(seed)), here(interpreter()), "chaos", "interp"), "") << seed;
  }
}

/// Frames of interrupts are below the stack pointers, which blocks begin with near one place, and move.
void forget_frames(ProgramResult& result) {
  constexpr u32 kStacks = kScratchBytes / 4 * 3;
  for (u32 at = kStacks - 0x400; at < kStacks + 0x800; ++at) result.scratch[at] = 0;
}

TEST_P(OracleArm, InterruptsBetweenInstructionsChangeNothing) {
  Generator generator(arch_, target_, 15);
  Program program = generator.program(200, 1);
  // An exception takes the exclusive monitor's mark away, and writes below the stack pointer: these see it.
  const auto sees_it = [&](const Item::Piece& piece) {
    arm::Operands o;
    const arm::InsnRow* row = arch_.decode(piece.bits, piece.length, &o);
    if (row == nullptr) return true;
    const std::string name = row->name;
    return name.find("ex") != std::string::npos || name.find("pop") != std::string::npos || o.n == arm::kSp;
  };
  for (Block& block : program.blocks)
    std::erase_if(block.items, [&](const Item& item) {
      return std::any_of(item.pieces.begin(), item.pieces.end(), sees_it);
    });
  for (const bool translated : {true, false}) {
    const EngineOptions engine = translated ? jit(0) : interpreter();
    ProgramResult calm = run_here(target_, program, engine);
    ProgramResult interrupted = run_interrupted(target_, program, engine, 7);
    forget_frames(calm);
    forget_frames(interrupted);
    for (std::size_t i = 0; i < calm.blocks.size(); ++i)
      EXPECT_TRUE(calm.blocks[i] == interrupted.blocks[i]) << "block " << i;
    for (std::size_t i = 0; i < calm.scratch.size(); ++i)
      ASSERT_EQ(calm.scratch[i], interrupted.scratch[i]) << "scratch+" << i;
  }
}

TEST_P(OracleArm, AgreesWithQemu) {
  const std::string cpu = target_.cpu;
  if (cpu == "cortex-m0" || cpu == "cortex-m23") GTEST_SKIP() << "QEMU has no such board with shared memory";
  const auto qemu = Qemu::find();
  if (!qemu) GTEST_SKIP() << "no qemu-system-arm (package qemu-system-arm)";
  Generator generator(arch_, target_, 16);
  const Program program = generator.program(300, 1);
  const Side there = [&](const Program& p) { return qemu->run(target_, p); };
  EXPECT_EQ(compare(arch_, program, here(jit(0)), there, "jit", "qemu"), "");
}

INSTANTIATE_TEST_SUITE_P(Models, OracleArm,
                         ::testing::Values("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m23",
                                           "cortex-m33", "cortex-m55"),
                         [](const auto& info) {
                           std::string name = info.param;
                           name.erase(name.find('-'), 1);
                           return name;
                         });

}  // namespace
}  // namespace hindcast::oracle_arm
