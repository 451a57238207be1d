#include "engine/jit/soft_fp.h"

#include "engine/ir/eval_fp.h"

namespace hindcast::jit {

extern "C" u64 hindcast_soft_fp(u64 packed, u64 a, u64 b, u64 c, u32* fp_flags, const ir::FpRules* rules) {
  const SoftOp op = SoftOp::unpack(packed);
  const ir::Inst inst{.op = op.op, .type = op.result, .flags = op.flags, .aux = static_cast<u32>(op.round)};
  return ir::eval_fp(inst, op.operand, op.round, *rules, a, b, c, *fp_flags);
}

}  // namespace hindcast::jit
