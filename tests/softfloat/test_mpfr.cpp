// Softfloat against MPFR: all three formats, all five rounding modes, values and flags. It covers what the
// host's unit lacks: F16, rounding to nearest with ties away from zero, and unsigned integers.
#include <limits>

#include "tests/softfloat/mpfr_reference.h"
#include "tests/softfloat/operands.h"

namespace hindcast::fp::test {
namespace {

constexpr int kCases = 60'000;  // operand tuples, each in five rounding modes

template <typename F>
class AgainstMpfr : public testing::Test {
 protected:
  using Bits = typename F::Bits;

  /// What `compute(result, a, b, c, rounding)`, one of MPFR's functions, says; rounded for every mode.
  template <typename Compute, typename Soft>
  void check(Report& report, Bits a, Bits b, Bits c, u32 exact_flags, Compute&& compute, Soft&& soft) {
    set_operand<F>(a_, a);
    set_operand<F>(b_, b);
    set_operand<F>(c_, c);
    const int ternary = compute(result_, a_, b_, c_, MPFR_RNDZ);
    exact_.set(result_, ternary);
    const bool any_nan = is_nan<F>(a) || is_nan<F>(b) || is_nan<F>(c);
    const bool signaling = is_signaling<F>(a) || is_signaling<F>(b) || is_signaling<F>(c);
    if (signaling || (exact_.nan() && !any_nan)) exact_flags |= kInvalid;
    for (Round rm : kRounds) {
      Result want;
      if (exact_.zero()) {  // the sign may depend on the mode
        compute(result_, a_, b_, c_, rm == Round::Down ? MPFR_RNDD : MPFR_RNDN);
        want.value = mpfr_signbit(result_) != 0 ? u64{1} << (F::kExpBits + F::kFracBits) : 0;
      } else {
        want = exact_.template round<F>(rm);
      }
      want.flags |= exact_flags;
      report.check(rm, {a, b, c}, run([&](u32& f) { return soft(rm, f); }), want);
    }
  }

  Exact exact_;
  Mpfr a_{kExactPrecision}, b_{kExactPrecision}, c_{kExactPrecision}, result_{kExactPrecision};
};
using Formats = testing::Types<F16, F32, F64>;
TYPED_TEST_SUITE(AgainstMpfr, Formats);

TYPED_TEST(AgainstMpfr, AddAndSub) {
  using F = TypeParam;
  Operands<F> operands(21);
  Report add_report("add"), sub_report("sub");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.near(a);
    this->check(
        add_report, a, b, 0, 0,
        [](mpfr_ptr r, mpfr_ptr x, mpfr_ptr y, mpfr_ptr, mpfr_rnd_t rnd) { return mpfr_add(r, x, y, rnd); },
        [&](Round rm, u32& f) { return add<F>(a, b, rm, f); });
    this->check(
        sub_report, a, b, 0, 0,
        [](mpfr_ptr r, mpfr_ptr x, mpfr_ptr y, mpfr_ptr, mpfr_rnd_t rnd) { return mpfr_sub(r, x, y, rnd); },
        [&](Round rm, u32& f) { return sub<F>(a, b, rm, f); });
  }
}

TYPED_TEST(AgainstMpfr, Mul) {
  using F = TypeParam;
  Operands<F> operands(22);
  Report report("mul");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.partner(a, false);
    this->check(
        report, a, b, 0, 0,
        [](mpfr_ptr r, mpfr_ptr x, mpfr_ptr y, mpfr_ptr, mpfr_rnd_t rnd) { return mpfr_mul(r, x, y, rnd); },
        [&](Round rm, u32& f) { return mul<F>(a, b, rm, f); });
  }
}

TYPED_TEST(AgainstMpfr, Div) {
  using F = TypeParam;
  using Bits = typename F::Bits;
  constexpr u64 kMagnitude = (u64{1} << (F::kExpBits + F::kFracBits)) - 1;
  constexpr u64 kInfinity = kMagnitude ^ ((u64{1} << F::kFracBits) - 1);
  Operands<F> operands(23);
  Report report("div");
  for (int i = 0; i < kCases; ++i) {
    const Bits a = operands.any(), b = operands.partner(a, true);
    const bool by_zero = (b & kMagnitude) == 0 && (a & kMagnitude) != 0 && (a & kMagnitude) < kInfinity;
    this->check(
        report, a, b, 0, by_zero ? u32{kDivByZero} : 0,
        [](mpfr_ptr r, mpfr_ptr x, mpfr_ptr y, mpfr_ptr, mpfr_rnd_t rnd) { return mpfr_div(r, x, y, rnd); },
        [&](Round rm, u32& f) { return div<F>(a, b, rm, f); });
  }
}

TYPED_TEST(AgainstMpfr, Sqrt) {
  using F = TypeParam;
  constexpr bool kExhaustive = sizeof(typename F::Bits) == 2;
  Operands<F> operands(24);
  Report report("sqrt");
  for (int i = 0; i < (kExhaustive ? 0x10000 : kCases); ++i) {
    const auto a = kExhaustive ? static_cast<typename F::Bits>(i) : operands.any();
    this->check(
        report, a, 0, 0, 0,
        [](mpfr_ptr r, mpfr_ptr x, mpfr_ptr, mpfr_ptr, mpfr_rnd_t rnd) { return mpfr_sqrt(r, x, rnd); },
        [&](Round rm, u32& f) { return sqrt<F>(a, rm, f); });
  }
}

