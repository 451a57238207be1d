// Conversions between formats, and to and from integers (IEEE 754-2019, 5.4.1, 5.4.2 and 7.2). What IEEE
// leaves to the implementation, the result of an invalid conversion to an integer, is saturated, and the
// largest for a NaN.
#include <limits>

#include "engine/softfloat/unpacked.h"

namespace hindcast::fp {
namespace {

/// |a| rounded to an integer, or 2^64 if it is that or more. `inexact` tells whether rounding changed it.
u128 round_to_integer(const Unpacked& a, Round rm, bool& inexact) {
  inexact = false;
  if (a.exp >= 64) return u128{1} << 64;
  // 64 integer and 64 fractional bits.
  const u128 fixed = a.exp >= 0 ? u128{a.sig} << (a.exp + 1) : u128{shift_right_sticky(a.sig, -1 - a.exp)};
  const u64 whole = static_cast<u64>(fixed >> 64), fraction = static_cast<u64>(fixed);
  inexact = fraction != 0;
  const bool up = rounds_up(rm, a.sign, whole & 1, fraction, u64{1} << 63);
  return u128{whole} + (up ? 1 : 0);
}

template <typename Int, typename F>
Int to_integer(typename F::Bits bits, Round rm, u32& flags) {
  constexpr Int kLargest = std::numeric_limits<Int>::max(), kSmallest = std::numeric_limits<Int>::min();
  const Unpacked a = unpack<F>(bits);
  if (a.zero()) return 0;
  if (a.finite()) {
    bool inexact = false;
    const u128 magnitude = round_to_integer(a, rm, inexact);
    const u128 limit = a.sign ? u128{0} - static_cast<u128>(kSmallest) : static_cast<u128>(kLargest);
    if (magnitude <= limit) {
      if (inexact) flags |= kInexact;
      const u64 value = static_cast<u64>(magnitude);
      return static_cast<Int>(a.sign ? 0 - value : value);
    }
  }
  flags |= kInvalid;
  return a.sign && !a.nan() ? kSmallest : kLargest;
}

template <typename F>
typename F::Bits from_magnitude(bool sign, u64 magnitude, Round rm, u32& flags) {
  if (magnitude == 0) return zero<F>(false);
  const int shift = std::countl_zero(magnitude);
  return round_pack<F>(sign, 63 - shift, magnitude << shift, rm, flags);
}

}  // namespace

template <typename F>
i32 to_i32(typename F::Bits a, Round rm, u32& flags) {
  return to_integer<i32, F>(a, rm, flags);
}

template <typename F>
u32 to_u32(typename F::Bits a, Round rm, u32& flags) {
  return to_integer<u32, F>(a, rm, flags);
}

template <typename F>
i64 to_i64(typename F::Bits a, Round rm, u32& flags) {
  return to_integer<i64, F>(a, rm, flags);
}

template <typename F>
u64 to_u64(typename F::Bits a, Round rm, u32& flags) {
  return to_integer<u64, F>(a, rm, flags);
}

template <typename F>
typename F::Bits from_i64(i64 a, Round rm, u32& flags) {
  const u64 bits = static_cast<u64>(a);
  return from_magnitude<F>(a < 0, a < 0 ? 0 - bits : bits, rm, flags);
}

template <typename F>
typename F::Bits from_u64(u64 a, Round rm, u32& flags) {
  return from_magnitude<F>(false, a, rm, flags);
}

template <typename To, typename From>
typename To::Bits convert(typename From::Bits bits, Round rm, u32& flags) {
  const Unpacked a = unpack<From>(bits);
  if (a.finite()) return round_pack<To>(a.sign, a.exp, a.sig, rm, flags);
  if (a.signaling()) return invalid<To>(flags);
  if (a.nan()) return default_nan<To>();
  return a.zero() ? zero<To>(a.sign) : infinity<To>(a.sign);
}

#define INSTANTIATE(F)                                   \
  template i32 to_i32<F>(F::Bits, Round, u32 & flags);   \
  template u32 to_u32<F>(F::Bits, Round, u32 & flags);   \
  template i64 to_i64<F>(F::Bits, Round, u32 & flags);   \
  template u64 to_u64<F>(F::Bits, Round, u32 & flags);   \
  template F::Bits from_i64<F>(i64, Round, u32 & flags); \
  template F::Bits from_u64<F>(u64, Round, u32 & flags);
INSTANTIATE(F16)
INSTANTIATE(F32)
INSTANTIATE(F64)
#undef INSTANTIATE

template F32::Bits convert<F32, F16>(F16::Bits, Round, u32& flags);
template F64::Bits convert<F64, F16>(F16::Bits, Round, u32& flags);
template F16::Bits convert<F16, F32>(F32::Bits, Round, u32& flags);
template F64::Bits convert<F64, F32>(F32::Bits, Round, u32& flags);
template F16::Bits convert<F16, F64>(F64::Bits, Round, u32& flags);
template F32::Bits convert<F32, F64>(F64::Bits, Round, u32& flags);

}  // namespace hindcast::fp
