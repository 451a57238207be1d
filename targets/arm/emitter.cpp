#include "targets/arm/emitter.h"

namespace hindcast::arm {

void Emitter::set_r(unsigned n, Value v) {
  if (n == kPc) return branch_write_pc(v);
  set_aligned(n, n == kSp ? b.band(v, b.i32(~u32{3})) : v);
}

void Emitter::set_aligned(unsigned n, Value v) {
  if (predicate != ir::kNoValue) v = b.select(predicate, v, r(n));
  b.set(arch.r_row(n), v);
}

void Emitter::check_stack(Value sp) {
  if ((context() & context::kStackLimit) == 0) return;
  const u32 below = b.new_block(), within = b.new_block();
  Value is_below = b.compare(Op::CmpLtU, sp, b.get(arch.stack_limit_row()));
  if (predicate != ir::kNoValue) is_below = b.band(is_below, predicate);
  b.branch(is_below, below, within);
  b.begin_block(below);
  raise(helpers().stack_limit);
  ended = false;
  b.begin_block(within);
}

void Emitter::leave_insn() {
  if (it == 0) return;
  const u64 following = (it & 7) == 0 ? 0 : (it & 0xe0) | (it << 1 & 0x1f);
  b.set(arch.it_row(), b.i32(following));
  b.set_context((b.context() & ~context::kIt) | following);
}

void Emitter::branch(u32 target) {
  leave_insn();
  b.goto_pc(target);
  ended = true;
}

void Emitter::branch_write_pc(Value target) {
  leave_insn();
  b.jump_indirect(b.band(target, b.i32(~u32{1})));
  ended = true;
}

void Emitter::bx_write_pc(Value target) {
  // The lowest value that returns: from an exception, or to Secure code from a function (FNC_RETURN).
  const bool handler = (context() & context::kHandler) != 0, security = arch.has(ext::Sec);
  u32 lowest = 0xf0000000;
  if (arch.has(ext::V8)) lowest = 0xff000000;
  if (security) lowest = 0xfefffffe;
  if (handler || security) {
    const u32 returns = b.new_block(), branches = b.new_block();
    Value does_return = b.compare(Op::CmpGeU, target, b.i32(lowest));
    if (!handler) does_return = b.compare(Op::CmpEq, b.bor(target, b.i32(1)), b.i32(lowest | 1));
    b.branch(does_return, returns, branches);
    b.begin_block(returns);
    leave_insn();
    b.set(arch.exc_return_row(), target);
    b.exit_dispatch(wide(b.band(target, b.i32(~u32{1}))));
    b.begin_block(branches);
  }
  exchange(target);
}

void Emitter::exchange(Value target) {
  leave_insn();
  const Value even = b.band(target, b.i32(~u32{1}));
  const u32 thumb = b.new_block(), arm = b.new_block();
  b.branch(b.compare(Op::CmpNe, even, target), thumb, arm);
  b.begin_block(thumb);
  b.jump_indirect(even);
  b.begin_block(arm);
  b.set(arch.thumb_row(), b.i32(0));
  b.exit_dispatch(wide(even));
  ended = true;
}

void Emitter::dispatch_next() {
  leave_insn();
  b.exit_dispatch(b.i64(next));
  ended = true;
}

void Emitter::raise(u32 helper, Value a) {
  b.call(helper, a);
  b.exit_dispatch(b.i64(pc));  // never reached: the helper raises
  ended = true;
}

MemAttr Emitter::always_aligned(i32 offset) const {
  MemAttr attr;
  attr.offset = offset;
  attr.must_align = true;
  return attr;
}

Value Emitter::load(Type type, Value address, i32 offset, bool aligned) {
  MemAttr attr;
  attr.offset = offset;
  attr.must_align = !aligned && (context() & context::kAlignTrap) != 0;
  return b.load(type, address, attr);
}

void Emitter::store(Type type, Value address, Value value, i32 offset, bool aligned) {
  MemAttr attr;
  attr.offset = offset;
  attr.must_align = !aligned && (context() & context::kAlignTrap) != 0;
  if (b.type(value) != type) value = b.trunc(type, value);
  b.store(address, value, attr);
}

}  // namespace hindcast::arm
