#include "targets/riscv/half.h"

#include "engine/softfloat/fp.h"

namespace hindcast::riscv {
namespace {

using fp::F16, fp::F32, fp::F64, fp::Round;

u64 sign_extended(u32 value) { return static_cast<u64>(i64{static_cast<i32>(value)}); }

/// a * b + c with the signs of the product and of c inverted as asked.
u16 fused(u16 a, u16 b, u16 c, bool negate_product, bool negate_addend, Round round, u32& flags) {
  constexpr u16 kSign = 0x8000;
  return fp::fma<F16>(negate_product ? a ^ kSign : a, b, negate_addend ? c ^ kSign : c, round, flags);
}

u64 evaluate(HalfOp op, u64 wide_a, u16 b, u16 c, Round round, u32& flags) {
  const u16 a = static_cast<u16>(wide_a);
  switch (op) {
    case HalfOp::Add: return fp::add<F16>(a, b, round, flags);
    case HalfOp::Sub: return fp::sub<F16>(a, b, round, flags);
    case HalfOp::Mul: return fp::mul<F16>(a, b, round, flags);
    case HalfOp::Div: return fp::div<F16>(a, b, round, flags);
    case HalfOp::Sqrt: return fp::sqrt<F16>(a, round, flags);
    case HalfOp::Min: return fp::min<F16>(a, b, flags);
    case HalfOp::Max: return fp::max<F16>(a, b, flags);
    case HalfOp::Eq: return fp::eq<F16>(a, b, flags) ? 1 : 0;
    case HalfOp::Lt: return fp::lt<F16>(a, b, flags) ? 1 : 0;
    case HalfOp::Le: return fp::le<F16>(a, b, flags) ? 1 : 0;
    case HalfOp::MulAdd: return fused(a, b, c, false, false, round, flags);
    case HalfOp::MulSub: return fused(a, b, c, false, true, round, flags);
    case HalfOp::NegMulSub: return fused(a, b, c, true, false, round, flags);
    case HalfOp::NegMulAdd: return fused(a, b, c, true, true, round, flags);
    case HalfOp::ToI32: return sign_extended(static_cast<u32>(fp::to_i32<F16>(a, round, flags)));
    case HalfOp::ToU32: return sign_extended(fp::to_u32<F16>(a, round, flags));
    case HalfOp::ToI64: return static_cast<u64>(fp::to_i64<F16>(a, round, flags));
    case HalfOp::ToU64: return fp::to_u64<F16>(a, round, flags);
    case HalfOp::FromI32: return fp::from_i64<F16>(static_cast<i32>(wide_a), round, flags);
    case HalfOp::FromU32: return fp::from_u64<F16>(static_cast<u32>(wide_a), round, flags);
    case HalfOp::FromI64: return fp::from_i64<F16>(static_cast<i64>(wide_a), round, flags);
    case HalfOp::FromU64: return fp::from_u64<F16>(wide_a, round, flags);
    case HalfOp::ToSingle: return fp::convert<F32, F16>(a, round, flags);
    case HalfOp::ToDouble: return fp::convert<F64, F16>(a, round, flags);
    case HalfOp::FromSingle: return fp::convert<F16, F32>(static_cast<u32>(wide_a), round, flags);
    case HalfOp::FromDouble: return fp::convert<F16, F64>(wide_a, round, flags);
  }
  return 0;
}

}  // namespace

u64 half_helper(Vcpu& vcpu, u64 a, u64 b, u64 control) {
  return evaluate(static_cast<HalfOp>(control & 0xff), a, static_cast<u16>(b),
                  static_cast<u16>(control >> kHalfThirdShift), static_cast<Round>(control >> 8 & 7),
                  vcpu.header().fp_flags);
}

}  // namespace hindcast::riscv
