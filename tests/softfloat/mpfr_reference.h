// MPFR as a reference for every format and rounding mode. An operation is computed once, truncated to 64 bits
// with the knowledge whether that lost anything; rounding it to the format is then MPFR's rounding to an
// integer, of the value counted in units of the result's last place.
#pragma once
#include <mpfr.h>

#include "tests/softfloat/report.h"

namespace hindcast::fp::test {

/// An mpfr_t that frees itself. Its exponent range far exceeds all formats', so nothing overflows in it.
class Mpfr {
 public:
  explicit Mpfr(int precision) { mpfr_init2(value_, precision); }
  ~Mpfr() { mpfr_clear(value_); }
  Mpfr(const Mpfr&) = delete;
  Mpfr& operator=(const Mpfr&) = delete;
  operator mpfr_ptr() { return value_; }

 private:
  mpfr_t value_;
};

inline constexpr int kExactPrecision = 64;  // holds each operand, and more of a result than any format
inline constexpr int kStickyPrecision = 80;

/// Sets `to`, of kExactPrecision, to the operand's value; signs of zeros included.
template <typename F>
void set_operand(mpfr_ptr to, typename F::Bits a) {
  constexpr int kBias = (1 << (F::kExpBits - 1)) - 1;
  const u64 frac = u64{a} & ((u64{1} << F::kFracBits) - 1);
  const int biased = static_cast<int>(u64{a} >> F::kFracBits) & ((1 << F::kExpBits) - 1);
  const int sign = (u64{a} >> (F::kFracBits + F::kExpBits)) != 0 ? -1 : 1;
  if (is_nan<F>(a)) {
    mpfr_set_nan(to);
  } else if (biased == (1 << F::kExpBits) - 1) {
    mpfr_set_inf(to, sign);
  } else {
    const u64 units = biased == 0 ? frac : frac | u64{1} << F::kFracBits;
    mpfr_set_ui_2exp(to, units, (biased == 0 ? 1 : biased) - kBias - F::kFracBits, MPFR_RNDN);
    mpfr_setsign(to, to, sign < 0, MPFR_RNDN);
  }
}

inline void round_to_integer(mpfr_ptr value, Round rm) {
  switch (rm) {
    case Round::TowardZero: mpfr_rint(value, value, MPFR_RNDZ); return;
    case Round::Down: mpfr_rint(value, value, MPFR_RNDD); return;
    case Round::Up: mpfr_rint(value, value, MPFR_RNDU); return;
    case Round::NearestMaxMagnitude: mpfr_round(value, value); return;
    default: mpfr_rint(value, value, MPFR_RNDN); return;
  }
}

/// A result before rounding to a format.
class Exact {
 public:
  Exact() : value_(kStickyPrecision), scaled_(kStickyPrecision) {}

  /// Takes over `truncated`, of kExactPrecision, rounded toward zero with MPFR's `ternary`. If something was
  /// lost, the value becomes one in the same open interval between two neighbours of kExactPrecision: it
  /// rounds likewise.
  void set(mpfr_ptr truncated, int ternary) {
    mpfr_set(value_, truncated, MPFR_RNDN);
    if (ternary == 0) return;
    if (mpfr_sgn(truncated) > 0) {
      mpfr_nextabove(value_);
    } else {
      mpfr_nextbelow(value_);
    }
  }

  /// The encoding and the flags of rounding: overflow, underflow, inexact. Not for an exact zero.
  template <typename F>
  Result round(Round rm) {
    constexpr int kMaxExp = (1 << (F::kExpBits - 1)) - 1, kMinExp = 1 - kMaxExp;
    constexpr u64 kInfinity = ((u64{1} << F::kExpBits) - 1) << F::kFracBits;
    const u64 sign = mpfr_signbit(value_) != 0 ? u64{1} << (F::kFracBits + F::kExpBits) : 0;
    if (mpfr_nan_p(value_) != 0) return {default_nan<F>(), 0};
    if (mpfr_inf_p(value_) != 0) return {sign | kInfinity, 0};
    const int exp = static_cast<int>(mpfr_get_exp(value_)) - 1;  // MPFR's significands are below one
    const int unit = (exp < kMinExp ? kMinExp : exp) - F::kFracBits;
    const bool inexact = round_to_unit(unit, rm);
    const u64 magnitude = mpfr_get_ui(scaled_, MPFR_RNDZ);
    if (unit + static_cast<int>(mpfr_zero_p(scaled_) != 0 ? 0 : mpfr_get_exp(scaled_)) - 1 > kMaxExp) {
      const bool outward = rm == Round::NearestEven || rm == Round::NearestMaxMagnitude ||
                           rm == (sign != 0 ? Round::Down : Round::Up);
      return {sign | (kInfinity - (outward ? 0 : 1)), kOverflow | kInexact};
    }
    const u64 bits = sign | ((static_cast<u64>(unit - (kMinExp - F::kFracBits)) << F::kFracBits) + magnitude);
    u32 flags = inexact ? u32{kInexact} : 0;
    if (inexact && exp < kMinExp) {
      // Tiny after rounding: below the smallest normal also when rounded with an unbounded exponent.
      round_to_unit(exp - F::kFracBits, rm);
      if (mpfr_get_exp(scaled_) + exp - F::kFracBits <= kMinExp) flags |= kUnderflow;
    }
    return {bits, flags};
  }

  bool zero() { return mpfr_zero_p(value_) != 0; }
  bool nan() { return mpfr_nan_p(value_) != 0; }

  /// Rounded to an integer in [low, high], saturating. NaN gives high.
  Result to_integer(mpfr_ptr low, mpfr_ptr high, Round rm) {
    if (nan()) return {u64{mpfr_get_ui(high, MPFR_RNDN)}, kInvalid};
    mpfr_set(scaled_, value_, MPFR_RNDN);
    if (mpfr_number_p(scaled_) != 0) round_to_integer(scaled_, rm);
    const bool below = mpfr_less_p(scaled_, low) != 0, above = mpfr_greater_p(scaled_, high) != 0;
    mpfr_ptr result = below ? low : above ? high : static_cast<mpfr_ptr>(scaled_);
    const u64 bits = mpfr_sgn(result) < 0 ? static_cast<u64>(mpfr_get_si(result, MPFR_RNDN))
                                          : u64{mpfr_get_ui(result, MPFR_RNDN)};
    if (below || above) return {bits, kInvalid};
    return {bits, mpfr_equal_p(scaled_, value_) != 0 ? 0 : u32{kInexact}};
  }

 private:
  /// Leaves |value| in `scaled_`, counted in 2^unit and rounded to an integer; true if that changed it. The
  /// rounding itself is done with the sign, which the directed modes need.
  bool round_to_unit(int unit, Round rm) {
    mpfr_mul_2si(scaled_, value_, -unit, MPFR_RNDN);
    const bool inexact = mpfr_integer_p(scaled_) == 0;
    round_to_integer(scaled_, rm);
    mpfr_abs(scaled_, scaled_, MPFR_RNDN);
    return inexact;
  }

  Mpfr value_, scaled_;
};

}  // namespace hindcast::fp::test
