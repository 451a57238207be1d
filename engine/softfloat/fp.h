// IEEE 754 arithmetic in integers: the interpreter's floating point and the JIT's fallback. Every operation
// takes the rounding mode and accrues exception flags into `flags`. A NaN result is the given format's
// default NaN (positive quiet, payload 0), of which ir::eval_fp() makes the architecture's; tininess is
// detected after rounding. Operands and results are bit patterns (f16 and f32 in the low bits).
#pragma once
#include "engine/ir/ir.h"
#include "engine/types.h"

namespace hindcast::fp {

/// Exception flags. The values are x86's MXCSR bits; architectures map them to their own.
enum Flag : u32 { kInvalid = 1, kDivByZero = 4, kOverflow = 8, kUnderflow = 16, kInexact = 32 };
/// Accrued where FpRules flush subnormal operands; no operation here raises it.
inline constexpr u32 kInputDenormal = 2;
inline constexpr u32 kAllFlags = kInvalid | kDivByZero | kOverflow | kUnderflow | kInexact;

using ir::Round;  // Dynamic is not allowed here

/// A binary interchange format. F is one of the three below.
struct F16 {
  using Bits = u16;
  static constexpr int kExpBits = 5, kFracBits = 10;
};
struct F32 {
  using Bits = u32;
  static constexpr int kExpBits = 8, kFracBits = 23;
};
struct F64 {
  using Bits = u64;
  static constexpr int kExpBits = 11, kFracBits = 52;
};

template <typename F>
typename F::Bits add(typename F::Bits a, typename F::Bits b, Round rm, u32& flags);
template <typename F>
typename F::Bits sub(typename F::Bits a, typename F::Bits b, Round rm, u32& flags);
template <typename F>
typename F::Bits mul(typename F::Bits a, typename F::Bits b, Round rm, u32& flags);
template <typename F>
typename F::Bits div(typename F::Bits a, typename F::Bits b, Round rm, u32& flags);
template <typename F>
typename F::Bits sqrt(typename F::Bits a, Round rm, u32& flags);
/// a * b + c with one rounding. inf * 0 is invalid also when c is a quiet NaN.
template <typename F>
typename F::Bits fma(typename F::Bits a, typename F::Bits b, typename F::Bits c, Round rm, u32& flags);
/// IEEE 754-2019 minimumNumber/maximumNumber: a number beats a NaN; -0 < +0; a signalling NaN is invalid.
template <typename F>
typename F::Bits min(typename F::Bits a, typename F::Bits b, u32& flags);
template <typename F>
typename F::Bits max(typename F::Bits a, typename F::Bits b, u32& flags);
template <typename F>
bool eq(typename F::Bits a, typename F::Bits b, u32& flags);  // quiet
template <typename F>
bool lt(typename F::Bits a, typename F::Bits b, u32& flags);  // signalling
template <typename F>
bool le(typename F::Bits a, typename F::Bits b, u32& flags);  // signalling
/// Integer conversions saturate and raise invalid; a NaN gives the largest value.
template <typename F>
i32 to_i32(typename F::Bits a, Round rm, u32& flags);
template <typename F>
u32 to_u32(typename F::Bits a, Round rm, u32& flags);
template <typename F>
i64 to_i64(typename F::Bits a, Round rm, u32& flags);
template <typename F>
u64 to_u64(typename F::Bits a, Round rm, u32& flags);
template <typename F>
typename F::Bits from_i64(i64 a, Round rm, u32& flags);
template <typename F>
typename F::Bits from_u64(u64 a, Round rm, u32& flags);
/// Between formats (From != To). A signalling NaN is invalid; any NaN becomes the default NaN.
template <typename To, typename From>
typename To::Bits convert(typename From::Bits a, Round rm, u32& flags);
template <typename F>
constexpr typename F::Bits default_nan() {
  return static_cast<typename F::Bits>(((u64{1} << (F::kExpBits + 1)) - 1) << (F::kFracBits - 1));
}
template <typename F>
constexpr bool is_nan(typename F::Bits a) {
  constexpr u64 exp = (u64{1} << F::kExpBits) - 1;
  return ((u64{a} >> F::kFracBits) & exp) == exp && (u64{a} & ((u64{1} << F::kFracBits) - 1)) != 0;
}
template <typename F>
constexpr bool is_signaling(typename F::Bits a) {
  return is_nan<F>(a) && ((u64{a} >> (F::kFracBits - 1)) & 1) == 0;
}

}  // namespace hindcast::fp
