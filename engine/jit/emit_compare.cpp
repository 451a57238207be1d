// Compares, and what takes its decision from one.
#include "engine/jit/emitter.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

x86::CondCode Emitter::emit_compare(Value v) {
  const ir::Inst& i = inst(v);
  const Type t = i.type;
  Value a = i.args[0], b = i.args[1];
  Op op = i.op;
  const bool imm_b = is_const(b) && fits_i32(const_of(b), t);
  u8 ra = use(a);
  if (imm_b && const_of(b) == 0 &&
      (op == Op::CmpEq || op == Op::CmpNe || op == Op::CmpLtS || op == Op::CmpGeS)) {
    a_.test(gp(ra, t), gp(ra, t));
  } else if (imm_b) {
    a_.cmp(gp(ra, t), imm_of(const_of(b)));
  } else {
    Operand ob = use_rm(b);
    a_.emit(x86::Inst::kIdCmp, gp(ra, t), ob);
  }
  consume_args(i);
  switch (op) {
    case Op::CmpEq: return x86::CondCode::kE;
    case Op::CmpNe: return x86::CondCode::kNE;
    case Op::CmpLtS: return x86::CondCode::kL;
    case Op::CmpLtU: return x86::CondCode::kB;
    case Op::CmpGeS: return x86::CondCode::kGE;
    default: return x86::CondCode::kAE;
  }
}

bool Emitter::fused_compare(Value cond, Value user) const {
  const ir::Inst& c = inst(cond);
  return c.op >= Op::CmpEq && c.op <= Op::CmpGeU && cond + 1 == user && uses_[cond] == 1 && !crosses_[cond] &&
         home_block_[cond] == home_block_[user] && inst(user).args[0] == cond &&
         (inst(user).op == Op::Branch || inst(user).op == Op::Select || inst(user).op == Op::ZExt);
}

void Emitter::emit_compare_value(Value v) {
  // A compare that only feeds the next instruction's branch, select or extension is emitted there, next to
  // its use.
  if (v + 1 < unit_->insts.size() && fused_compare(v, v + 1)) return;
  x86::CondCode cc = emit_compare(v);
  u8 d = alloc_gpr();
  a_.set(cc, x86::gpb_lo(d));
  a_.movzx(x86::gpd(d), x86::gpb_lo(d));
  define(v, d);
}

void Emitter::emit_test(Value cond) {
  u8 r = use(cond);
  a_.test(x86::gpd(r), 1);
}

void Emitter::emit_select(Value v) {
  const ir::Inst& i = inst(v);
  const Type t = wide(i.type) ? Type::I64 : Type::I32;
  const Value cond = i.args[0], yes = i.args[1], no = i.args[2];
  u8 d;
  if (fused_compare(cond, v)) {
    x86::CondCode cc = emit_compare(cond);
    // The compare's operands are done with; what follows only moves, and a move leaves the flags alone.
    unlock_all();
    d = alloc_gpr();
    load_to(d, no);
    Operand oy = use_rm(yes);
    a_.emit(x86::Inst::cmovccFromCond(cc), gp(d, t), oy);
    uses_[cond] = 0;
  } else {
    d = alloc_gpr();
    load_to(d, no);
    emit_test(cond);
    Operand oy = use_rm(yes);
    a_.emit(x86::Inst::kIdCmovnz, gp(d, t), oy);
    consume(cond);
  }
  consume(yes);
  consume(no);
  define(v, d);
}

}  // namespace hindcast::jit
