// What the builder emits for what translators write.
#include "engine/ir/builder.h"

#include <gtest/gtest.h>

#include "engine/helpers.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::ir {
namespace {

using test::FakeArch;
using test::kD0;
using test::kH0;
using test::kPc;
using test::kS0;
using test::kW0;
using test::kX0;
using test::kZero;

u64 add_helper(u64 a, u64 b, u64 c) { return a + b + c; }
u64 effect_helper(Vcpu&, u64, u64, u64) { return 0; }
const u32 kAdd = register_pure_helper("builder_test.add", add_helper);
const u32 kEffect = register_helper("builder_test.effect", effect_helper);

class BuilderTest : public testing::Test {
 protected:
  BuilderTest() { b.insn_start(0x1000, 4); }

  /// The unit's text without the line of the unit, its first block and first instruction.
  std::string text() {
    const Unit unit = b.take();
    EXPECT_EQ(verify(unit), "");
    const std::string head = "block 0\n  InsnStart pc=0x1000 len=4\n";
    const std::string all = print(unit);
    const std::size_t at = all.find(head);
    EXPECT_NE(at, std::string::npos) << all;
    return at == std::string::npos ? all : all.substr(at + head.size());
  }
  std::string text_after_exit() {
    b.goto_pc(0x1004);
    std::string all = text();
    const std::string tail = "  ExitPc pc=0x1004\n";
    EXPECT_TRUE(all.ends_with(tail)) << all;
    return all.substr(0, all.size() - tail.size());
  }

