// Private to engine/softfloat: operands taken apart, and the one place where results are rounded and put
// together.
#pragma once
#include <bit>

#include "engine/softfloat/fp.h"

namespace hindcast::fp {

enum class Class : u8 { Zero, Finite, Infinity, QuietNan, SignalingNan };

/// An operand without its encoding: subnormals are normalised, so that only `unpack` and `round_pack` know of
/// them.
struct Unpacked {
  bool sign;
  Class cls;
  i32 exp;  // Finite only: the value is sig * 2^(exp - 63)
  u64 sig;  // Finite only: bit 63 is set; at most kFracBits + 1 leading bits are used

  bool zero() const { return cls == Class::Zero; }
  bool finite() const { return cls == Class::Finite; }
  bool infinity() const { return cls == Class::Infinity; }
  bool nan() const { return cls >= Class::QuietNan; }
  bool signaling() const { return cls == Class::SignalingNan; }
};

template <typename F>
inline constexpr i32 kBias = (1 << (F::kExpBits - 1)) - 1;
/// The biased exponent of infinities and NaNs.
template <typename F>
inline constexpr i32 kMaxBiased = (1 << F::kExpBits) - 1;
template <typename F>
inline constexpr u64 kFracMask = (u64{1} << F::kFracBits) - 1;
/// How many bits of a normalised 64-bit significand do not fit the format.
template <typename F>
inline constexpr int kDropBits = 63 - F::kFracBits;

template <typename F>
Unpacked unpack(typename F::Bits bits) {
  const u64 frac = u64{bits} & kFracMask<F>;
  const i32 biased = static_cast<i32>(u64{bits} >> F::kFracBits) & kMaxBiased<F>;
  const bool sign = (u64{bits} >> (F::kFracBits + F::kExpBits)) != 0;
  if (biased == kMaxBiased<F>) {
    if (frac == 0) return {sign, Class::Infinity, 0, 0};
    return {sign, is_signaling<F>(bits) ? Class::SignalingNan : Class::QuietNan, 0, 0};
  }
  if (biased == 0) {
    if (frac == 0) return {sign, Class::Zero, 0, 0};
    const int shift = std::countl_zero(frac);
    return {sign, Class::Finite, 1 - kBias<F> - (shift - kDropBits<F>), frac << shift};
  }
  return {sign, Class::Finite, biased - kBias<F>, u64{1} << 63 | frac << kDropBits<F>};
}

template <typename F>
typename F::Bits zero(bool sign) {
  return static_cast<typename F::Bits>(u64{sign} << (F::kFracBits + F::kExpBits));
}

template <typename F>
typename F::Bits infinity(bool sign) {
  return static_cast<typename F::Bits>(zero<F>(sign) | u64{kMaxBiased<F>} << F::kFracBits);
}

template <typename F>
typename F::Bits invalid(u32& flags) {
  flags |= kInvalid;
  return default_nan<F>();
}

/// A sum of two equal magnitudes with opposite signs is +0, but -0 when rounding down (IEEE 754, 6.3).
template <typename F>
typename F::Bits cancelled(Round rm) {
  return zero<F>(rm == Round::Down);
}

/// value >> count, with bit 0 set if any lost bit was set ("sticky"), so that later rounding still sees it.
/// count >= 0.
template <typename T>
T shift_right_sticky(T value, int count) {
  if (count == 0) return value;
  if (count >= static_cast<int>(sizeof(T) * 8)) return value != 0;
  return value >> count | T{(value << (static_cast<int>(sizeof(T) * 8) - count)) != 0};
}

/// Whether the magnitude grows by one unit in the last place. `rest` is what lies below that place, `half`
/// its midpoint.
inline bool rounds_up(Round rm, bool sign, bool odd, u64 rest, u64 half) {
  switch (rm) {
    case Round::NearestEven: return rest > half || (rest == half && odd);
    case Round::NearestMaxMagnitude: return rest >= half;
    case Round::Down: return sign && rest != 0;
    case Round::Up: return !sign && rest != 0;
    case Round::TowardZero:
    case Round::Dynamic: break;
  }
  return false;
}

/// The result of an overflow: infinity, or the largest number when the mode rounds away from infinity.
template <typename F>
typename F::Bits overflow(bool sign, Round rm, u32& flags) {
  flags |= kOverflow | kInexact;
  const bool nearest = rm == Round::NearestEven || rm == Round::NearestMaxMagnitude;
  const bool outward = nearest || rm == (sign ? Round::Down : Round::Up);
  return static_cast<typename F::Bits>(infinity<F>(sign) - (outward ? 0 : 1));
}

/// Rounds sig * 2^(exp - 63) to the format. Bit 63 of sig is set; bit 0 may be sticky.
template <typename F>
typename F::Bits round_pack(bool sign, i32 exp, u64 sig, Round rm, u32& flags) {
  constexpr int kDrop = kDropBits<F>;
  constexpr u64 kRest = (u64{1} << kDrop) - 1, kHalf = u64{1} << (kDrop - 1);
  i32 biased = exp + kBias<F>;
  bool tiny = false;
  if (biased < 1) {
    // Tininess after rounding: not tiny if rounding with an unbounded exponent would reach the smallest
    // normal.
    const bool reaches_normal = biased == 0 && sig >= ~kRest && rounds_up(rm, sign, true, sig & kRest, kHalf);
    tiny = !reaches_normal;
    sig = shift_right_sticky(sig, 1 - biased);
    biased = 1;
  }
  const u64 rest = sig & kRest;
  u64 units = sig >> kDrop;
  if (rounds_up(rm, sign, units & 1, rest, kHalf)) ++units;
  // The leading one adds 1 to the exponent field; so does a carry out of rounding. A subnormal has no leading
  // one. No operation yields an exponent beyond 2^12 - bias, so the shifted field fits 64 bits.
  const u64 magnitude = (static_cast<u64>(biased - 1) << F::kFracBits) + units;
  if (magnitude >= infinity<F>(false)) return overflow<F>(sign, rm, flags);
  if (rest != 0) flags |= tiny ? kUnderflow | kInexact : u32{kInexact};
  return static_cast<typename F::Bits>(zero<F>(sign) | magnitude);
}

/// Rounds sig * 2^(exp - 127), any sig but 0.
template <typename F>
typename F::Bits round_pack_wide(bool sign, i32 exp, u128 sig, Round rm, u32& flags) {
  const u64 high = static_cast<u64>(sig >> 64);
  const int shift = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<u64>(sig));
  sig <<= shift;
  const u64 sticky = static_cast<u64>(sig) != 0;
  return round_pack<F>(sign, exp - shift, static_cast<u64>(sig >> 64) | sticky, rm, flags);
}

}  // namespace hindcast::fp
