// Half-precision arithmetic: too rare for IR ops, so one helper does it in integers.
#pragma once
#include "engine/vcpu.h"

namespace hindcast::riscv {

enum class HalfOp : u8 {
  Add,
  Sub,
  Mul,
  Div,
  Sqrt,
  Min,
  Max,
  Eq,
  Lt,
  Le,
  MulAdd,
  MulSub,
  NegMulSub,
  NegMulAdd,  // as the manual's fmadd, fmsub, fnmsub, fnmadd
  ToI32,
  ToU32,
  ToI64,
  ToU64,
  FromI32,
  FromU32,
  FromI64,
  FromU64,
  ToSingle,
  ToDouble,
  FromSingle,
  FromDouble,
};

/// The third operand of the helper: what to do, in which rounding mode (0 to 4), and a third 16-bit operand.
constexpr u64 half_control(HalfOp op, unsigned round) { return static_cast<u64>(op) | u64{round} << 8; }
inline constexpr unsigned kHalfThirdShift = 16;

/// Accrues exception flags. Narrow operands and results are bit patterns in the low bits; integers are
/// 64-bit, 32-bit results sign-extended.
u64 half_helper(Vcpu& vcpu, u64 a, u64 b, u64 control);

}  // namespace hindcast::riscv
