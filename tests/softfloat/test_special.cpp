// Cases that the references cannot judge, or that deserve to be read: NaNs, minimum and maximum, saturation,
// tininess.
#include "tests/softfloat/operands.h"
#include "tests/softfloat/report.h"

namespace hindcast::fp::test {
namespace {

constexpr Round kRne = Round::NearestEven, kRtz = Round::TowardZero, kRdn = Round::Down, kRup = Round::Up,
                kRmm = Round::NearestMaxMagnitude;
constexpr u32 kOne = 0x3f800000, kMinusZero = 0x80000000, kInf = 0x7f800000, kMinusInf = 0xff800000;
constexpr u32 kQuiet = 0xffc12345, kSignaling = 0x7f800001, kDefault = 0x7fc00000;
constexpr u32 kLargest = 0x7f7fffff, kSmallestNormal = 0x00800000, kSmallest = 1;

Result result(u64 value, u32 flags = 0) { return {value, flags}; }

#define EXPECT_OP(call, ...) EXPECT_EQ(run([&](u32& f) { return call; }), result(__VA_ARGS__))

TEST(Nan, ResultIsTheDefaultNan) {
  EXPECT_EQ(default_nan<F16>(), 0x7e00);
  EXPECT_EQ(default_nan<F32>(), kDefault);
  EXPECT_EQ(default_nan<F64>(), 0x7ff8000000000000);
  EXPECT_OP(add<F32>(kQuiet, kOne, kRne, f), kDefault);
  EXPECT_OP(mul<F32>(kOne, kSignaling, kRne, f), kDefault, kInvalid);
  EXPECT_OP((convert<F64, F32>(kQuiet, kRne, f)), default_nan<F64>());
  EXPECT_OP((convert<F64, F32>(kSignaling, kRne, f)), default_nan<F64>(), kInvalid);
  EXPECT_OP((convert<F16, F64>(0xfff0000000000001, kRne, f)), default_nan<F16>(), kInvalid);
}

TEST(Nan, InfTimesZeroIsInvalidWhateverTheAddend) {
  for (u32 c : {kOne, kQuiet, kInf, kSignaling}) {
    EXPECT_OP(fma<F32>(kInf, 0, c, kRne, f), kDefault, kInvalid);
    EXPECT_OP(fma<F32>(kMinusZero, kMinusInf, c, kRne, f), kDefault, kInvalid);
  }
  EXPECT_OP(fma<F32>(kOne, kOne, kQuiet, kRne, f), kDefault);
  EXPECT_OP(fma<F32>(kQuiet, 0, kInf, kRne, f), kDefault);
}

TEST(MinMax, ANumberBeatsANan) {
  EXPECT_OP(min<F32>(kQuiet, kOne, f), kOne);
  EXPECT_OP(max<F32>(kOne, kQuiet, f), kOne);
  EXPECT_OP(min<F32>(kSignaling, kOne, f), kOne, kInvalid);
  EXPECT_OP(max<F32>(kOne, kSignaling, f), kOne, kInvalid);
  EXPECT_OP(min<F32>(kQuiet, kQuiet, f), kDefault);
  EXPECT_OP(max<F32>(kQuiet, kSignaling, f), kDefault, kInvalid);
}

TEST(MinMax, MinusZeroIsBelowPlusZero) {
  EXPECT_OP(min<F32>(0, kMinusZero, f), kMinusZero);
  EXPECT_OP(min<F32>(kMinusZero, 0, f), kMinusZero);
  EXPECT_OP(max<F32>(0, kMinusZero, f), 0);
  EXPECT_OP(max<F32>(kMinusZero, 0, f), 0);
  EXPECT_OP(min<F16>(0, 0x8000, f), 0x8000);
  EXPECT_OP(max<F64>(u64{1} << 63, u64{1} << 63, f), u64{1} << 63);
}

TEST(MinMax, FollowsTheOrder) {
  const u32 ascending[] = {kMinusInf,
                           kLargest | kMinusZero,
                           kOne | kMinusZero,
                           kSmallest | kMinusZero,
                           kMinusZero,
                           0,
                           kSmallest,
                           kSmallestNormal,
                           kOne,
                           kInf};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    for (std::size_t j = i; j < std::size(ascending); ++j) {
      EXPECT_OP(min<F32>(ascending[i], ascending[j], f), ascending[i]);
      EXPECT_OP(min<F32>(ascending[j], ascending[i], f), ascending[i]);
      EXPECT_OP(max<F32>(ascending[i], ascending[j], f), ascending[j]);
      EXPECT_OP(max<F32>(ascending[j], ascending[i], f), ascending[j]);
    }
  }
}

TEST(Compare, QuietAndSignalling) {
  EXPECT_OP(eq<F32>(kQuiet, kQuiet, f), 0);
  EXPECT_OP(eq<F32>(kSignaling, kOne, f), 0, kInvalid);
  EXPECT_OP(lt<F32>(kQuiet, kOne, f), 0, kInvalid);
  EXPECT_OP(le<F32>(kOne, kQuiet, f), 0, kInvalid);
  EXPECT_OP(eq<F32>(0, kMinusZero, f), 1);
  EXPECT_OP(lt<F32>(kMinusZero, 0, f), 0);
  EXPECT_OP(le<F32>(0, kMinusZero, f), 1);
}

TEST(ToInteger, SaturatesWithInvalidAlone) {
  EXPECT_OP(to_i32<F32>(kQuiet, kRne, f), static_cast<u64>(0x7fffffff), kInvalid);
  EXPECT_OP(to_i64<F32>(kSignaling, kRne, f), 0x7fffffffffffffff, kInvalid);
  EXPECT_OP(to_u32<F32>(kQuiet, kRne, f), 0xffffffff, kInvalid);
  EXPECT_OP(to_u64<F32>(kQuiet, kRne, f), ~u64{0}, kInvalid);
  EXPECT_OP(to_i32<F32>(kMinusInf, kRne, f), static_cast<u64>(i64{-0x80000000ll}), kInvalid);
  EXPECT_OP(to_u64<F32>(kMinusInf, kRne, f), 0, kInvalid);
  const u64 half_past_largest = 0x41dfffffffe00000;  // 2^31 - 0.5
  EXPECT_OP(to_i32<F64>(half_past_largest, kRtz, f), 0x7fffffff, kInexact);
  EXPECT_OP(to_i32<F64>(half_past_largest, kRne, f), 0x7fffffff, kInvalid);
  EXPECT_OP(to_i32<F64>(0xc1e0000000000000, kRne, f), static_cast<u64>(i64{-0x80000000ll}));  // -2^31
}

TEST(ToInteger, UnsignedOfANegative) {
  const u32 minus_half = 0xbf000000, minus_three_quarters = 0xbf400000;
  EXPECT_OP(to_u32<F32>(kMinusZero, kRdn, f), 0);
  EXPECT_OP(to_u32<F32>(minus_half, kRne, f), 0, kInexact);
  EXPECT_OP(to_u32<F32>(minus_half, kRmm, f), 0, kInvalid);
  EXPECT_OP(to_u64<F32>(minus_three_quarters, kRtz, f), 0, kInexact);
  EXPECT_OP(to_u64<F32>(minus_three_quarters, kRup, f), 0, kInexact);
  EXPECT_OP(to_u64<F32>(minus_three_quarters, kRne, f), 0, kInvalid);
  EXPECT_OP(to_u64<F32>(kSmallest | kMinusZero, kRdn, f), 0, kInvalid);
}

TEST(Rounding, TiesByMode) {
  const u32 half_unit = 0x33800000;  // 2^-24, half of one's last place
  EXPECT_OP(add<F32>(kOne, half_unit, kRne, f), kOne, kInexact);
  EXPECT_OP(add<F32>(kOne, half_unit, kRmm, f), kOne + 1, kInexact);
  EXPECT_OP(add<F32>(kOne | kMinusZero, half_unit | kMinusZero, kRmm, f), (kOne + 1) | kMinusZero, kInexact);
  EXPECT_OP(sub<F32>(kOne, kOne, kRdn, f), kMinusZero);
  EXPECT_OP(sub<F32>(kOne, kOne, kRmm, f), 0);
}

TEST(Rounding, OverflowByMode) {
  const u32 both = kOverflow | kInexact;
  EXPECT_OP(mul<F32>(kLargest, kLargest, kRne, f), kInf, both);
  EXPECT_OP(mul<F32>(kLargest, kLargest, kRmm, f), kInf, both);
  EXPECT_OP(mul<F32>(kLargest, kLargest, kRtz, f), kLargest, both);
  EXPECT_OP(mul<F32>(kLargest, kLargest, kRdn, f), kLargest, both);
  EXPECT_OP(mul<F32>(kLargest, kLargest | kMinusZero, kRdn, f), kMinusInf, both);
  EXPECT_OP(add<F32>(kLargest, kOne, kRne, f), kLargest, kInexact);
  EXPECT_OP(from_u64<F16>(65519, kRne, f), 0x7bff, kInexact);
  EXPECT_OP(from_u64<F16>(65520, kRne, f), 0x7c00, both);
}

TEST(Rounding, TininessAfterRounding) {
  // (1 - 2^-24) * 2^-126: a tie at a subnormal's precision, but exact at full precision, hence tiny.
  const u64 tie = 0x380fffffe0000000;
  EXPECT_OP((convert<F32, F64>(tie, kRne, f)), kSmallestNormal, kUnderflow | kInexact);
  // Just below it at full precision: still tiny. Just above 1 - 2^-25: rounds to the smallest normal, not
  // tiny.
  EXPECT_OP((convert<F32, F64>(tie - 1, kRne, f)), kSmallestNormal - 1, kUnderflow | kInexact);
  EXPECT_OP((convert<F32, F64>(tie + 0x10000000, kRne, f)), kSmallestNormal, kInexact);
  EXPECT_OP((convert<F32, F64>(tie + 0x0fffffff, kRne, f)), kSmallestNormal, kUnderflow | kInexact);
  EXPECT_OP((convert<F32, F64>(tie + 1, kRup, f)), kSmallestNormal, kInexact);
  EXPECT_OP((convert<F32, F64>(tie, kRup, f)), kSmallestNormal, kUnderflow | kInexact);
  // An exact subnormal raises nothing.
  EXPECT_OP(mul<F32>(kSmallestNormal, 0x3f000000, kRne, f), kSmallestNormal >> 1);
}

TEST(Flags, Accrue) {
  u32 flags = kDivByZero;
  add<F32>(kOne, kSmallest, kRne, flags);
  EXPECT_EQ(flags, kDivByZero | kInexact);
}

TEST(DivAndSqrt, Specials) {
  EXPECT_OP(div<F32>(kOne, kMinusZero, kRne, f), kMinusInf, kDivByZero);
  EXPECT_OP(div<F32>(kInf, 0, kRne, f), kInf);
  EXPECT_OP(div<F32>(0, 0, kRne, f), kDefault, kInvalid);
  EXPECT_OP(div<F32>(kInf, kInf, kRne, f), kDefault, kInvalid);
  EXPECT_OP(sqrt<F32>(kMinusZero, kRne, f), kMinusZero);
  EXPECT_OP(sqrt<F32>(kOne | kMinusZero, kRne, f), kDefault, kInvalid);
  EXPECT_OP(sqrt<F32>(kQuiet, kRne, f), kDefault);
}

}  // namespace
}  // namespace hindcast::fp::test
