#include "targets/riscv/emitter.h"

namespace hindcast::riscv {

void Emitter::jump(GuestAddr target) {
  if (misaligned(target)) {
    raise(helpers().fetch_misaligned, b.i64(target));
    return;
  }
  set_rd(b.konst(xt, next));
  b.goto_pc(target);
  ended = true;
}

void Emitter::jump(Value target) {
  const Value even = b.band(target, b.konst(xt, ~u64{1}));
  if (arch.insn_alignment() == 4) {
    const u32 bad = b.new_block(), good = b.new_block();
    const Value bit1 = b.band(even, b.konst(xt, 2));
    b.branch(b.compare(Op::CmpNe, bit1, b.konst(xt, 0)), bad, good);
    b.begin_block(bad);
    raise(helpers().fetch_misaligned, wide(even));
    b.begin_block(good);
  }
  set_rd(b.konst(xt, next));
  b.jump_indirect(wide(even));
  ended = true;
}

void Emitter::branch(Value condition, GuestAddr target) {
  ended = true;
  if (!misaligned(target)) {
    b.branch_pc(condition, target, next);
    return;
  }
  const u32 bad = b.new_block(), good = b.new_block();
  b.branch(condition, bad, good);
  b.begin_block(bad);
  raise(helpers().fetch_misaligned, b.i64(target));
  b.begin_block(good);
  b.goto_pc(next);
}

void Emitter::illegal() { raise(helpers().illegal, b.i64(o.bits)); }

void Emitter::raise(u32 helper, Value a) {
  b.call(helper, a);
  dispatch(b.i64(pc));  // never reached: the helper raises
}

}  // namespace hindcast::riscv
