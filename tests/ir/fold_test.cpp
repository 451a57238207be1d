// Folding changes no value: random expressions, built through the builder, against the same ones evaluated as
// written.
#include <gtest/gtest.h>

#include "engine/ir/builder.h"
#include "tests/ir/fake_arch.h"
#include "tests/ir/run_unit.h"

namespace hindcast::ir {
namespace {

using test::FakeArch;
using test::Random;
using test::run_unit;
using test::UnitState;

constexpr unsigned kInputs = 4;  // register contents that each expression is evaluated with

/// One expression: the builder's value, and what it must be for each of the inputs.
struct Expr {
  Value value;
  Type type;
  u64 expected[kInputs];
};

class Expressions {
 public:
  Expressions(Random& random, const Architecture& arch)
      : random_(random), arch_(arch), builder_(arch, 0x1000, 0) {
    for (UnitState& input : inputs_) {
      for (unsigned r = test::kX0; r < arch.registers().size(); ++r) {
        input.registers[r] = truncate(arch.registers()[r].type, random.edge());
      }
    }
    builder_.insn_start(0x1000, 4);
  }

  void grow() {
    switch (random_.below(13)) {
      case 0: return constant();
      case 1: return reg();
      case 2: return unary();
      case 3: return compare();
      case 4: return select();
      case 5: return change_type();
      case 6: return chain();
      default: return binary();
    }
  }

  /// Every value that was built ends up in the registers, a few at a time.
  void check() {
    Builder& b = builder_;
    std::vector<std::pair<unsigned, Expr>> outputs;
    unsigned next[8] = {};
    const std::pair<unsigned, unsigned> places[8] = {{},
                                                     {},
                                                     {test::kB0, 2},
                                                     {test::kH0, 2},
                                                     {test::kW0, 4},
                                                     {test::kX0, 8},
                                                     {test::kS0, 2},
                                                     {test::kD0, 4}};
    for (std::size_t i = exprs_.size(); i-- > 0;) {
      Expr e = exprs_[i];
      if (e.type == Type::I1) {
        e = {b.zext(Type::I64, e.value),
             Type::I64,
             {e.expected[0], e.expected[1], e.expected[2], e.expected[3]}};
      }
      const unsigned t = static_cast<unsigned>(e.type);
      if (next[t] == places[t].second) continue;
      const unsigned place = places[t].first + next[t]++;
      b.set(place, e.value);
      outputs.emplace_back(place, e);
    }
    b.goto_pc(0x1004);
    const Unit unit = b.take();
    ASSERT_EQ(verify(unit), "") << print(unit);
    for (unsigned n = 0; n < kInputs; ++n) {
      UnitState state = inputs_[n];
      run_unit(unit, state);
      for (const auto& [place, e] : outputs) {
        ASSERT_EQ(state.registers[place], e.expected[n]) << "register " << place << "\n" << print(unit);
      }
    }
  }

 private:
  template <typename F>
  void add(Value value, Type type, F&& expected) {
    Expr e{value, type, {}};
    for (unsigned n = 0; n < kInputs; ++n) e.expected[n] = expected(n);
    ASSERT_EQ(builder_.type(value), type);
    exprs_.push_back(e);
  }

  /// One of the latest expressions of a type, so that they grow deep; or a new leaf.
  Expr pick(Type type) {
    for (int tries = 0; tries < 8 && !exprs_.empty(); ++tries) {
      const Expr& e = exprs_[exprs_.size() - 1 - random_.below(std::min<u64>(exprs_.size(), 12))];
      if (e.type == type) return e;
    }
    if (random_.chance(50)) {
      constant(type);
    } else {
      reg(type);
    }
    return exprs_.back();
  }
  Type word() { return static_cast<Type>(static_cast<u64>(Type::I8) + random_.below(4)); }

  void constant(Type type) {
    const u64 v = truncate(type, random_.edge());
    add(builder_.konst(type, v), type, [&](unsigned) { return v; });
  }
  void constant() { constant(word()); }

  void reg(Type type) {
    if (type == Type::I1) {
      const Expr e = pick(Type::I32);
      add(builder_.trunc(type, e.value), type, [&](unsigned n) { return e.expected[n] & 1; });
      return;
    }
    std::vector<unsigned> fitting;
    for (unsigned r = test::kZero; r < arch_.registers().size(); ++r) {
      if (arch_.registers()[r].type == type) fitting.push_back(r);
    }
    const unsigned r = fitting[random_.below(fitting.size())];
    add(builder_.get(r), type, [&](unsigned n) { return inputs_[n].registers[r]; });
  }
  void reg() { reg(word()); }

  void unary() {
    constexpr Op ops[] = {Op::Clz, Op::Ctz, Op::Popcnt, Op::Bswap};
    const Op op = ops[random_.below(4)];
    const Type t = word();
    const Expr a = pick(t);
    add(builder_.unary(op, a.value), t, [&](unsigned n) { return eval_pure(op, t, t, a.expected[n]); });
  }

  void binary() {
    const Op op = static_cast<Op>(static_cast<u64>(Op::Add) + random_.below(17));
    const bool logic = op == Op::And || op == Op::Or || op == Op::Xor;
    const Type t = logic && random_.chance(20) ? Type::I1 : word();
    const Expr a = pick(t), b = random_.chance(10) ? a : pick(t);
    add(builder_.binary(op, a.value, b.value), t,
        [&](unsigned n) { return eval_pure(op, t, t, a.expected[n], b.expected[n]); });
  }

