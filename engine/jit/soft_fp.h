// Floating-point operations that the host cannot do exactly, done in integers from translated code.
#pragma once
#include "engine/ir/ir.h"
#include "engine/types.h"

namespace hindcast::jit {

/// Everything but the operands, packed so that translated code passes it in one register.
struct SoftOp {
  ir::Op op;
  ir::Type result;  // FToS/FToU: I32/I64; compares are not here
  ir::Type operand;
  ir::Round round;
  u8 flags;
  u64 pack() const {
    return static_cast<u64>(op) | static_cast<u64>(result) << 8 | static_cast<u64>(operand) << 16 |
           static_cast<u64>(round) << 24 | u64{flags} << 32;
  }
};

/// Operands and result as bit patterns; flags accrue into *fp_flags. Uses no host floating point.
extern "C" u64 hindcast_soft_fp(u64 op, u64 a, u64 b, u64 c, u32* fp_flags);

}  // namespace hindcast::jit
