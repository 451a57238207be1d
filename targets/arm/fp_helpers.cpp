// DDI 0403, the pseudocode functions FixedToFP, FPToFixed, FPRoundInt, and the conversions from and
// to half precision, in terms of the soft implementation.
#include "targets/arm/fp_helpers.h"

#include "engine/softfloat/fp.h"
#include "targets/arm/arm.h"

namespace hindcast::arm {
namespace {

using fp::F16;
using fp::F32;
using fp::F64;
using ir::Round;

Round current_rounding(const ArmState& s) {
  constexpr Round kModes[] = {Round::NearestEven, Round::Up, Round::Down, Round::TowardZero};
  return kModes[s.fpscr >> fpscr::kRmodeShift & 3];
}

template <typename F>
constexpr u64 sign_of = u64{1} << (F::kExpBits + F::kFracBits);
template <typename F>
constexpr u64 exp_of(u64 v) {
  return v >> F::kFracBits & ((u64{1} << F::kExpBits) - 1);
}

/// Subnormal operands count as zeros while FPSCR.FZ is set.
template <typename F>
u64 flushed(ArmState& s, u64 v) {
  if ((s.fpscr & fpscr::kFz) == 0 || exp_of<F>(v) != 0 || (v & ~sign_of<F>) == 0) return v;
  s.fp_flags |= fp::kInputDenormal;
  return v & sign_of<F>;
}

template <typename F>
u64 quiet(const ArmState& s, u64 nan) {
  if ((s.fpscr & fpscr::kDn) != 0) return fp::default_nan<F>();
  return nan | u64{1} << (F::kFracBits - 1);
}

/// `v` times 2^by, exactly, for results that are in range.
template <typename F>
u64 scaled(u64 v, int by, u32& flags) {
  // A power of two within every format's range, as often as needed.
  while (by != 0) {
    const int step = by > 16 ? 16 : by < -16 ? -16 : by;
    const u64 bias = (u64{1} << (F::kExpBits - 1)) - 1;
    const u64 factor = (bias + static_cast<u64>(i64{step})) << F::kFracBits;
    using Bits = typename F::Bits;
    v = fp::mul<F>(static_cast<Bits>(v), static_cast<Bits>(factor), Round::NearestEven, flags);
    by -= step;
  }
  return v;
}

template <typename F>
u64 from_fixed(ArmState& s, u64 a, unsigned fraction, unsigned size, bool is_signed) {
  const u64 raw = size == 16 ? a & 0xffff : a & 0xffffffff;
  const i64 value = !is_signed   ? static_cast<i64>(raw)
                    : size == 16 ? i64{static_cast<i16>(raw)}
                                 : i64{static_cast<i32>(raw)};
  // Rounding to nearest whatever the mode; the scaling is exact.
  const u64 whole = fp::from_i64<F>(value, Round::NearestEven, s.fp_flags);
  u32 none = 0;
  return scaled<F>(whole, -static_cast<int>(fraction), none);
}

template <typename F>
u64 to_fixed(ArmState& s, u64 v, unsigned fraction, unsigned size, bool is_signed) {
  v = flushed<F>(s, v);
  using Bits = typename F::Bits;
  if (fp::is_nan<F>(static_cast<Bits>(v))) {
    s.fp_flags |= fp::kInvalid;
    return 0;
  }
  // Scaling may overflow to infinity, which saturates like the number itself; its flags are not the result's.
  u32 none = 0;
  const u64 up = scaled<F>(v, static_cast<int>(fraction), none);
  u32 flags = 0;
  const i64 value = fp::to_i64<F>(static_cast<Bits>(up), Round::TowardZero, flags);
  const i64 most = is_signed ? (i64{1} << (size - 1)) - 1 : (i64{1} << size) - 1;
  const i64 least = is_signed ? -most - 1 : 0;
  const i64 result = value < least ? least : value > most ? most : value;
  s.fp_flags |= result != value ? u32{fp::kInvalid} : flags;
  // The whole register is written: of a 16-bit number the sign or zeros.
  return is_signed ? static_cast<u64>(result) : static_cast<u64>(result) & 0xffffffff;
}

template <typename F>
u64 round_integral(ArmState& s, u64 v, Round mode, bool tells_inexact) {
  using Bits = typename F::Bits;
  v = flushed<F>(s, v);
  if (fp::is_nan<F>(static_cast<Bits>(v))) {
    if (fp::is_signaling<F>(static_cast<Bits>(v))) s.fp_flags |= fp::kInvalid;
    return quiet<F>(s, v);
  }
  const u64 bias = (u64{1} << (F::kExpBits - 1)) - 1;
  if (exp_of<F>(v) >= bias + F::kFracBits) return v;  // an integer already, or infinite
  u32 flags = 0;
  const i64 whole = fp::to_i64<F>(static_cast<Bits>(v), mode, flags);
  u32 none = 0;
  const u64 result = fp::from_i64<F>(whole, Round::NearestEven, none);
  if (tells_inexact) s.fp_flags |= flags & fp::kInexact;
  return result | (v & sign_of<F>);  // zeros keep their sign
}

/// Alternative half precision (FPSCR.AHP) has neither infinities nor NaNs.
template <typename F>
u64 from_half(ArmState& s, u64 v) {
  const u16 h = static_cast<u16>(v);
  const u64 sign = (v >> 15 & 1) != 0 ? sign_of<F> : 0, fraction = (v & 0x3ff) << (F::kFracBits - 10);
  if (exp_of<F16>(h) == 31) {
    constexpr u64 kBias = (u64{1} << (F::kExpBits - 1)) - 1, kMost = (u64{1} << F::kExpBits) - 1;
    if ((s.fpscr & fpscr::kAhp) != 0) return sign | (kBias + 16) << F::kFracBits | fraction;
    if (fp::is_nan<F16>(h)) {
      if (fp::is_signaling<F16>(h)) s.fp_flags |= fp::kInvalid;
      return quiet<F>(s, sign | kMost << F::kFracBits | fraction);
    }
  }
  return fp::convert<F, F16>(h, Round::NearestEven, s.fp_flags);
}

/// As IEEE half precision; tininess is detected before rounding, and nothing is flushed.
template <typename F>
u64 narrowed(u64 v, Round mode, u32& flags) {
  using Bits = typename F::Bits;
  const u64 half = fp::convert<F16, F>(static_cast<Bits>(v), mode, flags);
  if ((half & 0x7fff) == 0x400) {
    u32 none = 0;
    const u64 cut = fp::convert<F16, F>(static_cast<Bits>(v), Round::TowardZero, none);
    if (exp_of<F16>(cut) == 0) flags |= fp::kUnderflow;
  }
  return half;
}

template <typename F>
u64 to_half(ArmState& s, u64 wide) {
  using Bits = typename F::Bits;
  const u64 v = flushed<F>(s, static_cast<Bits>(wide));
  const u64 sign = (v & sign_of<F>) != 0 ? 0x8000 : 0;
  const bool alternative = (s.fpscr & fpscr::kAhp) != 0;
  if (fp::is_nan<F>(static_cast<Bits>(v))) {
    if (alternative || fp::is_signaling<F>(static_cast<Bits>(v))) s.fp_flags |= fp::kInvalid;
    if (alternative) return sign;
    return quiet<F16>(s, sign | 0x7c00 | (v >> (F::kFracBits - 10) & 0x3ff));
  }
  if (!alternative) return narrowed<F>(v, current_rounding(s), s.fp_flags);
  if (exp_of<F>(v) == (u64{1} << F::kExpBits) - 1) {  // infinity
    s.fp_flags |= fp::kInvalid;
    return sign | 0x7fff;
  }
  // One more exponent: half the number as an ordinary half-precision one, where that is normal.
  u32 flags = 0;
  const u64 ordinary = narrowed<F>(v, current_rounding(s), flags);
  if ((flags & fp::kOverflow) == 0 && exp_of<F16>(ordinary) != 31) {
    s.fp_flags |= flags;
    return ordinary;
  }
  flags = 0;
  const u64 halved = v - (u64{1} << F::kFracBits);
  const u64 h = narrowed<F>(halved, current_rounding(s), flags);
  if ((flags & fp::kOverflow) != 0 || exp_of<F16>(h) == 31) {
    s.fp_flags |= fp::kInvalid;
    return sign | 0x7fff;
  }
  s.fp_flags |= flags;
  return h + 0x400;
}

ArmState& state_of(Vcpu& vcpu) { return vcpu.state<ArmState>(); }

}  // namespace

u64 from_fixed_helper(Vcpu& vcpu, u64 a, u64 how, u64) {
  const unsigned fraction = how & 0xff, size = how >> 8 & 0xff;
  const bool is_signed = (how >> 16 & 1) != 0;
  return (how >> 17 & 1) != 0 ? from_fixed<F64>(state_of(vcpu), a, fraction, size, is_signed)
                              : from_fixed<F32>(state_of(vcpu), a, fraction, size, is_signed);
}

u64 to_fixed_helper(Vcpu& vcpu, u64 a, u64 how, u64) {
  const unsigned fraction = how & 0xff, size = how >> 8 & 0xff;
  const bool is_signed = (how >> 16 & 1) != 0;
  return (how >> 17 & 1) != 0 ? to_fixed<F64>(state_of(vcpu), a, fraction, size, is_signed)
                              : to_fixed<F32>(state_of(vcpu), a, fraction, size, is_signed);
}

u64 round_integral_helper(Vcpu& vcpu, u64 a, u64 how, u64) {
  const Round mode = static_cast<Round>(how & 0xff);
  const bool tells = (how >> 8 & 1) != 0;
  return (how >> 9 & 1) != 0 ? round_integral<F64>(state_of(vcpu), a, mode, tells)
                             : round_integral<F32>(state_of(vcpu), a, mode, tells);
}

u64 half_helper(Vcpu& vcpu, u64 a, u64 how, u64) {
  ArmState& s = state_of(vcpu);
  const bool is_double = (how >> 1 & 1) != 0;
  if ((how & 1) != 0) return is_double ? to_half<F64>(s, a) : to_half<F32>(s, a);
  return is_double ? from_half<F64>(s, a) : from_half<F32>(s, a);
}

}  // namespace hindcast::arm
