// Single and dual loads and stores, exclusives.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {
namespace {

bool word_of_stack(const Emitter& e, Type type) {
  return e.o.n == kSp && type == Type::I32 && e.o.imm % 4 == 0;
}
Value register_address(Emitter& e) { return e.b.add(e.rn(), e.b.binary(Op::Shl, e.rm(), e.b.i32(e.o.imm))); }
/// The immediate offset with its sign.
Value offset(Emitter& e) { return e.b.i32(e.o.v ? e.o.imm : u32{0} - e.o.imm); }

template <Type type>
void store_imm(Emitter& e) {
  e.store(type, e.rn(), e.rt(), static_cast<i32>(e.o.imm), word_of_stack(e, type));
}
/// Emits access(), which is one as of unprivileged code. Where that has nothing to access, otherwise().
template <typename Fn, typename Else>
void unprivileged(Emitter& e, Type type, Value address, bool write, Fn access, Else otherwise) {
  if ((e.context() & context::kUnprivileged) != 0) return access();
  const bool aligned = (e.context() & context::kAlignTrap) != 0;
  const UnprivilegedAccess what{ir::bits_of(type) / 8, write, aligned};
  const Value allowed = e.b.call(helpers().check_unprivileged, e.wide(address), e.b.i64(what.packed()));
  const u32 make = e.b.new_block(), skip = e.b.new_block(), done = e.b.new_block();
  e.b.branch(e.b.compare(Op::CmpNe, allowed, e.b.i64(0)), make, skip);
  e.b.begin_block(make);
  access();
  e.b.jump(done);
  e.b.begin_block(skip);
  otherwise();
  e.b.jump(done);
  e.b.begin_block(done);
}
template <Type type>
void store_unprivileged(Emitter& e) {
  const Value address = e.b.add(e.rn(), e.imm());
  unprivileged(
      e, type, address, true, [&] { e.store(type, address, e.rt()); }, [] {});
}
template <Type type>
void store_negative(Emitter& e) {
  e.store(type, e.rn(), e.rt(), -static_cast<i32>(e.o.imm), word_of_stack(e, type));
}
template <Type type>
void store_writeback(Emitter& e) {
  const Value changed = e.b.add(e.rn(), offset(e));
  if (e.o.n == kSp) e.check_stack(e.o.v ? e.rn() : changed);
  e.store(type, e.o.p ? changed : e.rn(), e.rt(), 0, word_of_stack(e, type));
  e.set_r(e.o.n, changed);
}
template <Type type>
void store_reg(Emitter& e) {
  e.store(type, register_address(e), e.rt());
}

template <Type type, bool is_signed>
void load_imm(Emitter& e) {
  load_to_rt<type, is_signed>(e, e.b.add(e.rn(), e.imm()), word_of_stack(e, type));
}
template <Type type, bool is_signed>
void load_unprivileged(Emitter& e) {
  const Value address = e.b.add(e.rn(), e.imm());
  unprivileged(
      e, type, address, false, [&] { load_to_rt<type, is_signed>(e, address); },
      [&] { e.set_r(e.o.t, e.b.i32(0)); });
}
template <Type type, bool is_signed>
void load_negative(Emitter& e) {
  load_to_rt<type, is_signed>(e, e.b.sub(e.rn(), e.imm()), word_of_stack(e, type));
}
template <Type type, bool is_signed>
void load_writeback(Emitter& e) {
  const Value changed = e.b.add(e.rn(), offset(e));
  if (e.o.n == kSp) e.check_stack(e.o.v ? e.rn() : changed);
  const Value address = e.o.p ? changed : e.rn();
  const Value v = extended(e, e.load(type, address, 0, word_of_stack(e, type)), is_signed);
  e.set_r(e.o.n, changed);
  if (e.o.t == kPc) {
    e.bx_write_pc(v);
  } else {
    e.set_r(e.o.t, v);
  }
}
template <Type type, bool is_signed>
void load_reg(Emitter& e) {
  load_to_rt<type, is_signed>(e, register_address(e));
}
u32 literal_address(const Emitter& e) { return e.o.v ? e.aligned_pc() + e.o.imm : e.aligned_pc() - e.o.imm; }
template <Type type, bool is_signed>
void load_literal(Emitter& e) {
  load_to_rt<type, is_signed>(e, e.b.i32(literal_address(e)));
}

// Dual: two words, word-aligned in any case. Both are accessed before a register changes.
void load_two(Emitter& e, Value address) {
  const Value first = e.b.load(Type::I32, address, e.always_aligned());
  const Value second = e.load(Type::I32, address, 4, true);
  e.set_r(e.o.t, first);
  e.set_r(e.o.u, second);
}
template <bool indexed>
void load_dual(Emitter& e) {
  const Value changed = e.b.add(e.rn(), offset(e));
  if (e.o.n == kSp && (!indexed || e.o.w)) e.check_stack(e.o.v ? e.rn() : changed);
  const Value address = indexed ? changed : e.rn();
  const Value first = e.b.load(Type::I32, address, e.always_aligned());
  const Value second = e.load(Type::I32, address, 4, true);
  if (!indexed || e.o.w) e.set_r(e.o.n, changed);
  e.set_r(e.o.t, first);
  e.set_r(e.o.u, second);
}
void load_dual_literal(Emitter& e) { load_two(e, e.b.i32(literal_address(e))); }
template <bool indexed>
void store_dual(Emitter& e) {
  const Value changed = e.b.add(e.rn(), offset(e));
  if (e.o.n == kSp && (!indexed || e.o.w)) e.check_stack(e.o.v ? e.rn() : changed);
  const Value address = indexed ? changed : e.rn();
  const Value first = e.rt(), second = e.r(e.o.u);
  e.b.store(address, first, e.always_aligned());
  e.store(Type::I32, address, second, 4, true);
  if (!indexed || e.o.w) e.set_r(e.o.n, changed);
}

template <Type type>
void load_acquire(Emitter& e) {
  e.set_r(e.o.t, extended(e, e.b.load(type, e.rn(), e.always_aligned()), false));
}
template <Type type>
void store_release(Emitter& e) {
  e.b.store(e.rn(), e.b.trunc(type, e.rt()), e.always_aligned());
}
template <Type type>
void load_exclusive(Emitter& e) {
  const Value address = e.b.add(e.rn(), e.imm());
  const Value v = extended(e, e.b.load(type, address, e.always_aligned()), false);
  e.b.set(e.arch.exclusive_address_row(), address);
  e.b.set(e.arch.exclusive_row(), e.b.i32(1));
  e.set_r(e.o.t, v);
}

/// One core: the mark is there unless an exception came between, so it decides alone. A misaligned address
/// faults in any case.
template <Type type>
void store_exclusive(Emitter& e) {
  const Value address = e.b.add(e.rn(), e.imm());
  const Value value = e.b.trunc(type, e.rt());
  const Value marked = e.b.compare(Op::CmpNe, e.b.get(e.arch.exclusive_row()), e.b.i32(0));
  const Value same = e.b.compare(Op::CmpEq, e.b.get(e.arch.exclusive_address_row()), address);
  const Value passes = e.b.band(marked, same);
  const u32 store = e.b.new_block(), fail = e.b.new_block(), done = e.b.new_block(), bad = e.b.new_block();
  e.b.branch(passes, store, fail);
  e.b.begin_block(store);
  e.b.store(address, value, e.always_aligned());
  e.b.jump(done);
  e.b.begin_block(fail);
  const Value low_bits = e.b.band(address, e.b.i32(ir::bits_of(type) / 8 - 1));
  e.b.branch(e.b.compare(Op::CmpEq, low_bits, e.b.i32(0)), done, bad);
  e.b.begin_block(bad);
  e.raise(helpers().unaligned);
  e.ended = false;
  e.b.begin_block(done);
  e.b.set(e.arch.exclusive_row(), e.b.i32(0));
  e.set_rd(e.b.bxor(e.b.zext(Type::I32, passes), e.b.i32(1)));
}
void clrex(Emitter& e) { e.b.set(e.arch.exclusive_row(), e.b.i32(0)); }

}  // namespace

std::span<const InsnRow> rows_memory() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_memory.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
