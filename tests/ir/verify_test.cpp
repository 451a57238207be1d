// Each class of malformed unit is noticed, and said.
#include <gtest/gtest.h>

#include "engine/helpers.h"
#include "engine/ir/ir.h"

namespace hindcast::ir {
namespace {

u64 pure_helper(u64 a, u64, u64) { return a; }
u64 effect_helper(Vcpu&, u64, u64, u64) { return 0; }
const u32 kPure = register_pure_helper("verify_test.pure", pure_helper);
const u32 kEffect = register_helper("verify_test.effect", effect_helper);

std::string verify_text(const std::string& ops) {
  return verify(parse("unit pc=0x1000 context=0\nblock 0\nInsnStart pc=0x1000 len=4\n" + ops));
}

struct Case {
  const char* name;
  const char* ops;      // after the InsnStart of block 0
  const char* message;  // a part of it; empty: the unit is right
};

const Case kCases[] = {
    {"Smallest", "ExitPc pc=4", ""},
    {"NoEnd", "%a = Const.I32 1", "does not end in an End op"},
    {"EndInside", "ExitPc pc=4\nExitPc pc=8", "End op inside"},
    {"EmptyBlock", "ExitPc pc=4\nblock 1", "blocks do not divide"},
    {"WideConstant", "%a = Const.I8 0x100\nExitPc pc=4", "wider than its type"},
    {"TypeOfAdd", "%a = Const.I1 1\n%b = Add.I1 %a, %a\nExitPc pc=4", "not for type I1"},
    {"TypeOfAddFloat", "%a = Const.F32 1\n%b = Add.F32 %a, %a\nExitPc pc=4", "not for type F32"},
    {"TypeMissing", "%a = Const.I32 1\nSetReg %a reg=1\nExitPc pc=4", "not for type Void"},
    {"OperandsDiffer", "%a = Const.I8 1\n%b = Const.I16 1\n%c = Add.I8 %a, %b\nExitPc pc=4",
     "operand 1 may not be I16"},
    {"CompareOperands", "%a = Const.I8 1\n%b = CmpEq.I16 %a, %a\nExitPc pc=4", "operand 0 may not be I8"},
    {"CompareGivesI1", "%a = Const.I8 1\n%b = CmpEq.I8 %a, %a\n%c = Not.I8 %b", nullptr},
    {"CompareIsCondition", "%a = Const.I8 1\n%b = CmpEq.I8 %a, %a\n%c = Select.I8 %b, %a, %a\nExitPc pc=4",
     ""},
    {"SelectCondition", "%a = Const.I8 1\n%c = Select.I8 %a, %a, %a\nExitPc pc=4", "operand 0 may not be I8"},
    {"BranchCondition", "%a = Const.I8 1\nBranch %a then=0 else=0", "operand 0 may not be I8"},
    {"OperandMissing", "%a = Const.I8 1\n%b = Add.I8 %a\nExitPc pc=4", "operand is missing"},
    {"OperandTooMany", "%a = Const.I8 1\n%b = Clz.I8 %a, %a\nExitPc pc=4", "operand too many"},
    {"TruncWider", "%a = Const.I8 1\n%b = Trunc.I16 %a\nExitPc pc=4", "operand 0 may not be I8"},
    {"TruncToI1", "%a = Const.I8 1\n%b = Trunc.I1 %a\nExitPc pc=4", ""},
    {"ZExtFromI1", "%a = Const.I1 1\n%b = ZExt.I16 %a\nExitPc pc=4", ""},
    {"SExtFromI1", "%a = Const.I1 1\n%b = SExt.I16 %a\nExitPc pc=4", "operand 0 may not be I1"},
    {"SExtSame", "%a = Const.I16 1\n%b = SExt.I16 %a\nExitPc pc=4", "operand 0 may not be I16"},
    {"BitcastWidth", "%a = Const.I32 1\n%b = Bitcast.F64 %a\nExitPc pc=4", "operand 0 may not be I32"},
    {"BitcastRight", "%a = Const.I64 1\n%b = Bitcast.F64 %a\n%c = Bitcast.I64 %b\nExitPc pc=4", ""},
    {"LoadAddressFloat", "%a = Const.F32 1\n%b = Load.I8 %a\nExitPc pc=4", "operand 0 may not be F32"},
    {"LoadI1", "%a = Const.I32 1\n%b = Load.I1 %a\nExitPc pc=4", "not for type I1"},
    {"StoreValue", "%a = Const.I32 1\nStore.I8 %a, %a\nExitPc pc=4", "operand 1 may not be I32"},
    {"FloatOperand", "%a = Const.I32 1\n%b = FAdd.F32 %a, %a round=rne\nExitPc pc=4",
     "operand 0 may not be I32"},
    {"FConvertSame", "%a = Const.F32 1\n%b = FConvert.F32 %a round=rne\nExitPc pc=4",
     "operand 0 may not be F32"},
    {"FToSNarrow", "%a = Const.F32 1\n%b = FToS.I16 %a round=rtz\nExitPc pc=4", "not for type I16"},
    {"NanBoxType", "%a = Const.F32 1\n%b = NanBox.F32 %a\nExitPc pc=4", "not for type F32"},
    {"FlagsType", "%a = FpGetFlags.I64\nExitPc pc=4", "not for type I64"},
    {"CallOperand", "%a = Const.I32 1\n%b = Call.I64 @verify_test.effect %a\nExitPc pc=4",
     "operand 0 may not be I32"},
    {"CallKind", "%b = Call.I64 @verify_test.pure\nExitPc pc=4", "of the other kind"},
    {"CallPureKind", "%b = CallPure.I64 @verify_test.effect\nExitPc pc=4", "of the other kind"},
    {"CallRight", "%a = Const.I64 1\n%b = Call.I64 @verify_test.effect %a, %a\nExitPc pc=4", ""},
    {"RegisterTypes", "%a = GetReg.I32 reg=1\n%b = GetReg.I64 reg=1\nExitPc pc=4", "another type elsewhere"},
    {"RegisterNumber", "%a = GetReg.I32 reg=65536\nExitPc pc=4", "no such register"},
    {"JumpTarget", "Jump to=1", "no such block"},
    {"BranchTarget", "%a = Const.I1 1\nBranch %a then=0 else=7", "no such block"},
    {"UseBeforeDefinition", "%a = Clz.I8 %b\n%b = Const.I8 1\nExitPc pc=4", "not defined on every way"},
    {"UseOfItself", "%a = Clz.I8 %a\nExitPc pc=4", "not defined on every way"},
    {"IndirectExit", "%a = Const.I32 0\nSetReg.I32 %a reg=1\nExitIndirect %a", ""},
    {"UseOnOneWay",
     "%c = GetReg.I64 reg=1\n%z = Trunc.I1 %c\nBranch %z then=1 else=2\n"
     "block 1\n%v = Const.I64 1\nJump to=2\nblock 2\nSetReg.I64 %v reg=1\nExitPc pc=4",
     "not defined on every way"},
    {"UseAcrossJoin",
     "%v = GetReg.I64 reg=1\n%z = Trunc.I1 %v\nBranch %z then=1 else=2\n"
     "block 1\nJump to=3\nblock 2\nJump to=3\nblock 3\nSetReg.I64 %v reg=1\nExitPc pc=4",
     ""},
    {"UseInLoop",
     "%v = GetReg.I64 reg=1\nJump to=1\n"
     "block 1\n%w = Clz.I64 %v\n%z = Trunc.I1 %w\nBranch %z then=1 else=2\nblock 2\nSetReg.I64 %w "
     "reg=1\nExitPc pc=4",
     ""},
    {"UseOfUnreachable",
     "Jump to=2\nblock 1\n%v = Const.I64 1\nJump to=2\nblock 2\nSetReg.I64 %v reg=1\nExitPc pc=4",
     "not defined on every way"},
    {"LoadAfterSet", "%a = GetReg.I64 reg=1\nSetReg.I64 %a reg=2\n%b = Load.I8 %a\nExitPc pc=4",
     "may fault after"},
    {"StoreAfterSet", "%a = GetReg.I64 reg=1\nSetReg.I64 %a reg=2\nStore.I64 %a, %a\nExitPc pc=4",
     "may fault after"},
    {"CallAfterSet",
     "%a = GetReg.I64 reg=1\nSetReg.I64 %a reg=2\n%b = Call.I64 @verify_test.effect\nExitPc pc=4",
     "may fault after"},
    {"LoadInNextInstruction",
     "%a = GetReg.I64 reg=1\nSetReg.I64 %a reg=2\nInsnStart pc=0x1004 len=4\n%b = Load.I8 %a\nExitPc pc=4",
     ""},
    {"LoadAfterSetInAnotherBlock",
     "%a = GetReg.I64 reg=1\n%z = Trunc.I1 %a\nBranch %z then=1 else=2\n"
     "block 1\nSetReg.I64 %a reg=2\nJump to=2\nblock 2\n%b = Load.I8 %a\nExitPc pc=4",
     "may fault after"},
    {"LoadAfterArithmetic",
     "%a = GetReg.I64 reg=1\n%f = Const.F32 1\n%g = FAdd.F32 %f, %f round=rne\n%b = Load.I8 %a\nExitPc pc=4",
     "floating-point flags"},
    {"StoreAfterFlags",
     "%a = GetReg.I64 reg=1\n%f = Const.I32 1\nFpSetFlags.I32 %f\nStore.I64 %a, %a\nExitPc pc=4",
     "floating-point flags"},
    {"ArithmeticAfterLoad",
     "%a = GetReg.I64 reg=1\n%f = Load.F32 %a\n%g = FAdd.F32 %f, %f round=rne\nExitPc pc=4", ""},
    {"ArithmeticThenLoadInNextInstruction",
     "%a = GetReg.I64 reg=1\n%f = Const.F32 1\n%g = FAdd.F32 %f, %f round=rne\n"
     "InsnStart pc=0x1004 len=4\n%b = Load.I8 %a\nExitPc pc=4",
     ""},
    {"ExchangeThenStore",
     "%a = GetReg.I64 reg=1\n%b = Load.I64 %a\nStore.I64 %a, %a\nStore.I64 %b, %a\nExitPc pc=4",
     "loaded and stored"},
    {"ExchangeThenLoadInAnotherBlock",
     "%a = GetReg.I64 reg=1\n%b = Load.I64 %a\nStore.I64 %a, %a\n%z = Trunc.I1 %a\nBranch %z then=1 else=2\n"
     "block 1\n%c = Load.I8 %a\nJump to=2\nblock 2\nExitPc pc=4",
     "loaded and stored"},
    {"StoresInARow",
     "%a = GetReg.I64 reg=1\nStore.I64 %a, %a\nStore.I64 %a, %a offset=8\n%b = Load.I8 %a\nExitPc pc=4", ""},
    {"LoadsThenStore",
     "%a = GetReg.I64 reg=1\n%b = Load.I64 %a\n%c = Load.I64 %b\nStore.I64 %a, %c\nExitPc pc=4", ""},
    {"SetThenLoop",
     "%a = GetReg.I64 reg=1\nJump to=1\nblock 1\n%b = Load.I64 %a\nSetReg.I64 %b reg=2\n%z = Trunc.I1 %b\n"
     "Branch %z then=1 else=2\nblock 2\nExitPc pc=4",
     "may fault after"},
    {"SetThenLoopOfInstructions",
     "Jump to=1\nblock 1\nInsnStart pc=0x1004 len=4\n%a = GetReg.I64 reg=1\n%b = Load.I64 %a\nSetReg.I64 %b "
     "reg=2\n"
     "%z = Trunc.I1 %b\nBranch %z then=1 else=2\nblock 2\nExitPc pc=4",
     ""},
};

class VerifyText : public testing::TestWithParam<Case> {};

TEST_P(VerifyText, SaysWhatIsWrong) {
  const Case& c = GetParam();
  if (c.message == nullptr) {
    EXPECT_THROW(verify_text(c.ops), Fatal);
    return;
  }
  const std::string error = verify_text(c.ops);
  if (*c.message == 0) {
    EXPECT_EQ(error, "");
  } else {
    EXPECT_NE(error.find(c.message), std::string::npos) << "it said: " << error;
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, VerifyText, testing::ValuesIn(kCases),
                         [](const auto& case_info) { return std::string(case_info.param.name); });

// What the text form cannot say.
Unit small() { return parse("unit pc=0x1000 context=0\nblock 0\nInsnStart pc=0x1000 len=4\nExitPc pc=4"); }

TEST(Verify, BlocksThatDoNotCoverTheOps) {
  Unit unit = small();
  unit.blocks.clear();
  EXPECT_NE(verify(unit).find("no blocks"), std::string::npos);
  unit = small();
  unit.insts.push_back({.op = Op::ExitPc});
  EXPECT_NE(verify(unit).find("after the last block"), std::string::npos);
  unit = small();
  unit.blocks[0].count = 3;
  EXPECT_NE(verify(unit).find("do not divide"), std::string::npos);
  unit = small();
  unit.blocks[0].first = 1;
  EXPECT_NE(verify(unit).find("do not divide"), std::string::npos);
}

TEST(Verify, Counts) {
  Unit unit = small();
  unit.insn_count = 2;
  EXPECT_NE(verify(unit).find("insn_count"), std::string::npos);
  unit = parse("unit pc=0x1000 context=0\nblock 0\nExitPc pc=4");
  EXPECT_NE(verify(unit).find("does not begin with InsnStart"), std::string::npos);
}

TEST(Verify, NumbersOutOfRange) {
  Unit unit = small();
  unit.insts[0].op = static_cast<Op>(kOpCount);
  EXPECT_NE(verify(unit).find("no such operation"), std::string::npos);
  unit = small();
  unit.insts[0].type = static_cast<Type>(8);
  EXPECT_NE(verify(unit).find("no such type"), std::string::npos);
  unit = small();
  unit.insts.insert(unit.insts.begin() + 1,
                    {.op = Op::Clz, .type = Type::I8, .args = {77, kNoValue, kNoValue}});
  unit.blocks[0].count = 3;
  EXPECT_NE(verify(unit).find("no value"), std::string::npos);
  unit.insts[1] = {.op = Op::Clz, .type = Type::I8, .args = {0, kNoValue, kNoValue}};  // an InsnStart
  EXPECT_NE(verify(unit).find("no value"), std::string::npos);
  unit.insts[1] = {.op = Op::Call, .type = Type::I64, .imm = u64{1} << 32 | kEffect};
  EXPECT_NE(verify(unit).find("no such helper"), std::string::npos);
  unit.insts[1] = {.op = Op::Call, .type = Type::I64, .imm = kEffect};
  EXPECT_EQ(verify(unit), "");
  unit.insts[1] = {.op = Op::CallPure, .type = Type::I64, .args = {kNoValue, 0, kNoValue}, .imm = kPure};
  EXPECT_NE(verify(unit).find("operand too many"), std::string::npos);
}

TEST(Verify, RoundingModes) {
  const std::string head = "%a = Const.F32 1\n%b = FSqrt.F32 %a round=dyn\nExitPc pc=4";
  EXPECT_EQ(verify_text(head), "");
  Unit unit = parse("unit pc=0x1000 context=0\nblock 0\nInsnStart pc=0x1000 len=4\n" + head);
  unit.insts[2].aux = 5;
  EXPECT_NE(verify(unit).find("rounding"), std::string::npos);
}

}  // namespace
}  // namespace hindcast::ir
