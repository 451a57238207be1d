// The text form: what is printed reads back as the same unit, and nothing that is read can do harm.
#include <gtest/gtest.h>

#include "engine/helpers.h"
#include "engine/ir/eval.h"
#include "engine/ir/text.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::ir {
namespace {

using test::Random;

u64 pure_helper(u64 a, u64, u64) { return a; }
const u32 kHelper = register_pure_helper("text_test.helper", pure_helper);

void expect_same(const Unit& a, const Unit& b) {
  EXPECT_EQ(a.pc, b.pc);
  EXPECT_EQ(a.context, b.context);
  EXPECT_EQ(a.insn_count, b.insn_count);
  ASSERT_EQ(a.blocks.size(), b.blocks.size());
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    EXPECT_EQ(a.blocks[i].first, b.blocks[i].first);
    EXPECT_EQ(a.blocks[i].count, b.blocks[i].count);
  }
  ASSERT_EQ(a.insts.size(), b.insts.size());
  for (std::size_t i = 0; i < a.insts.size(); ++i) {
    const Inst &x = a.insts[i], &y = b.insts[i];
    EXPECT_TRUE(x.op == y.op && x.type == y.type && x.flags == y.flags && x.aux == y.aux && x.imm == y.imm)
        << "op " << i << " " << info(x.op).name;
    for (unsigned n = 0; n < 3; ++n) EXPECT_EQ(x.args[n], y.args[n]) << "op " << i << " " << info(x.op).name;
  }
}

/// Anything that the text can say, whether it makes sense or not.
Unit random_unit(Random& random) {
  Unit unit;
  unit.pc = random.edge();
  unit.context = random.edge();
  const u32 blocks = 1 + static_cast<u32>(random.below(5));
  for (u32 b = 0; b < blocks; ++b) {
    const u32 first = static_cast<u32>(unit.insts.size());
    for (u64 n = random.below(12); n > 0; --n) {
      Inst inst;
      inst.op = static_cast<Op>(random.below(kOpCount));
      inst.type = static_cast<Type>(random.below(8));
      if (result_type(inst) == Type::Void && info(inst.op).result[0] != '.') inst.type = Type::I64;
      switch (attributes_of(inst.op)) {
        case Attributes::None: break;
        case Attributes::Register:
        case Attributes::Constant:
        case Attributes::Pc: inst.imm = random.edge() >> random.below(2); break;
        case Attributes::Memory:
          inst.imm = MemAttr{static_cast<i32>(random.edge()), random.chance(50), random.chance(50),
                             random.chance(50), static_cast<u8>(random.edge())}
                         .pack();
          break;
        case Attributes::Rounding:
          inst.aux = random.chance(20) ? 7 : static_cast<u32>(random.below(5));
          inst.flags = static_cast<u8>(random.below(4));
          break;
        case Attributes::Helper: inst.imm = kHelper; break;
        case Attributes::Insn:
          inst.imm = random.edge();
          inst.flags = static_cast<u8>(random.edge());
          ++unit.insn_count;
          break;
        case Attributes::Jump: inst.aux = static_cast<u32>(random.below(9)); break;
        case Attributes::Branch:
          inst.aux = static_cast<u32>(random.edge());
          inst.imm = static_cast<u32>(random.edge());
          break;
        case Attributes::PcReason:
          inst.imm = random.edge();
          inst.aux = static_cast<u32>(random.edge());
          break;
      }
      unit.insts.push_back(inst);
    }
    unit.blocks.push_back({first, static_cast<u32>(unit.insts.size()) - first});
  }
  std::vector<Value> values;
  for (u32 i = 0; i < unit.insts.size(); ++i) {
    if (result_type(unit.insts[i]) != Type::Void) values.push_back(i);
  }
  for (Inst& inst : unit.insts) {
    const u64 operands = values.empty() ? 0 : random.below(4);
    for (u64 n = 0; n < operands; ++n) inst.args[n] = values[random.below(values.size())];
  }
  // Register numbers are printed as signed numbers are: within 63 bits.
  for (Inst& inst : unit.insts) {
    if (attributes_of(inst.op) == Attributes::Register) inst.imm >>= 1;
  }
  return unit;
}

TEST(Text, RandomUnitsReadBack) {
  Random random(2);
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    const Unit unit = random_unit(random);
    const std::string text = print(unit);
    expect_same(unit, parse(text));
    if (HasFailure()) std::printf("%s", text.c_str());
  }
}

TEST(Text, VerifierSurvivesAnything) {
  Random random(3);
  for (int i = 0; i < 3000; ++i) {
    Unit unit = random_unit(random);
    for (int n = 0; n < 3 && !unit.insts.empty(); ++n) {
      Inst& inst = unit.insts[random.below(unit.insts.size())];
      switch (random.below(5)) {
        case 0: inst.op = static_cast<Op>(random.next()); break;
        case 1: inst.type = static_cast<Type>(random.next()); break;
        case 2: inst.args[random.below(3)] = static_cast<Value>(random.edge()); break;
        case 3: inst.imm = random.edge(); break;
        default: unit.blocks[random.below(unit.blocks.size())].count = static_cast<u32>(random.edge()); break;
      }
    }
    EXPECT_FALSE(verify(unit).empty());
  }
}

