// eval_pure against arithmetic written another way: bit by bit, or in 128 bits.
#include "engine/ir/eval.h"

#include <gtest/gtest.h>

#include "tests/ir/fake_arch.h"

namespace hindcast::ir {
namespace {

using test::Random;
using Wide = __int128;

constexpr Type kWords[] = {Type::I8, Type::I16, Type::I32, Type::I64};

Wide unsigned_of(u64 v) { return static_cast<Wide>(v); }
Wide signed_of(Type t, u64 v) {
  const Wide sign = static_cast<Wide>(1) << (bits_of(t) - 1);
  return unsigned_of(v) >= sign ? unsigned_of(v) - 2 * sign : unsigned_of(v);
}
u64 cut(Type t, Wide v) { return static_cast<u64>(v & ((static_cast<Wide>(1) << bits_of(t)) - 1)); }
bool bit_of(u64 v, unsigned n) { return (v >> n & 1) != 0; }

u64 reference(Op op, Type t, u64 a, u64 b) {
  const unsigned width = bits_of(t);
  const unsigned count = static_cast<unsigned>(b % width);
  const Wide sa = signed_of(t, a), sb = signed_of(t, b), ua = unsigned_of(a), ub = unsigned_of(b);
  u64 out = 0;
  switch (op) {
    case Op::Add: return cut(t, ua + ub);
    case Op::Sub: return cut(t, ua - ub);
    case Op::Mul: return cut(t, sa * sb);
    case Op::MulHiS: return cut(t, (sa * sb) >> width);
    case Op::MulHiSU: return cut(t, (sa * ub) >> width);
    case Op::MulHiU: return cut(t, static_cast<Wide>(static_cast<u128>(ua) * static_cast<u128>(ub) >> width));
    case Op::DivS: return cut(t, ub == 0 ? Wide{-1} : sa / sb);
    case Op::DivU: return cut(t, ub == 0 ? Wide{-1} : ua / ub);
    case Op::RemS: return cut(t, ub == 0 ? sa : sa % sb);
    case Op::RemU: return cut(t, ub == 0 ? ua : ua % ub);
    case Op::And: return cut(t, ua & ub);
    case Op::Or: return cut(t, ua | ub);
    case Op::Xor: return cut(t, ua ^ ub);
    case Op::CmpEq: return ua == ub;
    case Op::CmpNe: return ua != ub;
    case Op::CmpLtS: return sa < sb;
    case Op::CmpLtU: return ua < ub;
    case Op::CmpGeS: return sa >= sb;
    case Op::CmpGeU: return ua >= ub;
    case Op::Clz:
      for (unsigned i = width; i-- > 0 && !bit_of(a, i);) ++out;
      return out;
    case Op::Ctz:
      for (unsigned i = 0; i < width && !bit_of(a, i); ++i) ++out;
      return out;
    case Op::Popcnt:
      for (unsigned i = 0; i < width; ++i) out += bit_of(a, i);
      return out;
    default: break;
  }
  for (unsigned i = 0; i < width; ++i) {  // bit i of the result
    bool bit = false;
    switch (op) {
      case Op::Shl: bit = i >= count && bit_of(a, i - count); break;
      case Op::Shr: bit = i + count < width && bit_of(a, i + count); break;
      case Op::Sar: bit = bit_of(a, std::min(i + count, width - 1)); break;
      case Op::Rotl: bit = bit_of(a, (i + width - count) % width); break;
      case Op::Rotr: bit = bit_of(a, (i + count) % width); break;
      case Op::Bswap: bit = bit_of(a, (width / 8 - 1 - i / 8) * 8 + i % 8); break;
      default: ADD_FAILURE() << "no reference for " << info(op).name; return 0;
    }
    out |= u64{bit} << i;
  }
  return out;
}

TEST(Eval, AgreesWithTheReference) {
  Random random(1);
  for (unsigned n = 0; n < kOpCount; ++n) {
    const Op op = static_cast<Op>(n);
    const std::string_view operands = info(op).operands;
    if (info(op).effect != Effect::Pure || (operands != "v" && operands != "vv")) continue;
    for (const Type t : kWords) {
      for (int i = 0; i < 500; ++i) {
        const u64 a = truncate(t, random.edge()), b = truncate(t, random.chance(10) ? a : random.edge());
        ASSERT_EQ(eval_pure(op, t, t, a, b), reference(op, t, a, b))
            << info(op).name << "." << to_string(t) << " " << std::hex << a << " " << b;
      }
    }
  }
}

TEST(Eval, DivisionCorners) {
  for (const Type t : kWords) {
    const u64 ones = truncate(t, ~u64{0}), min = u64{1} << (bits_of(t) - 1);
    EXPECT_EQ(eval_pure(Op::DivS, t, t, min, ones), min);
    EXPECT_EQ(eval_pure(Op::RemS, t, t, min, ones), 0u);
    EXPECT_EQ(eval_pure(Op::DivS, t, t, 7, 0), ones);
    EXPECT_EQ(eval_pure(Op::DivU, t, t, 7, 0), ones);
    EXPECT_EQ(eval_pure(Op::RemS, t, t, min, 0), min);
    EXPECT_EQ(eval_pure(Op::RemU, t, t, 7, 0), 7u);
  }
}

TEST(Eval, ChangesOfType) {
  EXPECT_EQ(eval_pure(Op::Trunc, Type::I1, Type::I32, 0xfe), 0u);
  EXPECT_EQ(eval_pure(Op::Trunc, Type::I8, Type::I64, 0x1234), 0x34u);
  EXPECT_EQ(eval_pure(Op::ZExt, Type::I64, Type::I8, 0x80), 0x80u);
  EXPECT_EQ(eval_pure(Op::SExt, Type::I64, Type::I8, 0x80), 0xffffffffffffff80u);
  EXPECT_EQ(eval_pure(Op::SExt, Type::I16, Type::I8, 0x80), 0xff80u);
  EXPECT_EQ(eval_pure(Op::SExt, Type::I64, Type::I32, 0x7fffffff), 0x7fffffffu);
  EXPECT_EQ(eval_pure(Op::Select, Type::I32, Type::I1, 1, 5, 6), 5u);
  EXPECT_EQ(eval_pure(Op::Select, Type::I32, Type::I1, 0, 5, 6), 6u);
  EXPECT_EQ(eval_pure(Op::NanBox, Type::F64, Type::F32, 0x3f800000), 0xffffffff3f800000u);
  EXPECT_EQ(eval_pure(Op::NanUnbox, Type::F32, Type::F64, 0xffffffff3f800000), 0x3f800000u);
  EXPECT_EQ(eval_pure(Op::NanUnbox, Type::F32, Type::F64, 0xfffffffe3f800000), 0x7fc00000u);
}

}  // namespace
}  // namespace hindcast::ir
