// Softfloat against the host's SSE unit: F32 and F64 (and F16 conversions), values and flags, in the four
// rounding modes that both have.
#include <limits>

#include "tests/softfloat/host_fpu.h"
#include "tests/softfloat/operands.h"

namespace hindcast::fp::test {
namespace {

constexpr int kCases = 120'000;  // operand tuples, each in four rounding modes

template <typename F>
class HostFpu : public testing::Test {};
using Formats = testing::Types<F32, F64>;
TYPED_TEST_SUITE(HostFpu, Formats);

TYPED_TEST(HostFpu, AddAndSub) {
  using F = TypeParam;
  Operands<F> operands(1);
  Report add_report("add"), sub_report("sub");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.near(a);
    for (Round rm : host::kHostRounds) {
      add_report.check(rm, {a, b}, run([&](u32& f) { return add<F>(a, b, rm, f); }), host::add<F>(a, b, rm));
      sub_report.check(rm, {a, b}, run([&](u32& f) { return sub<F>(a, b, rm, f); }), host::sub<F>(a, b, rm));
    }
  }
}

TYPED_TEST(HostFpu, Mul) {
  using F = TypeParam;
  Operands<F> operands(2);
  Report report("mul");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.partner(a, false);
    for (Round rm : host::kHostRounds) {
      report.check(rm, {a, b}, run([&](u32& f) { return mul<F>(a, b, rm, f); }), host::mul<F>(a, b, rm));
    }
  }
}

TYPED_TEST(HostFpu, Div) {
  using F = TypeParam;
  Operands<F> operands(3);
  Report report("div");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.partner(a, true);
    for (Round rm : host::kHostRounds) {
      report.check(rm, {a, b}, run([&](u32& f) { return div<F>(a, b, rm, f); }), host::div<F>(a, b, rm));
    }
  }
}

TYPED_TEST(HostFpu, Sqrt) {
  using F = TypeParam;
  Operands<F> operands(4);
  Report report("sqrt");
  for (int i = 0; i < kCases; ++i) {
    auto a = operands.any();
    if (i % 4 == 0) {  // a square, give or take one unit in the last place
      u32 ignored = 0;
      a = static_cast<typename F::Bits>(mul<F>(a, a, Round::NearestEven, ignored) + i / 4 % 3 - 1);
    }
    for (Round rm : host::kHostRounds) {
      report.check(rm, {a}, run([&](u32& f) { return sqrt<F>(a, rm, f); }), host::sqrt<F>(a, rm));
    }
  }
}

TYPED_TEST(HostFpu, Fma) {
  using F = TypeParam;
  if (!__builtin_cpu_supports("fma")) GTEST_SKIP() << "this processor has no FMA3";
  Operands<F> operands(5);
  Report report("fma");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.partner(a, false);
    u32 ignored = 0;
    const auto c = operands.near(mul<F>(a, b, Round::NearestEven, ignored));
    for (Round rm : host::kHostRounds) {
      const Result got = run([&](u32& f) { return fma<F>(a, b, c, rm, f); });
      Result want = host::fma<F>(a, b, c, rm);
      // inf * 0 with a quiet NaN as addend: IEEE leaves the flag open; x86 does not raise it, softfloat does.
      if (is_nan<F>(c) && !is_nan<F>(a) && !is_nan<F>(b)) {
        want.flags |= run([&](u32& f) { return mul<F>(a, b, rm, f); }).flags & kInvalid;
      }
      report.check(rm, {a, b, c}, got, want);
    }
  }
}

TYPED_TEST(HostFpu, Compare) {
  using F = TypeParam;
  Operands<F> operands(6);
  Report eq_report("eq"), lt_report("lt"), le_report("le");
  for (int i = 0; i < 4 * kCases; ++i) {
    const auto a = operands.any(), b = i % 8 == 0 ? a : operands.near(a);
    const Round rm = Round::NearestEven;
    eq_report.check(rm, {a, b}, run([&](u32& f) { return eq<F>(a, b, f); }), host::eq<F>(a, b));
    lt_report.check(rm, {a, b}, run([&](u32& f) { return lt<F>(a, b, f); }), host::lt<F>(a, b));
    le_report.check(rm, {a, b}, run([&](u32& f) { return le<F>(a, b, f); }), host::le<F>(a, b));
  }
}