TEST(Text, IsReadable) {
  const Unit unit = parse(
      "# a comment\n"
      "unit pc=0x80000000 context=3\n\n"
      "block 0\n"
      "  InsnStart pc=0x80000000 len=4   # lw a0, -4(a1)\n"
      "  %a = GetReg.I64 reg=11\r\n"
      "  %v = Load.I32 %a offset=-4 be align\n"
      "  %x = SExt.I64 %v\n"
      "  SetReg.I64 %x reg=10\n"
      "  %f = Const.F64 0x3ff0000000000000\n"
      "  %g = FMulAdd.F64 %f, %f, %f round=rtz neg=2\n"
      "  %c = CmpLtU.I64 %x, %a\n"
      "  Branch %c then=1 else=2\n"
      "block 1\n"
      "  ExitPc pc=0x80000004\n"
      "block 2\n"
      "  ExitInterp pc=0x80000000 reason=9");
  EXPECT_EQ(verify(unit), "");
  EXPECT_EQ(print(unit),
            "unit pc=0x80000000 context=0x3\n"
            "block 0\n"
            "  InsnStart pc=0x80000000 len=4\n"
            "  %1 = GetReg.I64 reg=11\n"
            "  %2 = Load.I32 %1 offset=-4 be align\n"
            "  %3 = SExt.I64 %2\n"
            "  SetReg.I64 %3 reg=10\n"
            "  %5 = Const.F64 0x3ff0000000000000\n"
            "  %6 = FMulAdd.F64 %5, %5, %5 round=rtz neg=2\n"
            "  %7 = CmpLtU.I64 %3, %1\n"
            "  Branch %7 then=1 else=2\n"
            "block 1\n"
            "  ExitPc pc=0x80000004\n"
            "block 2\n"
            "  ExitInterp pc=0x80000000 reason=9\n");
}

struct BadText {
  const char* text;
  const char* message;
};

TEST(Text, ErrorsNameTheLine) {
  const std::string head = "unit pc=0 context=0\nblock 0\n";
  const BadText cases[] = {
      {"", "no 'unit' line"},
      {"block 0", "line 1: expected 'unit'"},
      {"unit pc=0", "line 1: expected 'context='"},
      {"unit pc=0x context=0", "'0x' is not a number"},
      {"unit pc=-1 context=0", "'-1' is not a number"},
      {"unit pc=0x10000000000000000 context=0", "is not a number"},
      {"unit pc=0 context=0 more", "line 1: unexpected 'more'"},
      {"unit pc=0 context=0\nblock 1", "line 2: blocks are numbered"},
      {"unit pc=0 context=0\nExitPc pc=0", "line 2: an op before the first block"},
  };
  for (const BadText& c : cases) {
    try {
      parse(c.text);
      ADD_FAILURE() << "accepted: " << c.text;
    } catch (const Fatal& e) {
      EXPECT_NE(std::string(e.what()).find(c.message), std::string::npos) << c.text << " gave: " << e.what();
    }
  }
  const BadText ops[] = {
      {"Frob.I32", "no operation 'Frob'"},
      {"%a = Const.I33 1", "no type 'I33'"},
      {"%a = Const.Void 1", "no type 'Void'"},
      {"Const.I32 1", "needs a name"},
      {"%a = ExitPc pc=0", "has no result"},
      {"%a = Const 1", "has no result"},
      {"%a Const.I32 1", "expected '='"},
      {"% = Const.I32 1", "expected a value's name"},
      {"%a = Const.I32 1\n%a = Const.I32 1", "line 4: a second value"},
      {"%a = Const.I32", "expected a number"},
      {"%a = Clz.I32 %b", "line 3: no value is named %b"},
      {"%a = Clz.I32 %a,", "expected an operand"},
      {"%a = Select.I32 %a, %a, %a, %a", "at most three"},
      {"%a = GetReg.I32", "expected 'reg='"},
      {"%a = Load.I32 %a offset=0x80000000", "too large"},
      {"%a = Load.I32 %a offset=--1", "not a number"},
      {"%a = Load.I32 %a space=256", "too large"},
      {"%a = FAdd.F32 %a, %a", "expected 'round='"},
      {"%a = FAdd.F32 %a, %a round=odd", "no rounding mode 'odd'"},
      {"%a = FAdd.F32 %a, %a round=rne neg=4", "too large"},
      {"%a = Call.I64 nothing", "expected '@'"},
      {"%a = Call.I64 @nothing", "no helper 'nothing'"},
      {"InsnStart pc=0 len=256", "too large"},
      {"Jump to=0x100000000", "too large"},
      {"Jump to", "expected '=' after 'to'"},
  };
  for (const BadText& c : ops) {
    try {
      parse(head + c.text);
      ADD_FAILURE() << "accepted: " << c.text;
    } catch (const Fatal& e) {
      EXPECT_NE(std::string(e.what()).find(c.message), std::string::npos) << c.text << " gave: " << e.what();
    }
  }
}

TEST(Text, SmallestOffsetReadsBack) {
  const Unit unit = parse("unit pc=0 context=0\nblock 0\n%a = Load.I8 %a offset=-2147483648");
  EXPECT_EQ(MemAttr::unpack(unit.insts[0].imm).offset, -2147483647 - 1);
}

TEST(Text, ParserSurvivesGarbage) {
  Random random(4);
  unsigned accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = print(random_unit(random));
    for (u64 n = random.below(6); n > 0 && !text.empty(); --n) {
      const std::size_t at = random.below(text.size());
      switch (random.below(5)) {
        case 0: text[at] = static_cast<char>(random.next()); break;
        case 1: text.erase(at, random.below(20)); break;
        case 2: text.insert(at, text.substr(random.below(text.size()), random.below(20))); break;
        case 3: text[at] = "%=,.@# \n0x-"[random.below(11)]; break;
        default: text.resize(at); break;
      }
    }
    try {
      (void)verify(parse(text));
      ++accepted;
    } catch (const Fatal&) {
    }
  }
  EXPECT_GT(accepted, 100u);   // the changes are small enough to reach deep
  EXPECT_LT(accepted, 3900u);  // and large enough to matter
}

}  // namespace
}  // namespace hindcast::ir
