#include "engine/jit/soft_fp.h"

#include "engine/softfloat/fp.h"

namespace hindcast::jit {
namespace {

using ir::Op;
using ir::Round;
using ir::Type;

template <typename F>
u64 arith(Op op, u8 neg, Round rm, u64 a64, u64 b64, u64 c64, u32& fl) {
  using B = typename F::Bits;
  const B a = static_cast<B>(a64), b = static_cast<B>(b64), c = static_cast<B>(c64);
  const B sign = static_cast<B>(B{1} << (sizeof(B) * 8 - 1));
  switch (op) {
    case Op::FAdd: return fp::add<F>(a, b, rm, fl);
    case Op::FSub: return fp::sub<F>(a, b, rm, fl);
    case Op::FMul: return fp::mul<F>(a, b, rm, fl);
    case Op::FDiv: return fp::div<F>(a, b, rm, fl);
    case Op::FSqrt: return fp::sqrt<F>(a, rm, fl);
    case Op::FMulAdd:
      return fp::fma<F>(static_cast<B>((neg & 1) != 0 ? a ^ sign : a), b,
                        static_cast<B>((neg & 2) != 0 ? c ^ sign : c), rm, fl);
    case Op::FMin: return fp::min<F>(a, b, fl);
    case Op::FMax: return fp::max<F>(a, b, fl);
    default: return 0;
  }
}

template <typename F>
u64 to_int(Op op, bool wide, Round rm, u64 a64, u32& fl) {
  const auto a = static_cast<typename F::Bits>(a64);
  if (op == Op::FToS)
    return wide ? static_cast<u64>(fp::to_i64<F>(a, rm, fl)) : static_cast<u32>(fp::to_i32<F>(a, rm, fl));
  return wide ? fp::to_u64<F>(a, rm, fl) : fp::to_u32<F>(a, rm, fl);
}

template <typename F>
u64 from_int(Op op, bool wide, Round rm, u64 a, u32& fl) {
  if (op == Op::SToF)
    return fp::from_i64<F>(wide ? static_cast<i64>(a) : static_cast<i32>(static_cast<u32>(a)), rm, fl);
  return fp::from_u64<F>(wide ? a : static_cast<u32>(a), rm, fl);
}

}  // namespace

extern "C" u64 hindcast_soft_fp(u64 packed, u64 a, u64 b, u64 c, u32* fp_flags) {
  const auto op = static_cast<Op>(packed & 0xff);
  const auto result = static_cast<Type>(packed >> 8 & 0xff), operand = static_cast<Type>(packed >> 16 & 0xff);
  const auto rm = static_cast<Round>(packed >> 24 & 0xff);
  u32 fl = 0;
  u64 r = 0;
  switch (op) {
    case Op::FConvert:
      r = operand == Type::F32 ? fp::convert<fp::F64, fp::F32>(static_cast<u32>(a), rm, fl)
                               : u64{fp::convert<fp::F32, fp::F64>(a, rm, fl)};
      break;
    case Op::FToS:
    case Op::FToU:
      r = operand == Type::F64 ? to_int<fp::F64>(op, result == Type::I64, rm, a, fl)
                               : to_int<fp::F32>(op, result == Type::I64, rm, a, fl);
      break;
    case Op::SToF:
    case Op::UToF:
      r = result == Type::F64 ? from_int<fp::F64>(op, operand == Type::I64, rm, a, fl)
                              : from_int<fp::F32>(op, operand == Type::I64, rm, a, fl);
      break;
    default:
      r = result == Type::F64 ? arith<fp::F64>(op, static_cast<u8>(packed >> 32), rm, a, b, c, fl)
                              : arith<fp::F32>(op, static_cast<u8>(packed >> 32), rm, a, b, c, fl);
      break;
  }
  *fp_flags |= fl;
  return r;
}

}  // namespace hindcast::jit