/// x86's answer to an invalid conversion replaced by the saturated one.
template <typename Int, typename F>
Result host_saturated(typename F::Bits a, Round rm) {
  Result result = host::to_integer<Int, F>(a, rm);
  const bool negative = (u64{a} >> (F::kExpBits + F::kFracBits)) != 0;
  if ((result.flags & kInvalid) != 0 && (is_nan<F>(a) || !negative)) {
    result.value = static_cast<u64>(std::numeric_limits<Int>::max());
  }
  return result;
}

TYPED_TEST(HostFpu, ToSignedInteger) {
  using F = TypeParam;
  Operands<F> operands(7);
  Report report32("to_i32"), report64("to_i64");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.near_integer();
    for (Round rm : host::kHostRounds) {
      report32.check(rm, {a}, run([&](u32& f) { return to_i32<F>(a, rm, f); }),
                     host_saturated<i32, F>(a, rm));
      report64.check(rm, {a}, run([&](u32& f) { return to_i64<F>(a, rm, f); }),
                     host_saturated<i64, F>(a, rm));
    }
  }
}

TYPED_TEST(HostFpu, FromSignedInteger) {
  using F = TypeParam;
  Operands<F> operands(8);
  Report report("from_i64");
  for (int i = 0; i < kCases; ++i) {
    const u64 bits = operands.integer();
    const i64 a = static_cast<i64>(i % 2 == 0 ? bits : 0 - bits);
    for (Round rm : host::kHostRounds) {
      report.check(rm, {static_cast<u64>(a)}, run([&](u32& f) { return from_i64<F>(a, rm, f); }),
                   host::from_i64<F>(a, rm));
    }
  }
}

TEST(HostFpuConvert, BetweenF32AndF64) {
  Operands<F32> narrow(9);
  Operands<F64> wide(10);
  Report widen("f32 to f64"), shorten("f64 to f32");
  for (int i = 0; i < kCases; ++i) {
    const u32 a = narrow.any();
    u64 b = wide.any();
    if (i % 2 == 0) {  // within F32's range, with some bits below its last place
      u32 ignored = 0;
      b = convert<F64, F32>(narrow.any(), Round::NearestEven, ignored) ^ (wide.integer() & 0xfffffffff);
    }
    for (Round rm : host::kHostRounds) {
      widen.check(rm, {a}, run([&](u32& f) { return convert<F64, F32>(a, rm, f); }), host::f32_to_f64(a, rm));
      shorten.check(rm, {b}, run([&](u32& f) { return convert<F32, F64>(b, rm, f); }),
                    host::f64_to_f32(b, rm));
    }
  }
}

TEST(HostFpuConvert, BetweenF16AndF32) {
  if (!__builtin_cpu_supports("f16c")) GTEST_SKIP() << "this processor has no F16C";
  Operands<F32> operands(11);
  Report widen("f16 to f32"), shorten("f32 to f16");
  for (u32 a = 0; a <= 0xffff; ++a) {
    const u16 half = static_cast<u16>(a);
    u32 ignored = 0;
    const u32 near_half = convert<F32, F16>(half, Round::NearestEven, ignored) ^
                          (static_cast<u32>(operands.integer()) & 0x3fff);
    const u32 b = a % 4 == 0 ? operands.any() : near_half;
    for (Round rm : host::kHostRounds) {
      widen.check(rm, {a}, run([&](u32& f) { return convert<F32, F16>(half, rm, f); }),
                  host::f16_to_f32(half, rm));
      shorten.check(rm, {b}, run([&](u32& f) { return convert<F16, F32>(b, rm, f); }),
                    host::f32_to_f16(b, rm));
    }
  }
}

}  // namespace
}  // namespace hindcast::fp::test