  /// The same op twice with constants, which may become one.
  void chain() {
    const Op op = static_cast<Op>(static_cast<u64>(Op::Add) + random_.below(17));
    const Type t = word();
    Expr a = pick(t);
    for (int i = 0; i < 2; ++i) {
      const u64 c = truncate(t, random_.chance(50) ? random_.below(bits_of(t)) : random_.edge());
      add(builder_.binary(op, a.value, builder_.konst(t, c)), t,
          [&](unsigned n) { return eval_pure(op, t, t, a.expected[n], c); });
      a = exprs_.back();
    }
  }

  void compare() {
    const Op op = static_cast<Op>(static_cast<u64>(Op::CmpEq) + random_.below(6));
    const Type t = random_.chance(20) && (op == Op::CmpEq || op == Op::CmpNe) ? Type::I1 : word();
    const Expr a = pick(t), b = random_.chance(10) ? a : pick(t);
    add(builder_.compare(op, a.value, b.value), Type::I1,
        [&](unsigned n) { return eval_pure(op, t, t, a.expected[n], b.expected[n]); });
  }

  void select() {
    const Type t = random_.chance(15) ? Type::I1 : word();
    const Expr c = pick(Type::I1), a = pick(t), b = pick(t);
    add(builder_.select(c.value, a.value, b.value), t,
        [&](unsigned n) { return c.expected[n] != 0 ? a.expected[n] : b.expected[n]; });
  }

  void change_type() {
    const Type from = random_.chance(20) ? Type::I1 : word();
    const Expr a = pick(from);
    const Type to = random_.chance(10) ? Type::I1 : word();
    if (random_.chance(15) && bits_of(from) >= 32) {
      const Type as_float = from == Type::I32 ? Type::F32 : Type::F64;
      const Value moved = builder_.bitcast(as_float, a.value);
      add(moved, as_float, [&](unsigned n) { return a.expected[n]; });
      add(builder_.bitcast(from, moved), from, [&](unsigned n) { return a.expected[n]; });
      if (as_float == Type::F32) {
        const Value boxed = builder_.unary(Op::NanBox, moved);
        add(boxed, Type::F64, [&](unsigned n) { return kNanBoxUpper | a.expected[n]; });
        add(builder_.unary(Op::NanUnbox, boxed), as_float, [&](unsigned n) { return a.expected[n]; });
      } else {
        add(builder_.unary(Op::NanUnbox, moved), Type::F32,
            [&](unsigned n) { return eval_pure(Op::NanUnbox, Type::F32, Type::F64, a.expected[n]); });
      }
    } else if (bits_of(to) < bits_of(from)) {
      add(builder_.trunc(to, a.value), to, [&](unsigned n) { return truncate(to, a.expected[n]); });
    } else if (random_.chance(50)) {
      add(builder_.zext(to, a.value), to, [&](unsigned n) { return a.expected[n]; });
    } else {
      add(builder_.sext(to, a.value), to,
          [&](unsigned n) { return truncate(to, static_cast<u64>(signed_value(from, a.expected[n]))); });
    }
  }

  Random& random_;
  const Architecture& arch_;
  Builder builder_;
  UnitState inputs_[kInputs];
  std::vector<Expr> exprs_;
};

TEST(Fold, RandomExpressionsKeepTheirValues) {
  Random random(5);
  const FakeArch arch;
  for (int i = 0; i < 6000 && !testing::Test::HasFailure(); ++i) {
    Expressions expressions(random, arch);
    for (u64 n = 2 + random.below(40); n > 0; --n) expressions.grow();
    expressions.check();
  }
}

TEST(Fold, AddressesKeepTheirValues) {
  Random random(6);
  for (const unsigned address_bits : {32u, 64u}) {
    const FakeArch arch(address_bits);
    for (int i = 0; i < 3000 && !testing::Test::HasFailure(); ++i) {
      const Type t = random.chance(50) ? Type::I32 : Type::I64;
      const u64 mask = address_bits == 64 ? ~u64{0} : 0xffffffff;
      const u64 base = truncate(t, random.edge());
      const bool constant = random.chance(20);
      Builder b(arch, 0x1000, 0);
      b.insn_start(0x1000, 4);
      const unsigned reg = t == Type::I32 ? test::kW0 : test::kX0;
      Value address = constant ? b.konst(t, base) : b.get(reg);
      u64 expected = base;
      for (u64 n = random.below(4); n > 0; --n) {
        const u64 step = random.chance(50) ? random.edge() : random.next() & 0xfff;
        address =
            random.chance(80) ? b.add(address, b.konst(t, step)) : b.sub(address, b.konst(t, u64{0} - step));
        expected = truncate(t, expected + step);
      }
      const MemAttr attr{.offset = random.chance(50) ? static_cast<i32>(random.edge()) : 0};
      b.store(address, b.load(Type::I8, address, attr), attr);
      b.goto_pc(0x1004);
      const Unit unit = b.take();
      ASSERT_EQ(verify(unit), "") << print(unit);
      UnitState state;
      state.registers[reg] = base;
      run_unit(unit, state);
      const u64 wanted = (expected + static_cast<u64>(i64{attr.offset})) & mask;
      ASSERT_EQ(state.addresses.size(), 2u);
      EXPECT_EQ(state.addresses[0] & mask, wanted) << print(unit);
      EXPECT_EQ(state.addresses[1] & mask, wanted) << print(unit);
    }
  }
}

}  // namespace
}  // namespace hindcast::ir
