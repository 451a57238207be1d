// Floating-point operations that the host cannot do exactly, done in integers from translated code.
#pragma once
#include "engine/ir/fp_rules.h"
#include "engine/ir/ir.h"

namespace hindcast::jit {

/// An op without its operands, packed so that translated code passes it in one register.
struct SoftOp {
  ir::Op op;
  ir::Type result;
  ir::Type operand;  // the first one's
  ir::Round round;
  u8 flags;
  u64 pack() const {
    return static_cast<u64>(op) | static_cast<u64>(result) << 8 | static_cast<u64>(operand) << 16 |
           static_cast<u64>(round) << 24 | u64{flags} << 32;
  }
  static SoftOp unpack(u64 v) {
    return {static_cast<ir::Op>(v & 0xff), static_cast<ir::Type>(v >> 8 & 0xff),
            static_cast<ir::Type>(v >> 16 & 0xff), static_cast<ir::Round>(v >> 24 & 0xff),
            static_cast<u8>(v >> 32)};
  }
};

/// ir::eval_fp() of a packed op: operands and result as bit patterns; flags accrue into *fp_flags.
extern "C" u64 hindcast_soft_fp(u64 op, u64 a, u64 b, u64 c, u32* fp_flags, const ir::FpRules* rules);

}  // namespace hindcast::jit
