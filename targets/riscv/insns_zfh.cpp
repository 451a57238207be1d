#include "targets/riscv/chapters.h"
#include "targets/riscv/emit_fp.h"
#include "targets/riscv/half.h"

namespace hindcast::riscv {
namespace {

constexpr u64 kBox = 0xffff'ffff'ffff'0000;

/// A half in the low bits of an I64; a register that does not hold a boxed half reads as the default NaN.
Value half(Emitter& e, unsigned n) {
  const Value bits = e.fbits(n);
  const Value boxed = e.b.compare(Op::CmpGeU, bits, e.b.i64(kBox));
  return e.b.select(boxed, e.b.band(bits, e.b.i64(0xffff)), e.b.i64(0x7e00));
}
void set_half(Emitter& e, Value bits) { e.set_fbits(e.b.bor(bits, e.b.i64(kBox))); }

/// What half_helper's control holds; false: the instruction has become illegal.
bool control(Emitter& e, HalfOp op, u64* value) {
  Round round;
  if (!rounding_mode(e, &round)) return false;
  if (round == Round::Dynamic) round = e.arch.rounding(e.b.context());
  *value = half_control(op, static_cast<unsigned>(round));
  return true;
}

Value call(Emitter& e, Value a, Value b, u64 control_word) {
  e.fs_dirty = true;
  return e.b.call(helpers().half, a, b, e.b.i64(control_word));
}

template <HalfOp op>
void arith(Emitter& e) {
  u64 word = 0;
  if (control(e, op, &word)) set_half(e, call(e, half(e, e.o.rs1), half(e, e.o.rs2), word));
}
void square_root(Emitter& e) {
  u64 word = 0;
  if (control(e, HalfOp::Sqrt, &word)) set_half(e, call(e, half(e, e.o.rs1), e.b.i64(0), word));
}
template <HalfOp op>
void fused(Emitter& e) {
  u64 word = 0;
  if (!control(e, op, &word)) return;
  const Value a = half(e, e.o.rs1), b = half(e, e.o.rs2);
  const Value third = e.b.binary(Op::Shl, half(e, e.o.rs3), e.b.i64(kHalfThirdShift));
  e.fs_dirty = true;
  set_half(e, e.b.call(helpers().half, a, b, e.b.bor(third, e.b.i64(word))));
}
template <HalfOp op>
void min_max(Emitter& e) {
  set_half(e, call(e, half(e, e.o.rs1), half(e, e.o.rs2), half_control(op, 0)));
}
template <HalfOp op>
void compare(Emitter& e) {
  e.set_rd(e.low(e.xt, call(e, half(e, e.o.rs1), half(e, e.o.rs2), half_control(op, 0))));
}
template <Sign how>
void sign(Emitter& e) {
  const Value a = e.b.trunc(Type::I16, half(e, e.o.rs1)), b = e.b.trunc(Type::I16, half(e, e.o.rs2));
  set_half(e, e.wide(inject_sign(e, how, a, b)));
}
void classify(Emitter& e) { e.set_rd(e.low(e.xt, e.b.call_pure(helpers().fclass16, half(e, e.o.rs1)))); }
template <HalfOp op>
void to_int(Emitter& e) {
  u64 word = 0;
  if (control(e, op, &word)) e.set_rd(e.low(e.xt, call(e, half(e, e.o.rs1), e.b.i64(0), word)));
}
template <HalfOp op>
void from_int(Emitter& e) {
  u64 word = 0;
  if (control(e, op, &word)) set_half(e, call(e, e.wide(e.rs1()), e.b.i64(0), word));
}
/// Half to single or double.
template <HalfOp op>
void widen(Emitter& e) {
  u64 word = 0;
  if (!control(e, op, &word)) return;
  const Value bits = call(e, half(e, e.o.rs1), e.b.i64(0), word);
  e.set_fbits(op == HalfOp::ToSingle ? e.b.bor(bits, e.b.i64(0xffff'ffff'0000'0000)) : bits);
}
/// Single or double to half.
template <HalfOp op>
void narrow(Emitter& e) {
  u64 word = 0;
  if (!control(e, op, &word)) return;
  const Value bits =
      op == HalfOp::FromSingle ? e.wide(e.b.bitcast(Type::I32, e.f32(e.o.rs1))) : e.fbits(e.o.rs1);
  set_half(e, call(e, bits, e.b.i64(0), word));
}

void load_half(Emitter& e) { set_half(e, e.wide(e.b.load(Type::I16, e.rs1(), at_offset(e)))); }
void store_half(Emitter& e) { e.b.store(e.rs1(), e.low(Type::I16, e.fbits(e.o.rs2)), at_offset(e)); }
void move_to_int(Emitter& e) { e.set_rd(e.sext(e.low(Type::I16, e.fbits(e.o.rs1)))); }
void move_from_int(Emitter& e) { set_half(e, e.wide(e.low(Type::I16, e.rs1()))); }

}  // namespace

std::span<const InsnRow> rows_zfh() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_zfh.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
