// The fused multiply-add (IEEE 754-2019, 5.4.1 and 7.2): the product is kept whole in 128 bits and rounded
// only once, with the addend.
#include "engine/softfloat/unpacked.h"

namespace hindcast::fp {
namespace {

/// a * b + c, all finite and not zero.
template <typename F>
typename F::Bits fma_finite(const Unpacked& a, const Unpacked& b, const Unpacked& c, Round rm, u32& flags) {
  const bool product_sign = a.sign != b.sign;
  u128 product = u128{a.sig} * b.sig;
  i32 exp = a.exp + b.exp;
  // Both terms have their leading one in bit 126: the sum cannot overflow. The product's low bits are zeros,
  // because a format uses at most 53 of the 64 bits, so this shift loses nothing.
  if (product >> 127 != 0) {
    product >>= 1;
    ++exp;
  }
  u128 addend = u128{c.sig} << 63;
  const i32 distance = exp - c.exp;
  if (distance >= 0) {
    addend = shift_right_sticky(addend, distance);
  } else {
    product = shift_right_sticky(product, -distance);
    exp = c.exp;
  }
  if (product_sign == c.sign) return round_pack_wide<F>(c.sign, exp + 1, product + addend, rm, flags);
  if (product == addend) return cancelled<F>(rm);
  const bool product_wins = product > addend;
  return round_pack_wide<F>(product_wins ? product_sign : c.sign, exp + 1,
                            product_wins ? product - addend : addend - product, rm, flags);
}

}  // namespace

template <typename F>
typename F::Bits fma(typename F::Bits a_bits, typename F::Bits b_bits, typename F::Bits c_bits, Round rm,
                     u32& flags) {
  const Unpacked a = unpack<F>(a_bits), b = unpack<F>(b_bits), c = unpack<F>(c_bits);
  if (a.finite() && b.finite() && c.finite()) return fma_finite<F>(a, b, c, rm, flags);
  if (a.signaling() || b.signaling() || c.signaling()) return invalid<F>(flags);
  if ((a.infinity() && b.zero()) || (a.zero() && b.infinity())) return invalid<F>(flags);
  if (a.nan() || b.nan() || c.nan()) return default_nan<F>();
  const bool product_sign = a.sign != b.sign;
  if (a.infinity() || b.infinity()) {
    if (c.infinity() && c.sign != product_sign) return invalid<F>(flags);
    return infinity<F>(product_sign);
  }
  if (c.infinity()) return c_bits;
  if (c.zero()) {
    if (a.finite() && b.finite()) return mul<F>(a_bits, b_bits, rm, flags);
    return product_sign == c.sign ? c_bits : cancelled<F>(rm);
  }
  return c_bits;  // the product is zero
}

template F16::Bits fma<F16>(F16::Bits, F16::Bits, F16::Bits, Round, u32& flags);
template F32::Bits fma<F32>(F32::Bits, F32::Bits, F32::Bits, Round, u32& flags);
template F64::Bits fma<F64>(F64::Bits, F64::Bits, F64::Bits, Round, u32& flags);

}  // namespace hindcast::fp
