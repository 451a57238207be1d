// Half-precision arithmetic, too rare for IR: one helper, in integers.
#pragma once
#include "engine/vcpu.h"

namespace hindcast::arm {

enum class HalfOp : u8 {
  Add,
  Sub,
  Mul,
  NegatedMul,
  Div,
  Sqrt,
  MulThenAdd,  // two roundings; flags as for Fused
  Fused,       // flag 1 negates the product, 2 the addend
  Max,
  Min,
  Compare,  // N Z C V; flag 1: all NaNs are signalled
  Round,
  RoundExact,  // to integral values; RoundExact tells inexactness
  ToSigned,
  ToUnsigned,
  FromSigned,
  FromUnsigned,  // 32 bits
  ToFixed,
  FromFixed,  // flag 1: signed
};

/// How the helper's operands are packed. `round`: an ir::Round, not Dynamic.
constexpr u64 half_control(HalfOp op, u32 flags, u32 round, u32 size = 0, u32 fraction = 0) {
  return u64{static_cast<u8>(op)} | u64{flags} << 8 | u64{round} << 16 | u64{size} << 24 |
         u64{fraction} << 32;
}
/// a: the first operand, or an integer; the second from bit 32, the third (the addend) from bit 48.
u64 half_arith_helper(Vcpu& vcpu, u64 operands, u64 control, u64);

}  // namespace hindcast::arm