  FakeArch arch;
  Builder b{arch, 0x1000, 0x200};  // rounding mode 2
};

TEST_F(BuilderTest, UnusedValuesAreDropped) {
  const Value a = b.get(kX0);
  b.add(a, b.i64(5));
  b.call_pure(kAdd, a);
  b.fp_get_flags();
  EXPECT_EQ(text_after_exit(), "");
}

TEST_F(BuilderTest, EffectsStay) {
  const Value a = b.get(kX0);
  b.load(Type::I8, a);
  b.call(kEffect);
  b.fp(Op::FSqrt, Type::F64, Round::Up, b.get(kD0));
  EXPECT_EQ(text_after_exit(),
            "  %1 = GetReg.I64 reg=2\n  %2 = Load.I8 %1\n  %3 = Call.I64 @builder_test.effect\n"
            "  %4 = GetReg.F64 reg=18\n  %5 = FSqrt.F64 %4 round=rup\n");
}

TEST_F(BuilderTest, FlagsAreSet) {
  const Value old = b.fp_get_flags();
  b.fp_set_flags(b.bor(old, b.i32(4)));
  EXPECT_EQ(text_after_exit(),
            "  %1 = FpGetFlags.I32\n  %2 = Const.I32 0x4\n  %3 = Or.I32 %1, %2\n  FpSetFlags.I32 %3\n");
}

TEST_F(BuilderTest, RegistersAreForwarded) {
  b.set(kX0 + 1, b.add(b.get(kX0), b.get(kX0)));
  b.set(kX0 + 2, b.get(kX0 + 1));
  EXPECT_EQ(text_after_exit(),
            "  %1 = GetReg.I64 reg=2\n  %2 = Add.I64 %1, %1\n  SetReg.I64 %2 reg=3\n  SetReg.I64 %2 reg=4\n");
}

TEST_F(BuilderTest, WhatARegisterHoldsIsNotSetAgain) {
  b.set(kX0, b.get(kX0));
  b.set(kX0 + 1, b.i64(7));
  b.set(kX0 + 1, b.add(b.i64(3), b.i64(4)));
  EXPECT_EQ(text_after_exit(), "  %1 = Const.I64 0x7\n  SetReg.I64 %1 reg=3\n");
}

TEST_F(BuilderTest, CallsForgetRegisters) {
  const Value before = b.get(kX0);
  b.call(kEffect, before);
  b.set(kX0 + 1, b.get(kX0));
  EXPECT_EQ(text_after_exit(),
            "  %1 = GetReg.I64 reg=2\n  %2 = Call.I64 @builder_test.effect %1\n"
            "  %3 = GetReg.I64 reg=2\n  SetReg.I64 %3 reg=3\n");
}

TEST_F(BuilderTest, BlocksForgetRegisters) {
  b.set(kX0 + 1, b.get(kX0));
  const u32 next = b.new_block();
  b.jump(next);
  b.begin_block(next);
  b.set(kX0 + 1, b.get(kX0));
  EXPECT_EQ(text_after_exit(),
            "  %1 = GetReg.I64 reg=2\n  SetReg.I64 %1 reg=3\n  Jump to=1\n"
            "block 1\n  %4 = GetReg.I64 reg=2\n  SetReg.I64 %4 reg=3\n");
}

TEST_F(BuilderTest, ZeroRegister) {
  u64 value = 1;
  EXPECT_TRUE(b.is_const(b.get(kZero), &value));
  EXPECT_EQ(value, 0u);
  b.set(kZero, b.get(kX0));
  EXPECT_EQ(text_after_exit(), "");
}

TEST_F(BuilderTest, PcRegisterIsTheInstructions) {
  u64 value = 0;
  b.insn_start(0x1008, 4);
  EXPECT_TRUE(b.is_const(b.get(kPc), &value));
  EXPECT_EQ(value, 0x1008u);
  EXPECT_THROW(b.set(kPc, b.i64(1)), Fatal);
}

TEST_F(BuilderTest, EqualOpsAreShared) {
  const Value a = b.get(kX0), c = b.get(kX0 + 1);
  EXPECT_EQ(b.binary(Op::Mul, a, c), b.binary(Op::Mul, a, c));
  EXPECT_EQ(b.i64(99), b.i64(99));
  EXPECT_NE(b.i64(99), b.i32(99));
  EXPECT_EQ(b.call_pure(kAdd, a), b.call_pure(kAdd, a));
  const Value here = b.i64(99);
  const u32 next = b.new_block();
  b.jump(next);
  b.begin_block(next);
  EXPECT_NE(b.i64(99), here);
  b.goto_pc(0x1004);
}

TEST_F(BuilderTest, PureCallsOfConstantsAreFolded) {
  u64 value = 0;
  EXPECT_TRUE(b.is_const(b.call_pure(kAdd, b.i64(1), b.i64(2)), &value));
  EXPECT_EQ(value, 3u);
  EXPECT_THROW(b.call_pure(kEffect), Fatal);
  EXPECT_THROW(b.call(kAdd), Fatal);
}

TEST_F(BuilderTest, Identities) {
  const Value a = b.get(kX0), z = b.i64(0), one = b.i64(1);
  const Value w = b.get(kW0);
  EXPECT_EQ(b.add(z, a), a);
  EXPECT_EQ(b.sub(a, z), a);
  EXPECT_EQ(b.band(a, a), a);
  EXPECT_EQ(b.bxor(a, z), a);
  EXPECT_EQ(b.bxor(a, a), z);
  EXPECT_EQ(b.binary(Op::Shl, a, b.i64(64)), a);
  EXPECT_EQ(b.binary(Op::Mul, one, a), a);
  EXPECT_EQ(b.binary(Op::Mul, a, b.i64(8)), b.binary(Op::Shl, a, b.i64(3)));
  EXPECT_EQ(b.add(b.add(a, b.i64(5)), b.i64(6)), b.add(a, b.i64(11)));
  EXPECT_EQ(b.sub(b.add(a, b.i64(5)), b.i64(5)), a);
  EXPECT_EQ(b.trunc(Type::I32, b.zext(Type::I64, w)), w);
  EXPECT_EQ(b.trunc(Type::I32, b.sext(Type::I64, w)), w);
  EXPECT_EQ(b.sext(Type::I64, b.sext(Type::I32, b.get(kH0))), b.sext(Type::I64, b.get(kH0)));
  EXPECT_EQ(b.trunc(Type::I8, b.trunc(Type::I32, a)), b.trunc(Type::I8, a));
  EXPECT_EQ(b.binary(Op::Shr, a, b.band(b.get(kX0 + 1), b.i64(63))), b.binary(Op::Shr, a, b.get(kX0 + 1)));
  EXPECT_EQ(b.bitcast(Type::F64, b.bitcast(Type::I64, b.get(kD0))), b.get(kD0));
  EXPECT_EQ(b.unary(Op::NanUnbox, b.unary(Op::NanBox, b.get(kS0))), b.get(kS0));
  const Value c = b.compare(Op::CmpLtU, a, b.get(kX0 + 1));
  EXPECT_EQ(b.bnot(c), b.compare(Op::CmpGeU, a, b.get(kX0 + 1)));
  EXPECT_EQ(b.bnot(b.bnot(c)), c);
  EXPECT_EQ(b.select(c, one, z), b.zext(Type::I64, c));
  EXPECT_EQ(b.compare(Op::CmpNe, b.zext(Type::I64, c), z), c);
  EXPECT_EQ(b.select(c, a, a), a);
  EXPECT_EQ(b.select(b.konst(Type::I1, 1), a, z), a);
  b.goto_pc(0x1004);
}

TEST_F(BuilderTest, AddressesAreFolded) {
  b.load(Type::I8, b.add(b.get(kX0), b.i64(0x7ff)));
  b.load(Type::I8, b.add(b.get(kX0), b.i64(0x7fffffff)), {.offset = 1});  // the sum is no i32
  const Value w = b.get(kW0);
  b.load(Type::I8, b.add(w, b.i32(4)));  // wraps at 32 bits, addresses do not
  b.load(Type::I8, b.i64(0x1000), {.offset = -4});
  EXPECT_EQ(text_after_exit(),
            "  %1 = GetReg.I64 reg=2\n  %2 = Load.I8 %1 offset=2047\n"
            "  %3 = Const.I64 0x7fffffff\n  %4 = Add.I64 %1, %3\n  %5 = Load.I8 %4 offset=1\n"
            "  %6 = GetReg.I32 reg=10\n  %7 = Const.I32 0x4\n  %8 = Add.I32 %6, %7\n  %9 = Load.I8 %8\n"
            "  %10 = Const.I64 0xffc\n  %11 = Load.I8 %10\n");
}

TEST_F(BuilderTest, DynamicRoundingIsTheContexts) {
  b.fp(Op::FSqrt, Type::F64, Round::Dynamic, b.get(kD0));
  EXPECT_EQ(text_after_exit(), "  %1 = GetReg.F64 reg=18\n  %2 = FSqrt.F64 %1 round=rdn\n");
}

TEST_F(BuilderTest, OnlyTheLastSettingOfARegisterStays) {
  b.set(kX0, b.get(kX0 + 1));
  b.insn_start(0x1004, 4);
  b.set(kX0, b.get(kX0 + 2));
  b.goto_pc(0x1008);
  EXPECT_EQ(
      text(),
      "  InsnStart pc=0x1004 len=4\n  %2 = GetReg.I64 reg=4\n  SetReg.I64 %2 reg=2\n  ExitPc pc=0x1008\n");
}

TEST_F(BuilderTest, WhatAnAccessMayLeaveBehindStays) {
  b.set(kX0, b.get(kX0 + 1));
  b.insn_start(0x1004, 4);
  b.load(Type::I32, b.get(kX0 + 2));
  b.set(kX0, b.get(kX0 + 2));
  b.goto_pc(0x1008);
  const std::string all = text();
  EXPECT_NE(all.find("SetReg.I64 %1 reg=2"), std::string::npos) << all;
}

TEST_F(BuilderTest, WhoLooksBetweenInstructionsSeesEverySetting) {
  b.keep_settings();
  b.set(kX0, b.get(kX0 + 1));
  b.insn_start(0x1004, 4);
  b.set(kX0, b.get(kX0 + 2));
  b.goto_pc(0x1008);
  const std::string all = text();
  EXPECT_NE(all.find("SetReg.I64 %1 reg=2"), std::string::npos) << all;
}

// ---- control flow

TEST_F(BuilderTest, ExitsFromAnotherContextAskForItAgain) {
  b.set_context(0x300);
  EXPECT_EQ(b.context(), 0x300u);
  b.branch_pc(b.compare(Op::CmpEq, b.get(kX0), b.get(kX0 + 1)), 0x2000, 0x1004);
  const std::string all = text();
  EXPECT_NE(all.find("ExitDispatch"), std::string::npos) << all;
  EXPECT_EQ(all.find("ExitPc"), std::string::npos) << all;
}

TEST_F(BuilderTest, BackInTheUnitsContextExitsAreLinked) {
  b.set_context(0x300);
  b.fp(Op::FSqrt, Type::F64, Round::Dynamic, b.get(kD0));
  b.set_context(0x200);
  b.goto_pc(0x2000);
  EXPECT_EQ(text(), "  %1 = GetReg.F64 reg=18\n  %2 = FSqrt.F64 %1 round=rup\n  ExitPc pc=0x2000\n");
}

TEST_F(BuilderTest, BranchToOtherUnits) {
  const Value x = b.get(kX0);
  b.branch_pc(b.compare(Op::CmpEq, x, b.get(kX0 + 1)), 0x2000, 0x1004);
  EXPECT_EQ(
      text(),
      "  %1 = GetReg.I64 reg=2\n  %2 = GetReg.I64 reg=3\n  %3 = CmpEq.I64 %1, %2\n  Branch %3 then=1 else=2\n"
      "block 1\n  ExitPc pc=0x2000\nblock 2\n  ExitPc pc=0x1004\n");
}

TEST_F(BuilderTest, BranchOnConstants) {
  b.branch_pc(b.compare(Op::CmpEq, b.get(kX0), b.get(kX0)), 0x2000, 0x1004);
  EXPECT_EQ(text(), "  ExitPc pc=0x2000\n");
}

TEST_F(BuilderTest, BranchOnNegation) {
  b.branch_pc(b.bnot(b.trunc(Type::I1, b.get(kX0))), 0x2000, 0x1004);
  EXPECT_EQ(text(),
            "  %1 = GetReg.I64 reg=2\n  %2 = Trunc.I1 %1\n  Branch %2 then=2 else=1\n"
            "block 1\n  ExitPc pc=0x2000\nblock 2\n  ExitPc pc=0x1004\n");
}

TEST_F(BuilderTest, ConstantIndirectJump) {
  b.jump_indirect(b.i64(0x3000));
  EXPECT_EQ(text(), "  ExitPc pc=0x3000\n");
}

TEST(BuilderBlocks, LoopInsideTheUnit) {
  const FakeArch arch;
  Builder b(arch, 0x1000, 0);
  for (const GuestAddr pc : {0x1000, 0x1004, 0x1008}) b.declare_pc_block(pc);
  b.begin_pc_block(0x1000);
  b.insn_start(0x1000, 4);
  b.begin_pc_block(0x1004);  // runs on
  b.insn_start(0x1004, 0);
  b.set_insn_length(2);
  b.branch_pc(b.trunc(Type::I1, b.get(kX0)), 0x1000, 0x1008);
  b.begin_pc_block(0x1008);
  b.insn_start(0x1008, 4);
  b.goto_pc(0x1004);
  const Unit unit = b.take();
  EXPECT_EQ(verify(unit), "");
  EXPECT_EQ(unit.insn_count, 3u);
  EXPECT_EQ(print(unit),
            "unit pc=0x1000 context=0x0\n"
            "block 0\n  InsnStart pc=0x1000 len=4\n  Jump to=1\n"
            "block 1\n  InsnStart pc=0x1004 len=2\n  %3 = GetReg.I64 reg=2\n  %4 = Trunc.I1 %3\n"
            "  Branch %4 then=0 else=2\n"
            "block 2\n  InsnStart pc=0x1008 len=4\n  Jump to=1\n");
}

TEST(BuilderBlocks, DeclaredButNeverBegunIsAnExit) {
  const FakeArch arch;
  Builder b(arch, 0x1000, 0);
  b.declare_pc_block(0x2000);
  b.declare_pc_block(0x3000);
  b.insn_start(0x1000, 4);
  const u32 side = b.new_block();
  b.branch(b.trunc(Type::I1, b.get(kX0)), b.declare_pc_block(0x3000), side);
  b.begin_block(side);
  b.goto_pc(0x2000);
  const Unit unit = b.take();
  EXPECT_EQ(verify(unit), "");
  EXPECT_EQ(print(unit),
            "unit pc=0x1000 context=0x0\n"
            "block 0\n  InsnStart pc=0x1000 len=4\n  %1 = GetReg.I64 reg=2\n  %2 = Trunc.I1 %1\n"
            "  Branch %2 then=2 else=1\n"
            "block 1\n  ExitPc pc=0x2000\nblock 2\n  ExitPc pc=0x3000\n");
}

TEST(BuilderBlocks, UnreachableBlocksAreDropped) {
  const FakeArch arch;
  Builder b(arch, 0x1000, 0);
  b.declare_pc_block(0x1004);
  b.insn_start(0x1000, 4);
  b.goto_pc(0x2000);
  b.begin_pc_block(0x1004);
  b.insn_start(0x1004, 4);
  b.goto_pc(0x2000);
  const Unit unit = b.take();
  EXPECT_EQ(verify(unit), "");
  EXPECT_EQ(unit.blocks.size(), 1u);
  EXPECT_EQ(unit.insn_count, 1u);
}

TEST(BuilderBlocks, ConditionalInstruction) {
  const FakeArch arch;
  Builder b(arch, 0x1000, 0);
  b.insn_start(0x1000, 4);
  const u32 then = b.new_block(), join = b.new_block();
  const Value x = b.get(kX0);
  b.branch(b.trunc(Type::I1, x), then, join);
  b.begin_block(then);
  b.set(kX0 + 1, x);
  b.jump(join);
  b.begin_block(join);
  b.goto_pc(0x1004);
  const Unit unit = b.take();
  EXPECT_EQ(verify(unit), "");
  EXPECT_EQ(unit.blocks.size(), 3u);
}

TEST(BuilderBlocks, MisuseIsRefused) {
  const FakeArch arch;
  Builder b(arch, 0x1000, 0);
  b.insn_start(0x1000, 4);
  EXPECT_THROW(b.add(b.i32(1), b.i64(1)), Fatal);
  EXPECT_THROW(b.add(b.i32(1), 12345), Fatal);
  EXPECT_THROW(b.set(kX0, b.i32(1)), Fatal);
  EXPECT_THROW(b.get(1000), Fatal);
  EXPECT_THROW(b.zext(Type::I32, b.i64(1)), Fatal);
  EXPECT_THROW(b.trunc(Type::I64, b.i32(1)), Fatal);
  EXPECT_THROW(b.branch(b.i32(1), 0, 0), Fatal);
  EXPECT_THROW(b.binary(Op::CmpEq, b.i32(1), b.i32(1)), Fatal);
  EXPECT_THROW(b.compare(Op::Add, b.i32(1), b.i32(1)), Fatal);
  EXPECT_THROW(b.fp(Op::FAdd, Type::F64, Round::Up, b.get(kD0)), Fatal);
  EXPECT_THROW(b.fp(Op::Add, Type::I64, Round::Up, b.get(kX0), b.get(kX0)), Fatal);
  EXPECT_THROW(b.begin_block(b.new_block()), Fatal);  // this block has no end yet
  EXPECT_THROW(b.take(), Fatal);
  b.goto_pc(4);
  EXPECT_THROW(b.i32(5), Fatal);
  EXPECT_THROW(b.begin_block(0), Fatal);
  try {
    b.i32(5);
  } catch (const Fatal& e) {
    EXPECT_STREQ(
        e.what(),
        "internal error: the fake translation of the instruction at 0x1000 is wrong (Const: an op after the "
        "end of its block); please report it");
  }
}

TEST(Helpers, NamesAreUnique) {
  EXPECT_EQ(register_pure_helper("builder_test.add", add_helper), kAdd);
  EXPECT_THROW(register_helper("builder_test.add", effect_helper), Fatal);
  EXPECT_EQ(find_helper("builder_test.effect"), kEffect);
  EXPECT_EQ(find_helper("nothing"), kNoHelper);
  EXPECT_STREQ(helper(kAdd).name, "builder_test.add");
  EXPECT_THROW(helper(helper_count()), Fatal);
}

}  // namespace
}  // namespace hindcast::ir
