// The meaning of the Fp ops, by the soft-float library: the interpreter's floating point, and the JIT's
// wherever the host's is not provably the same.
#pragma once
#include "engine/ir/fp_rules.h"
#include "engine/ir/ir.h"

namespace hindcast::ir {

/// Value of an Fp op, held as eval.h describes; accrues into `flags`. `a_type`: the result type of operand a;
/// `dynamic`: what Round::Dynamic means here. Uses no host floating point.
u64 eval_fp(const Inst& inst, Type a_type, Round dynamic, const FpRules& rules, u64 a, u64 b, u64 c,
            u32& flags);

}  // namespace hindcast::ir
