// The meaning of the Fp ops, by the soft-float library.
#pragma once
#include "engine/ir/ir.h"

namespace hindcast::ir {

/// Value of an Fp op, held as eval.h describes; accrues into `flags`. `a_type`: the result type of operand a;
/// `dynamic`: what Round::Dynamic means here.
u64 eval_fp(const Inst& inst, Type a_type, Round dynamic, u64 a, u64 b, u64 c, u32& flags);

}  // namespace hindcast::ir
