// NaNs as architectures want them, against what their manuals say of single cases.
#include <gtest/gtest.h>

#include "engine/ir/eval_fp.h"
#include "engine/softfloat/fp.h"

namespace hindcast::ir {
namespace {

constexpr u64 kOne = 0x3f800000, kInf = 0x7f800000, kZero = 0, kMinusOne = 0xbf800000;
constexpr u64 kQuietA = 0x7fc00123, kQuietB = 0xffc00456, kSignalA = 0x7f800789, kSignalB = 0xff800abc;
constexpr u64 kDefault = 0x7fc00000, kQuieted = 1u << 22;
/// Armv7-M, DDI 0403, A2.5: FPProcessNaNs, FPProcessNaNs3, FPMulAdd, FPMinNum, FPToFixed with DN clear.
constexpr FpRules kArm = {
    .nan = FpRules::Nan::SignalingFirst, .signaling_min_max = true, .nan_to_zero = true};
/// The same with DN set.
constexpr FpRules kArmDefault = {.signaling_min_max = true, .nan_to_zero = true};
/// A2.5.3 to A2.5.6: tininess is decided before rounding; the same with FZ set.
constexpr FpRules kArmTiny = {.tiny_before_rounding = true};
constexpr FpRules kArmFlush = {.tiny_before_rounding = true, .flush_to_zero = true};
constexpr u64 kSmallest = 0x00800000, kAbove = 0x00800001, kBelowOne = 0x3f7ffffe, kHalf = 0x3f000000,
              kSubnormal = 0x00400000;
constexpr FpRules kRiscv = {};
constexpr FpRules kOdd = {.default_nan32 = 0x7fbfffff, .default_nan64 = 0x7ff7ffffffffffff};

struct Case {
  const char* what;
  FpRules rules;
  Op op;
  u64 a, b, c;
  u8 negate;
  u64 result;
  u32 flags;
};

const Case kCases[] = {
    {"both quiet", kArm, Op::FAdd, kQuietA, kQuietB, 0, 0, kQuietA, 0},
    {"second quiet", kArm, Op::FMul, kOne, kQuietB, 0, 0, kQuietB, 0},
    {"second signals", kArm, Op::FSub, kQuietA, kSignalB, 0, 0, kSignalB | kQuieted, fp::kInvalid},
    {"both signal", kArm, Op::FDiv, kSignalA, kSignalB, 0, 0, kSignalA | kQuieted, fp::kInvalid},
    {"made of numbers", kArm, Op::FMul, kInf, kZero, 0, 0, kDefault, fp::kInvalid},
    {"root of a NaN", kArm, Op::FSqrt, kQuietB, 0, 0, 0, kQuietB, 0},
    {"root of a negative", kArm, Op::FSqrt, kMinusOne, 0, 0, 0, kDefault, fp::kInvalid},
    {"addend first", kArm, Op::FMulAdd, kQuietA, kOne, kQuietB, 0, kQuietB, 0},
    {"signal before quiet addend", kArm, Op::FMulAdd, kOne, kSignalA, kQuietB, 0, kSignalA | kQuieted,
     fp::kInvalid},
    {"inf times 0 plus NaN", kArm, Op::FMulAdd, kInf, kZero, kQuietB, 0, kDefault, fp::kInvalid},
    {"inf times 0 plus signal", kArm, Op::FMulAdd, kInf, kZero, kSignalB, 0, kSignalB | kQuieted,
     fp::kInvalid},
    {"negated factor", kArm, Op::FMulAdd, kQuietA, kOne, kOne, 1, kQuietA ^ 0x80000000, 0},
    {"negated addend", kArm, Op::FMulAdd, kQuietA, kOne, kQuietB, 3, kQuietB ^ 0x80000000, 0},
    {"number beats NaN", kArm, Op::FMin, kOne, kQuietB, 0, 0, kOne, 0},
    {"signal beats number", kArm, Op::FMax, kOne, kSignalB, 0, 0, kSignalB | kQuieted, fp::kInvalid},
    {"no number", kArm, Op::FMax, kQuietB, kQuietA, 0, 0, kQuietB, 0},
    {"default, both quiet", kArmDefault, Op::FAdd, kQuietA, kQuietB, 0, 0, kDefault, 0},
    {"default, signal beats number", kArmDefault, Op::FMin, kSignalA, kOne, 0, 0, kDefault, fp::kInvalid},
    {"RISC-V, number beats signal", kRiscv, Op::FMin, kSignalA, kOne, 0, 0, kOne, fp::kInvalid},
    {"RISC-V, addend", kRiscv, Op::FMulAdd, kOne, kOne, kQuietB, 0, kDefault, 0},
    {"another default", kOdd, Op::FAdd, kQuietA, kOne, 0, 0, 0x7fbfffff, 0},
    {"another default, made of numbers", kOdd, Op::FSub, kInf, kInf, 0, 0, 0x7fbfffff, fp::kInvalid},
    {"rounded up to normal, tiny", kArmTiny, Op::FMul, kAbove, kBelowOne, 0, 0, kSmallest,
     fp::kUnderflow | fp::kInexact},
    {"RISC-V, rounded up to normal", kRiscv, Op::FMul, kAbove, kBelowOne, 0, 0, kSmallest, fp::kInexact},
    {"exact and tiny", kArmTiny, Op::FMul, kSmallest, kHalf, 0, 0, kSubnormal, 0},
    {"flushed result", kArmFlush, Op::FMul, kSmallest | 0x80000000, kHalf, 0, 0, 0x80000000, fp::kUnderflow},
    {"flushed result that would round up", kArmFlush, Op::FMul, kAbove, kBelowOne, 0, 0, 0, fp::kUnderflow},
    {"flushed operand", kArmFlush, Op::FAdd, kOne, kSubnormal, 0, 0, kOne, fp::kInputDenormal},
    {"no second operand to flush", kArmFlush, Op::FSqrt, kOne, kSubnormal, kSubnormal, 0, kOne, 0},
    {"numbers", kArm, Op::FAdd, kOne, kOne, 0, 0, 0x40000000, 0},
};

TEST(FpRules, Arithmetic) {
  for (const Case& c : kCases) {
    u32 flags = 0;
    const Inst inst{.op = c.op, .type = Type::F32, .flags = c.negate};
    EXPECT_EQ(eval_fp(inst, Type::F32, Round::NearestEven, c.rules, c.a, c.b, c.c, flags), c.result)
        << c.what;
    EXPECT_EQ(flags, c.flags) << c.what;
  }
}

u64 convert(const FpRules& rules, Op op, Type to, Type from, u64 a, u32& flags) {
  flags = 0;
  const Inst inst{.op = op, .type = to, .aux = static_cast<u32>(Round::TowardZero)};
  return eval_fp(inst, from, Round::NearestEven, rules, a, 0, 0, flags);
}

TEST(FpRules, Conversions) {
  u32 flags = 0;
  // A payload keeps its upper end; the lower end is lost, or zero.
  EXPECT_EQ(convert(kArm, Op::FConvert, Type::F64, Type::F32, kQuietB, flags), 0xfff8'008a'c000'0000u);
  EXPECT_EQ(flags, 0u);
  EXPECT_EQ(convert(kArm, Op::FConvert, Type::F64, Type::F32, kSignalA, flags), 0x7ff8'00f1'2000'0000u);
  EXPECT_EQ(flags, u32{fp::kInvalid});
  EXPECT_EQ(convert(kArm, Op::FConvert, Type::F32, Type::F64, 0xfff8'008a'dfff'ffffu, flags), kQuietB);
  EXPECT_EQ(convert(kArm, Op::FConvert, Type::F32, Type::F64, 0x7ff0'0000'0000'0001u, flags), kDefault);
  EXPECT_EQ(flags, u32{fp::kInvalid});
  EXPECT_EQ(convert(kRiscv, Op::FConvert, Type::F64, Type::F32, kQuietB, flags), 0x7ff8'0000'0000'0000u);
  EXPECT_EQ(convert(kOdd, Op::FConvert, Type::F64, Type::F32, kQuietB, flags), 0x7ff7'ffff'ffff'ffffu);

  for (const Type to : {Type::I32, Type::I64}) {
    for (const Op op : {Op::FToS, Op::FToU}) {
      EXPECT_EQ(convert(kArm, op, to, Type::F32, kQuietA, flags), 0u);
      EXPECT_EQ(flags, u32{fp::kInvalid});
      EXPECT_NE(convert(kRiscv, op, to, Type::F32, kQuietA, flags), 0u);
      EXPECT_NE(convert(kArm, op, to, Type::F32, kInf, flags), 0u);
      EXPECT_EQ(flags, u32{fp::kInvalid});
    }
  }
}

}  // namespace
}  // namespace hindcast::ir
