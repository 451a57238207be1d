#include "targets/riscv/chapters.h"
#include "targets/riscv/emit_int.h"

namespace hindcast::riscv {
namespace {

/// An AMO reads with a store's permissions, so that nothing can fail between its read and its write.
MemAttr amo_read() {
  MemAttr attr;
  attr.must_align = true;
  attr.store_intent = true;
  return attr;
}
MemAttr aligned() {
  MemAttr attr;
  attr.must_align = true;
  return attr;
}

/// `change` makes the new memory value of the old one and rs2.
template <Type type, typename Change>
void read_modify_write(Emitter& e, Change change) {
  const Value address = e.rs1();
  const Value operand = e.low(type, e.rs2());
  const Value old = e.b.load(type, address, amo_read());
  e.b.store(address, change(old, operand), aligned());
  e.set_rd(e.sext(old));
}

template <Type type>
void amo_swap(Emitter& e) {
  read_modify_write<type>(e, [](Value, Value operand) { return operand; });
}
template <Op op, Type type>
void amo(Emitter& e) {
  read_modify_write<type>(e, [&](Value old, Value operand) { return e.b.binary(op, old, operand); });
}
template <Op compare, Type type>
void amo_pick(Emitter& e) {
  read_modify_write<type>(e, [&](Value old, Value operand) {
    return e.b.select(e.b.compare(compare, old, operand), old, operand);
  });
}

/// Compares memory with rd, and stores rs2 there if they are equal. Where they are not the old value is
/// stored, which nobody can tell from nothing: others run only in their own turns.
template <Type type>
void amo_cas(Emitter& e) {
  const Value expected = e.low(type, e.x(e.o.rd));
  read_modify_write<type>(e, [&](Value old, Value operand) {
    return e.b.select(e.b.compare(Op::CmpEq, old, expected), operand, old);
  });
}

/// A half of a register pair. The pair of x0 is zero.
Value of_pair(Emitter& e, unsigned first, unsigned half) {
  return first == 0 ? e.b.konst(e.xt, 0) : e.x(first + half);
}
void set_pair(Emitter& e, Value low, Value high) {
  if (e.o.rd == 0) return;
  e.b.set(e.arch.x_row(e.o.rd), low);
  e.b.set(e.arch.x_row(e.o.rd + 1u), high);
}

void amo_cas_pair32(Emitter& e) {
  const auto joined = [&](unsigned first) {
    const Value high = e.b.binary(Op::Shl, e.wide(of_pair(e, first, 1)), e.b.i64(32));
    return e.b.bor(e.wide(of_pair(e, first, 0)), high);
  };
  const Value address = e.rs1();
  const Value expected = joined(e.o.rd), wanted = joined(e.o.rs2);
  const Value old = e.b.load(Type::I64, address, amo_read());
  e.b.store(address, e.b.select(e.b.compare(Op::CmpEq, old, expected), wanted, old), aligned());
  set_pair(e, e.low(Type::I32, old), e.low(Type::I32, e.b.binary(Op::Shr, old, e.b.i64(32))));
}

/// Sixteen bytes in two accesses. If one can be made so can the other: they are in one page and, aligned, in
/// whatever is smaller.
void amo_cas_pair64(Emitter& e) {
  const Value address = e.rs1();
  const u32 good = e.b.new_block(), bad = e.b.new_block();
  const Value low_bits = e.b.band(address, e.b.i64(15));
  e.b.branch(e.b.compare(Op::CmpEq, low_bits, e.b.i64(0)), good, bad);

  e.b.begin_block(bad);
  e.raise(helpers().store_misaligned, address);

  e.b.begin_block(good);
  Value old[2], equal[2], wanted[2];
  for (unsigned half = 0; half < 2; ++half) {
    const Value expected = of_pair(e, e.o.rd, half);
    wanted[half] = of_pair(e, e.o.rs2, half);
    MemAttr attr = amo_read();
    attr.offset = static_cast<i32>(8 * half);
    old[half] = e.b.load(Type::I64, address, attr);
    equal[half] = e.b.compare(Op::CmpEq, old[half], expected);
  }
  const Value same = e.b.band(equal[0], equal[1]);
  for (unsigned half = 0; half < 2; ++half) {
    MemAttr attr = aligned();
    attr.offset = static_cast<i32>(8 * half);
    e.b.store(address, e.b.select(same, wanted[half], old[half]), attr);
  }
  set_pair(e, old[0], old[1]);
  e.b.goto_pc(e.next);
  e.ended = true;
}

template <Type type>
void load_reserved(Emitter& e) {
  const Value address = e.rs1();
  const Value loaded = e.b.load(type, address, aligned());
  e.b.set(e.arch.reservation_row(), e.wide(address));
  e.b.set(e.arch.reservation_valid_row(), e.b.i64(1));
  e.set_rd(e.sext(loaded));
}

/// Only one vCPU runs at a time, and a reservation ends when another one's turn comes (on_switch) or a trap
/// is taken: so the store succeeds exactly if the reservation is still there. A misaligned address raises in
/// any case.
template <Type type>
void store_conditional(Emitter& e) {
  const Value address = e.rs1();
  const Value value = e.low(type, e.rs2());
  const u32 store = e.b.new_block(), check = e.b.new_block(), fail = e.b.new_block(), bad = e.b.new_block();
  const Value valid = e.b.compare(Op::CmpNe, e.b.get(e.arch.reservation_valid_row()), e.b.i64(0));
  const Value same = e.b.compare(Op::CmpEq, e.b.get(e.arch.reservation_row()), e.wide(address));
  e.b.branch(e.b.band(valid, same), store, check);

  e.b.begin_block(store);
  e.b.store(address, value, aligned());
  e.b.set(e.arch.reservation_valid_row(), e.b.i64(0));
  e.set_rd(e.b.konst(e.xt, 0));
  e.b.goto_pc(e.next);

  e.b.begin_block(check);
  const Value low_bits = e.b.band(address, e.b.konst(e.xt, ir::bits_of(type) / 8 - 1));
  e.b.branch(e.b.compare(Op::CmpEq, low_bits, e.b.konst(e.xt, 0)), fail, bad);

  e.b.begin_block(bad);
  e.raise(helpers().store_misaligned, e.wide(address));

  e.b.begin_block(fail);
  e.b.set(e.arch.reservation_valid_row(), e.b.i64(0));
  e.set_rd(e.b.konst(e.xt, 1));
  e.b.goto_pc(e.next);
  e.ended = true;
}

}  // namespace

std::span<const InsnRow> rows_a() {
  using ext::A, ext::Zabha, ext::Zacas;
  constexpr Xlen any = Xlen::Any, rv32 = Xlen::Rv32, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_a.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
