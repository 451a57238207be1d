// Comparisons (IEEE 754-2019, 5.11) and minimumNumber/maximumNumber (9.6). They work on the encodings:
// without the sign bit, these are ordered like the magnitudes.
#include "engine/softfloat/unpacked.h"

namespace hindcast::fp {
namespace {

/// Ordered like the values that are not NaNs; both zeros are 0.
template <typename F>
i64 order_key(typename F::Bits a) {
  const i64 magnitude = static_cast<i64>(u64{a} & (u64{zero<F>(true)} - 1));
  return (a & zero<F>(true)) != 0 ? -magnitude : magnitude;
}

/// True if the operands have no order; raises invalid for a signalling NaN, or for any NaN if
/// `any_nan_is_invalid`.
template <typename F>
bool unordered(typename F::Bits a, typename F::Bits b, bool any_nan_is_invalid, u32& flags) {
  if (!is_nan<F>(a) && !is_nan<F>(b)) return false;
  if (any_nan_is_invalid || is_signaling<F>(a) || is_signaling<F>(b)) flags |= kInvalid;
  return true;
}

/// What minimumNumber and maximumNumber return when an operand is a NaN: the number, if there is one.
template <typename F>
typename F::Bits the_number(typename F::Bits a, typename F::Bits b) {
  if (!is_nan<F>(a)) return a;
  return is_nan<F>(b) ? default_nan<F>() : b;
}

}  // namespace

template <typename F>
typename F::Bits min(typename F::Bits a, typename F::Bits b, u32& flags) {
  if (unordered<F>(a, b, false, flags)) return the_number<F>(a, b);
  const i64 a_key = order_key<F>(a), b_key = order_key<F>(b);
  if (a_key == b_key) return a | b;  // the same number, or zeros: -0 if either is
  return a_key < b_key ? a : b;
}

template <typename F>
typename F::Bits max(typename F::Bits a, typename F::Bits b, u32& flags) {
  if (unordered<F>(a, b, false, flags)) return the_number<F>(a, b);
  const i64 a_key = order_key<F>(a), b_key = order_key<F>(b);
  if (a_key == b_key) return a & b;  // the same number, or zeros: +0 if either is
  return a_key > b_key ? a : b;
}

template <typename F>
bool eq(typename F::Bits a, typename F::Bits b, u32& flags) {
  return !unordered<F>(a, b, false, flags) && order_key<F>(a) == order_key<F>(b);
}

template <typename F>
bool lt(typename F::Bits a, typename F::Bits b, u32& flags) {
  return !unordered<F>(a, b, true, flags) && order_key<F>(a) < order_key<F>(b);
}

template <typename F>
bool le(typename F::Bits a, typename F::Bits b, u32& flags) {
  return !unordered<F>(a, b, true, flags) && order_key<F>(a) <= order_key<F>(b);
}

#define INSTANTIATE(F)                                    \
  template F::Bits min<F>(F::Bits, F::Bits, u32 & flags); \
  template F::Bits max<F>(F::Bits, F::Bits, u32 & flags); \
  template bool eq<F>(F::Bits, F::Bits, u32 & flags);     \
  template bool lt<F>(F::Bits, F::Bits, u32 & flags);     \
  template bool le<F>(F::Bits, F::Bits, u32 & flags);
INSTANTIATE(F16)
INSTANTIATE(F32)
INSTANTIATE(F64)
#undef INSTANTIATE

}  // namespace hindcast::fp
