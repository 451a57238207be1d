#include "engine/ir/eval_fp.h"

#include "engine/softfloat/fp.h"

namespace hindcast::ir {

namespace {

template <typename F>
u64 eval_format(const Inst& inst, Round rm, u64 wide_a, u64 wide_b, u64 wide_c, u32& flags) {
  using Bits = typename F::Bits;
  constexpr Bits kSign = Bits{1} << (F::kExpBits + F::kFracBits);
  Bits a = static_cast<Bits>(wide_a);
  const Bits b = static_cast<Bits>(wide_b);
  Bits c = static_cast<Bits>(wide_c);
  switch (inst.op) {
    case Op::FAdd: return fp::add<F>(a, b, rm, flags);
    case Op::FSub: return fp::sub<F>(a, b, rm, flags);
    case Op::FMul: return fp::mul<F>(a, b, rm, flags);
    case Op::FDiv: return fp::div<F>(a, b, rm, flags);
    case Op::FSqrt: return fp::sqrt<F>(a, rm, flags);
    case Op::FMulAdd:
      if ((inst.flags & 1) != 0) a ^= kSign;
      if ((inst.flags & 2) != 0) c ^= kSign;
      return fp::fma<F>(a, b, c, rm, flags);
    case Op::FMin: return fp::min<F>(a, b, flags);
    case Op::FMax: return fp::max<F>(a, b, flags);
    case Op::FCmpEq: return fp::eq<F>(a, b, flags);
    case Op::FCmpLt: return fp::lt<F>(a, b, flags);
    case Op::FCmpLe: return fp::le<F>(a, b, flags);
    default: return 0;
  }
}

template <typename F>
u64 to_integer(const Inst& inst, Round rm, u64 wide_a, u32& flags) {
  const auto a = static_cast<typename F::Bits>(wide_a);
  const bool wide = inst.type == Type::I64;
  if (inst.op == Op::FToS) {
    return wide ? static_cast<u64>(fp::to_i64<F>(a, rm, flags))
                : static_cast<u32>(fp::to_i32<F>(a, rm, flags));
  }
  return wide ? fp::to_u64<F>(a, rm, flags) : fp::to_u32<F>(a, rm, flags);
}

template <typename F>
u64 from_integer(const Inst& inst, Type from, Round rm, u64 a, u32& flags) {
  if (inst.op == Op::UToF) return fp::from_u64<F>(a, rm, flags);
  return fp::from_i64<F>(from == Type::I32 ? static_cast<i32>(a) : static_cast<i64>(a), rm, flags);
}

}  // namespace

u64 eval_fp(const Inst& inst, Type a_type, Round dynamic, u64 a, u64 b, u64 c, u32& flags) {
  Round rm = static_cast<Round>(inst.aux);
  if (rm == Round::Dynamic) rm = dynamic;
  const bool single = inst.type == Type::F32;
  switch (inst.op) {
    case Op::FConvert:
      return single ? u64{fp::convert<fp::F32, fp::F64>(a, rm, flags)}
                    : fp::convert<fp::F64, fp::F32>(static_cast<u32>(a), rm, flags);
    case Op::FToS:
    case Op::FToU:
      return a_type == Type::F32 ? to_integer<fp::F32>(inst, rm, a, flags)
                                 : to_integer<fp::F64>(inst, rm, a, flags);
    case Op::SToF:
    case Op::UToF:
      return single ? from_integer<fp::F32>(inst, a_type, rm, a, flags)
                    : from_integer<fp::F64>(inst, a_type, rm, a, flags);
    default:
      return single ? eval_format<fp::F32>(inst, rm, a, b, c, flags)
                    : eval_format<fp::F64>(inst, rm, a, b, c, flags);
  }
}

}  // namespace hindcast::ir