TYPED_TEST(AgainstMpfr, Fma) {
  using F = TypeParam;
  Operands<F> operands(25);
  Report report("fma");
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any(), b = operands.partner(a, false);
    u32 product_flags = 0;
    const auto c = operands.near(mul<F>(a, b, Round::NearestEven, product_flags));
    const bool product_nan = is_nan<F>(a) || is_nan<F>(b);
    this->check(
        report, a, b, c, product_nan ? 0 : product_flags & kInvalid,
        [](mpfr_ptr r, mpfr_ptr x, mpfr_ptr y, mpfr_ptr z, mpfr_rnd_t rnd) {
          return mpfr_fma(r, x, y, z, rnd);
        },
        [&](Round rm, u32& f) { return fma<F>(a, b, c, rm, f); });
  }
}

/// Ints as u64: signed results are compared sign-extended.
template <typename Int>
void set_integer(mpfr_ptr to, Int value) {
  if constexpr (std::numeric_limits<Int>::is_signed) {
    mpfr_set_si(to, value, MPFR_RNDN);
  } else {
    mpfr_set_ui(to, value, MPFR_RNDN);
  }
}

template <typename F, typename Int, typename Soft>
void check_to_integer(const char* name, u64 seed, Soft soft) {
  constexpr bool kExhaustive = sizeof(typename F::Bits) == 2;
  Operands<F> operands(seed);
  Report report(name);
  Mpfr low(kExactPrecision), high(kExactPrecision), value(kExactPrecision);
  set_integer(low, std::numeric_limits<Int>::min());
  set_integer(high, std::numeric_limits<Int>::max());
  Exact exact;
  for (int i = 0; i < (kExhaustive ? 0x10000 : kCases); ++i) {
    const auto a = kExhaustive ? static_cast<typename F::Bits>(i) : operands.near_integer();
    set_operand<F>(value, a);
    exact.set(value, 0);
    for (Round rm : kRounds) {
      report.check(rm, {a}, run([&](u32& f) { return soft(a, rm, f); }), exact.to_integer(low, high, rm));
    }
  }
}

TYPED_TEST(AgainstMpfr, ToInteger) {
  using F = TypeParam;
  check_to_integer<F, i32>("to_i32", 31, [](auto a, Round rm, u32& f) { return to_i32<F>(a, rm, f); });
  check_to_integer<F, u32>("to_u32", 32, [](auto a, Round rm, u32& f) { return to_u32<F>(a, rm, f); });
  check_to_integer<F, i64>("to_i64", 33, [](auto a, Round rm, u32& f) { return to_i64<F>(a, rm, f); });
  check_to_integer<F, u64>("to_u64", 34, [](auto a, Round rm, u32& f) { return to_u64<F>(a, rm, f); });
}

TYPED_TEST(AgainstMpfr, FromInteger) {
  using F = TypeParam;
  Operands<F> operands(35);
  Report signed_report("from_i64"), unsigned_report("from_u64");
  Mpfr value(kExactPrecision);
  Exact exact;
  for (int i = 0; i < kCases; ++i) {
    const u64 bits = i < 64 ? u64{1} << i : operands.integer();
    const i64 as_signed = static_cast<i64>(i % 2 == 0 ? bits : 0 - bits);
    for (Round rm : kRounds) {
      set_integer(value, bits);
      exact.set(value, 0);
      unsigned_report.check(rm, {bits}, run([&](u32& f) { return from_u64<F>(bits, rm, f); }),
                            exact.zero() ? Result{} : exact.template round<F>(rm));
      set_integer(value, as_signed);
      exact.set(value, 0);
      signed_report.check(rm, {static_cast<u64>(as_signed)},
                          run([&](u32& f) { return from_i64<F>(as_signed, rm, f); }),
                          exact.zero() ? Result{} : exact.template round<F>(rm));
    }
  }
}

template <typename To, typename From>
void check_convert(const char* name, u64 seed) {
  Operands<From> operands(seed);
  Operands<To> targets(seed + 1);
  Report report(name);
  Mpfr value(kExactPrecision);
  Exact exact;
  for (int i = 0; i < 2 * kCases; ++i) {
    auto a = operands.any();
    if constexpr (From::kFracBits > To::kFracBits) {
      if (i % 2 == 0) {  // within To's range, with some bits below its last place
        u32 ignored = 0;
        constexpr u64 kBelow = (u64{1} << (From::kFracBits - To::kFracBits + 2)) - 1;
        a = convert<From, To>(targets.any(), Round::NearestEven, ignored);
        a ^= static_cast<typename From::Bits>(operands.integer() & kBelow);
      }
    }
    set_operand<From>(value, a);
    exact.set(value, 0);
    for (Round rm : kRounds) {
      Result want;
      if (exact.zero()) {
        want.value = a == 0 ? 0 : u64{1} << (To::kExpBits + To::kFracBits);
      } else {
        want = exact.round<To>(rm);
      }
      if (is_signaling<From>(a)) want.flags |= kInvalid;
      report.check(rm, {a}, run([&](u32& f) { return convert<To, From>(a, rm, f); }), want);
    }
  }
}

TEST(AgainstMpfrConvert, AllPairs) {
  check_convert<F16, F32>("f32 to f16", 41);
  check_convert<F16, F64>("f64 to f16", 43);
  check_convert<F32, F16>("f16 to f32", 45);
  check_convert<F32, F64>("f64 to f32", 47);
  check_convert<F64, F16>("f16 to f64", 49);
  check_convert<F64, F32>("f32 to f64", 51);
}

}  // namespace
}  // namespace hindcast::fp::test
