// Addition, multiplication, division and square root (IEEE 754-2019, 5.4.1); the fused multiply-add is in
// fma.cpp.
//
// Significands are 64 bits wide and normalised, so every format has at least 11 bits below its last place; a
// result is computed to that width with a sticky bit 0, and round_pack rounds it once.
#include <utility>

#include "engine/softfloat/unpacked.h"

namespace hindcast::fp {
namespace {

/// The sum of two finite non-zero numbers.
template <typename F>
typename F::Bits add_finite(Unpacked a, Unpacked b, Round rm, u32& flags) {
  if (a.exp < b.exp) std::swap(a, b);
  // One bit of headroom for the carry. A shift that loses bits leaves a difference with at most one leading
  // zero more, so the sticky bit stays below the rounding position.
  const u64 large = a.sig >> 1;
  const u64 small = shift_right_sticky(b.sig >> 1, a.exp - b.exp);
  if (a.sign == b.sign) {
    const u64 sum = large + small;
    const int shift = std::countl_zero(sum);
    return round_pack<F>(a.sign, a.exp + 1 - shift, sum << shift, rm, flags);
  }
  if (large == small) return cancelled<F>(rm);
  const bool flipped = small > large;
  const u64 difference = flipped ? small - large : large - small;
  const int shift = std::countl_zero(difference);
  return round_pack<F>(a.sign != flipped, a.exp + 1 - shift, difference << shift, rm, flags);
}

template <typename F>
typename F::Bits add_unpacked(const Unpacked& a, const Unpacked& b, typename F::Bits a_bits,
                              typename F::Bits b_bits, Round rm, u32& flags) {
  if (a.finite() && b.finite()) return add_finite<F>(a, b, rm, flags);
  if (a.signaling() || b.signaling()) return invalid<F>(flags);
  if (a.nan() || b.nan()) return default_nan<F>();
  if (a.infinity() && b.infinity() && a.sign != b.sign) return invalid<F>(flags);
  if (a.zero() && b.zero()) return a.sign == b.sign ? a_bits : cancelled<F>(rm);
  return a.infinity() || b.zero() ? a_bits : b_bits;
}

/// The fractional root digits to compute: the format's and one to round. A root in [1, 2) needs no
/// normalising.
template <typename F>
inline constexpr int kRootDigits = F::kFracBits + 1;

/// Square root by digit recurrence. `radicand` is in [1, 4) with 60 fractional bits; the root, in [1, 2) with
/// kRootDigits fractional bits, is truncated and its sticky bit appended as one more bit.
template <typename F>
u64 root_digits(u64 radicand) {
  constexpr u64 kOne = u64{1} << 60;
  u64 root = kOne;
  u64 rest = radicand - kOne;  // (radicand - root^2) * 2^digits; below 2 * root + 1, so doubling it fits
  for (u64 digit = kOne >> 1; digit >= kOne >> kRootDigits<F>; digit >>= 1) {
    rest <<= 1;
    const u64 trial = 2 * root + digit;  // what (root + digit)^2 adds to root^2, over digit
    if (rest >= trial) {
      rest -= trial;
      root += digit;
    }
  }
  return root >> (60 - kRootDigits<F> - 1) | u64{rest != 0};
}

}  // namespace

template <typename F>
typename F::Bits add(typename F::Bits a, typename F::Bits b, Round rm, u32& flags) {
  return add_unpacked<F>(unpack<F>(a), unpack<F>(b), a, b, rm, flags);
}

template <typename F>
typename F::Bits sub(typename F::Bits a, typename F::Bits b, Round rm, u32& flags) {
  const auto negated = static_cast<typename F::Bits>(b ^ zero<F>(true));
  return add_unpacked<F>(unpack<F>(a), unpack<F>(negated), a, negated, rm, flags);
}

template <typename F>
typename F::Bits mul(typename F::Bits a_bits, typename F::Bits b_bits, Round rm, u32& flags) {
  const Unpacked a = unpack<F>(a_bits), b = unpack<F>(b_bits);
  const bool sign = a.sign != b.sign;
  if (a.finite() && b.finite()) {
    return round_pack_wide<F>(sign, a.exp + b.exp + 1, u128{a.sig} * b.sig, rm, flags);
  }
  if (a.signaling() || b.signaling()) return invalid<F>(flags);
  if (a.nan() || b.nan()) return default_nan<F>();
  if (!a.infinity() && !b.infinity()) return zero<F>(sign);
  if (a.zero() || b.zero()) return invalid<F>(flags);
  return infinity<F>(sign);
}

template <typename F>
typename F::Bits div(typename F::Bits a_bits, typename F::Bits b_bits, Round rm, u32& flags) {
  const Unpacked a = unpack<F>(a_bits), b = unpack<F>(b_bits);
  const bool sign = a.sign != b.sign;
  if (a.finite() && b.finite()) {
    // The dividend is scaled so that the quotient has exactly 64 bits, the first of them set.
    const bool below_one = a.sig < b.sig;
    const u128 dividend = u128{a.sig} << (below_one ? 64 : 63);
    const u64 quotient = static_cast<u64>(dividend / b.sig);
    const u64 sticky = u128{quotient} * b.sig != dividend;
    return round_pack<F>(sign, a.exp - b.exp - (below_one ? 1 : 0), quotient | sticky, rm, flags);
  }
  if (a.signaling() || b.signaling()) return invalid<F>(flags);
  if (a.nan() || b.nan()) return default_nan<F>();
  if (a.cls == b.cls) return invalid<F>(flags);  // 0 / 0, inf / inf
  if (a.zero() || b.infinity()) return zero<F>(sign);
  if (a.finite()) flags |= kDivByZero;  // inf / 0 is exact
  return infinity<F>(sign);
}

template <typename F>
typename F::Bits sqrt(typename F::Bits bits, Round rm, u32& flags) {
  const Unpacked a = unpack<F>(bits);
  if (a.signaling()) return invalid<F>(flags);
  if (a.nan()) return default_nan<F>();
  if (a.zero()) return bits;  // also -0
  if (a.sign) return invalid<F>(flags);
  if (a.infinity()) return bits;
  // The exponent is halved: an odd one leaves its factor 2 to the radicand. The shifts lose only zeros.
  const u64 radicand = a.sig >> ((a.exp & 1) != 0 ? 2 : 3);
  const u64 root = root_digits<F>(radicand);
  return round_pack<F>(false, a.exp >> 1, root << (63 - kRootDigits<F> - 1), rm, flags);
}

#define INSTANTIATE(F)                                           \
  template F::Bits add<F>(F::Bits, F::Bits, Round, u32 & flags); \
  template F::Bits sub<F>(F::Bits, F::Bits, Round, u32 & flags); \
  template F::Bits mul<F>(F::Bits, F::Bits, Round, u32 & flags); \
  template F::Bits div<F>(F::Bits, F::Bits, Round, u32 & flags); \
  template F::Bits sqrt<F>(F::Bits, Round, u32 & flags);
INSTANTIATE(F16)
INSTANTIATE(F32)
INSTANTIATE(F64)
#undef INSTANTIATE

}  // namespace hindcast::fp
