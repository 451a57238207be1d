#include "targets/arm/half.h"

#include "engine/softfloat/fp.h"
#include "targets/arm/arm.h"
#include "targets/arm/flags.h"

namespace hindcast::arm {
namespace {

using fp::F16;
using fp::F64;
using ir::Round;

constexpr u16 kSign = 0x8000, kExponent = 0x7c00, kFraction = 0x3ff, kQuiet = 0x200;

bool nan(u16 v) { return fp::is_nan<F16>(v); }
bool signaling(u16 v) { return fp::is_signaling<F16>(v); }
bool infinite(u16 v) { return (v & ~kSign) == kExponent; }
bool zero(u16 v) { return (v & ~kSign) == 0; }
bool flushes(const ArmState& s) { return (s.fpscr & fpscr::kFz16) != 0; }

/// FPSCR.FZ16 takes subnormal operands for zeros, and tells nobody.
u16 unpacked(const ArmState& s, u16 v) {
  return flushes(s) && (v & kExponent) == 0 ? static_cast<u16>(v & kSign) : v;
}
u16 quieted(ArmState& s, u16 v) {
  if (signaling(v)) s.fp_flags |= fp::kInvalid;
  return (s.fpscr & fpscr::kDn) != 0 ? fp::default_nan<F16>() : static_cast<u16>(v | kQuiet);
}
/// The NaN that an operation with these operands, in this order, results in. False: none is a NaN.
bool result_nan(ArmState& s, std::initializer_list<u16> operands, u16* result) {
  for (const bool first_signaling : {true, false})
    for (const u16 v : operands)
      if (first_signaling ? signaling(v) : nan(v)) {
        *result = quieted(s, v);
        return true;
      }
  return false;
}

/// The result of op(rounding, flags). Tininess is detected before rounding.
template <typename Fn>
u16 rounded(ArmState& s, Round round, Fn op) {
  u32 flags = 0, cut_flags = 0;
  const u16 result = op(round, flags);
  if (nan(result)) {
    s.fp_flags |= flags;
    return fp::default_nan<F16>();
  }
  if ((result & ~kSign) <= (kExponent & -kExponent)) {
    const u16 cut = op(Round::TowardZero, cut_flags);
    const bool inexact = (cut_flags & fp::kInexact) != 0;
    const bool tiny = (cut & kExponent) == 0 && ((cut & kFraction) != 0 || inexact);
    if (tiny && flushes(s)) {
      s.fp_flags |= fp::kUnderflow;
      return result & kSign;
    }
    if (tiny && inexact) flags |= fp::kUnderflow;
  }
  s.fp_flags |= flags;
  return result;
}

template <typename Fn>
u16 two_operands(ArmState& s, Round round, u16 a, u16 b, Fn op) {
  u16 result = 0;
  if (result_nan(s, {a, b}, &result)) return result;
  return rounded(s, round, [&](Round rm, u32& flags) { return op(a, b, rm, flags); });
}
u16 product(ArmState& s, Round round, u16 a, u16 b) { return two_operands(s, round, a, b, fp::mul<F16>); }

u16 fused(ArmState& s, Round round, u16 a, u16 b, u16 addend) {
  const bool invalid = (infinite(a) && zero(b)) || (zero(a) && infinite(b));
  if (invalid && nan(addend) && !signaling(addend) && !nan(a) && !nan(b)) {
    s.fp_flags |= fp::kInvalid;
    return fp::default_nan<F16>();
  }
  u16 result = 0;
  if (result_nan(s, {addend, a, b}, &result)) return result;
  return rounded(s, round, [&](Round rm, u32& flags) { return fp::fma<F16>(a, b, addend, rm, flags); });
}

/// A quiet NaN gives way to a number.
u16 extreme(ArmState& s, bool largest, u16 a, u16 b) {
  u16 result = 0;
  const bool one_quiet = nan(a) != nan(b) && !signaling(a) && !signaling(b);
  if (one_quiet) return nan(a) ? b : a;
  if (result_nan(s, {a, b}, &result)) return result;
  u32 none = 0;
  return largest ? fp::max<F16>(a, b, none) : fp::min<F16>(a, b, none);
}

u32 compare(ArmState& s, bool signals, u16 a, u16 b) {
  if (nan(a) || nan(b)) {
    if (signals || signaling(a) || signaling(b)) s.fp_flags |= fp::kInvalid;
    return kC | kV;
  }
  u32 none = 0;
  if (fp::eq<F16>(a, b, none)) return kZ | kC;
  return fp::lt<F16>(a, b, none) ? kN : kC;
}

u64 widened(u16 v) {
  u32 none = 0;
  return fp::convert<F64, F16>(v, Round::NearestEven, none);
}
/// 2^by as a double.
u64 power(int by) { return static_cast<u64>(1023 + by) << F64::kFracBits; }

/// To an integer after scaling by 2^fraction, saturated.
u64 to_integer(ArmState& s, u16 v, Round round, unsigned fraction, unsigned size, bool is_signed) {
  if (nan(v)) {
    s.fp_flags |= fp::kInvalid;
    return 0;
  }
  u32 none = 0, flags = 0;
  const u64 scaled = fp::mul<F64>(widened(v), power(static_cast<int>(fraction)), Round::NearestEven, none);
  const i64 value = fp::to_i64<F64>(scaled, round, flags);
  const i64 most = is_signed ? (i64{1} << (size - 1)) - 1 : (i64{1} << size) - 1;
  const i64 least = is_signed ? -most - 1 : 0;
  const i64 result = value < least ? least : value > most ? most : value;
  s.fp_flags |= result != value ? u32{fp::kInvalid} : flags;
  return static_cast<u32>(result);
}
u16 from_integer(ArmState& s, i64 value, Round round, unsigned fraction) {
  u32 none = 0;
  const u64 whole = fp::from_i64<F64>(value, Round::NearestEven, none);
  const u64 scaled = fp::mul<F64>(whole, power(-static_cast<int>(fraction)), Round::NearestEven, none);
  return rounded(s, round, [&](Round rm, u32& flags) { return fp::convert<F16, F64>(scaled, rm, flags); });
}

u16 integral(ArmState& s, u16 v, Round round, bool tells) {
  u16 result = 0;
  if (result_nan(s, {v}, &result)) return result;
  if (infinite(v)) return v;
  u32 flags = 0, none = 0;
  const i64 whole = fp::to_i64<F64>(widened(v), round, flags);
  if (tells) s.fp_flags |= flags & fp::kInexact;
  return static_cast<u16>(fp::from_i64<F16>(whole, Round::NearestEven, none) | (v & kSign));
}

i64 fixed_value(u64 bits, unsigned size, bool is_signed) {
  if (size == 16) return is_signed ? i64{static_cast<i16>(bits)} : i64{static_cast<u16>(bits)};
  return is_signed ? i64{static_cast<i32>(bits)} : i64{static_cast<u32>(bits)};
}

}  // namespace

u64 half_arith_helper(Vcpu& vcpu, u64 operands, u64 control, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const auto op = static_cast<HalfOp>(control & 0xff);
  const u32 flags = control >> 8 & 0xff;
  const Round round = static_cast<Round>(control >> 16 & 0xff);
  const unsigned size = control >> 24 & 0xff, fraction = control >> 32 & 0xff;
  const u16 a = unpacked(s, static_cast<u16>(operands)), b = unpacked(s, static_cast<u16>(operands >> 32));
  u16 addend = unpacked(s, static_cast<u16>(operands >> 48));
  const u16 product_sign = (flags & 1) != 0 ? kSign : 0;
  if ((flags & 2) != 0) addend ^= kSign;
  switch (op) {
    case HalfOp::Add: return two_operands(s, round, a, b, fp::add<F16>);
    case HalfOp::Sub: return two_operands(s, round, a, b, fp::sub<F16>);
    case HalfOp::Mul: return product(s, round, a, b);
    case HalfOp::NegatedMul: return product(s, round, a, b) ^ kSign;
    case HalfOp::Div: return two_operands(s, round, a, b, fp::div<F16>);
    case HalfOp::Sqrt:
      return two_operands(s, round, a, 0,
                          [](u16 v, u16, Round rm, u32& f) { return fp::sqrt<F16>(v, rm, f); });
    case HalfOp::MulThenAdd: {
      const u16 p = unpacked(s, product(s, round, a, b) ^ product_sign);
      return two_operands(s, round, addend, p, fp::add<F16>);
    }
    case HalfOp::Fused: return fused(s, round, a ^ product_sign, b, addend);
    case HalfOp::Max: return extreme(s, true, a, b);
    case HalfOp::Min: return extreme(s, false, a, b);
    case HalfOp::Compare: return compare(s, flags != 0, a, b);
    case HalfOp::Round:
    case HalfOp::RoundExact: return integral(s, a, round, op == HalfOp::RoundExact);
    case HalfOp::ToSigned: return to_integer(s, a, round, 0, 32, true);
    case HalfOp::ToUnsigned: return to_integer(s, a, round, 0, 32, false);
    case HalfOp::FromSigned: return from_integer(s, fixed_value(operands, 32, true), round, 0);
    case HalfOp::FromUnsigned: return from_integer(s, fixed_value(operands, 32, false), round, 0);
    case HalfOp::ToFixed: return to_integer(s, a, Round::TowardZero, fraction, size, flags != 0);
    case HalfOp::FromFixed:
      return from_integer(s, fixed_value(operands, size, flags != 0), Round::NearestEven, fraction);
  }
  return 0;
}

}  // namespace hindcast::arm
