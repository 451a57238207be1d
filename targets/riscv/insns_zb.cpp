#include "targets/riscv/chapters.h"
#include "targets/riscv/emit_int.h"

namespace hindcast::riscv {
namespace {

template <unsigned shift>
void shift_add(Emitter& e) {
  e.set_rd(e.b.add(e.b.binary(Op::Shl, e.rs1(), e.b.konst(e.xt, shift)), e.rs2()));
}
template <unsigned shift>
void shift_add_word(Emitter& e) {
  const Value word = e.zext(e.low(Type::I32, e.rs1()));
  e.set_rd(e.b.add(e.b.binary(Op::Shl, word, e.b.konst(e.xt, shift)), e.rs2()));
}
void slli_uw(Emitter& e) { e.set_rd(e.b.binary(Op::Shl, e.zext(e.low(Type::I32, e.rs1())), e.imm())); }

template <Op op>
void alu_inverted(Emitter& e) {
  e.set_rd(e.b.binary(op, e.rs1(), e.b.bnot(e.rs2())));
}
template <Op op>
void count(Emitter& e) {
  e.set_rd(e.b.unary(op, e.rs1()));
}
template <Op op>
void count_word(Emitter& e) {
  e.set_rd(e.zext(e.b.unary(op, e.low(Type::I32, e.rs1()))));
}
/// rs1 where the comparison holds, else rs2.
template <Op compare>
void pick(Emitter& e) {
  const Value a = e.rs1(), b = e.rs2();
  e.set_rd(e.b.select(e.b.compare(compare, a, b), a, b));
}
/// Each byte becomes all ones unless it is zero. Adding 0x7f to a byte's low seven bits carries into its top
/// bit exactly if one of them is set, and never into the next byte.
void orc_b(Emitter& e) {
  const Value v = e.rs1();
  const Value low7 = e.b.konst(e.xt, 0x7f7f7f7f7f7f7f7f), top = e.b.konst(e.xt, 0x8080808080808080);
  const Value carry = e.b.add(e.b.band(v, low7), low7);
  const Value set = e.b.band(e.b.bor(carry, v), top);  // bit 7 of each byte that is not zero
  const Value twice = e.b.binary(Op::Shl, set, e.b.konst(e.xt, 1));
  e.set_rd(e.b.sub(twice, e.b.binary(Op::Shr, set, e.b.konst(e.xt, 7))));
}
void rev8(Emitter& e) { e.set_rd(e.b.unary(Op::Bswap, e.rs1())); }

template <u32 Helpers::*which>
void carryless(Emitter& e) {
  const Value xlen = e.b.i64(e.arch.xlen());
  e.set_rd(e.low(e.xt, e.b.call_pure(helpers().*which, e.wide(e.rs1()), e.wide(e.rs2()), xlen)));
}

template <bool immediate>
Value single_bit(Emitter& e) {
  return e.b.binary(Op::Shl, e.b.konst(e.xt, 1), immediate ? e.imm() : e.rs2());
}
template <bool immediate>
void bit_clear(Emitter& e) {
  e.set_rd(e.b.band(e.rs1(), e.b.bnot(single_bit<immediate>(e))));
}
template <Op op, bool immediate>
void bit_op(Emitter& e) {
  e.set_rd(e.b.binary(op, e.rs1(), single_bit<immediate>(e)));
}
template <bool immediate>
void bit_extract(Emitter& e) {
  const Value shifted = e.b.binary(Op::Shr, e.rs1(), immediate ? e.imm() : e.rs2());
  e.set_rd(e.b.band(shifted, e.b.konst(e.xt, 1)));
}

/// Zero where rs2 compares with zero, else rs1.
template <Op compare>
void cond_zero(Emitter& e) {
  const Value zero = e.b.konst(e.xt, 0);
  e.set_rd(e.b.select(e.b.compare(compare, e.rs2(), zero), zero, e.rs1()));
}

}  // namespace

std::span<const InsnRow> rows_zb() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv32 = Xlen::Rv32, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_zb.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
