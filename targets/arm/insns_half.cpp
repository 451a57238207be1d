// Half-precision floating point.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"
#include "targets/arm/half.h"

namespace hindcast::arm {
namespace {

enum class Rounding : u8 { Current, Zero, Away, Even, Up, Down };
u32 round_of(const Emitter& e, Rounding r) {
  constexpr ir::Round kRounds[] = {
      ir::Round::NearestEven, ir::Round::TowardZero, ir::Round::NearestMaxMagnitude,
      ir::Round::NearestEven, ir::Round::Up,         ir::Round::Down};
  const ir::Round round = r == Rounding::Current ? e.arch.rounding(e.context()) : kRounds[static_cast<u8>(r)];
  return static_cast<u32>(round);
}

/// A field whose bits were joined as D:Vd, as a register.
unsigned single_of(u8 field) { return (field & 15u) << 1 | field >> 4; }
Value bits(Emitter& e, unsigned n) { return e.b.bitcast(Type::I32, e.b.get(e.arch.s_row(n))); }
void set_bits(Emitter& e, unsigned n, Value v) { e.b.set(e.arch.s_row(n), e.b.bitcast(Type::F32, v)); }
Value half(Emitter& e, unsigned n) { return e.b.band(bits(e, n), e.b.i32(0xffff)); }

Value call(Emitter& e, Value operands, u64 control) {
  return e.b.trunc(Type::I32, e.b.call(helpers().half_arith, operands, e.b.i64(control)));
}
Value pack(Emitter& e, Value a, Value b) {
  return e.b.bor(e.wide(a), e.b.binary(Op::Shl, e.wide(b), e.b.i64(32)));
}

template <HalfOp op, u32 flags>
void arith(Emitter& e) {
  const unsigned d = single_of(e.o.d);
  Value operands = pack(e, half(e, e.o.n), half(e, single_of(e.o.m)));
  if (op == HalfOp::MulThenAdd || op == HalfOp::Fused)
    operands = e.b.bor(operands, e.b.binary(Op::Shl, e.wide(half(e, d)), e.b.i64(48)));
  set_bits(e, d, call(e, operands, half_control(op, flags, round_of(e, Rounding::Current))));
}
template <HalfOp op, Rounding rounding>
void unary(Emitter& e) {
  const Value a = e.wide(half(e, single_of(e.o.m)));
  set_bits(e, single_of(e.o.d), call(e, a, half_control(op, 0, round_of(e, rounding))));
}
template <bool is_signed>
void from_integer(Emitter& e) {
  const HalfOp op = is_signed ? HalfOp::FromSigned : HalfOp::FromUnsigned;
  const Value a = e.wide(bits(e, single_of(e.o.m)));
  set_bits(e, single_of(e.o.d), call(e, a, half_control(op, 0, round_of(e, Rounding::Current))));
}
template <HalfOp op, bool is_signed, unsigned size>
void fixed(Emitter& e) {
  const unsigned imm5 = (e.o.imm & 15) << 1 | e.o.imm >> 4, d = single_of(e.o.d);
  if (imm5 > size) return e.undefined();
  const Value a = op == HalfOp::ToFixed ? half(e, d) : bits(e, d);
  set_bits(e, d, call(e, e.wide(a), half_control(op, is_signed ? 1 : 0, 0, size, size - imm5)));
}
template <bool with_zero, bool signals>
void compare(Emitter& e) {
  const Value b = with_zero ? e.b.i32(0) : half(e, single_of(e.o.m));
  const Value operands = pack(e, half(e, single_of(e.o.d)), b);
  e.b.set(e.arch.fp_nzcv_row(), call(e, operands, half_control(HalfOp::Compare, signals ? 1 : 0, 0)));
}
template <unsigned cond>
void select(Emitter& e) {
  const Value v = e.b.select(e.condition(cond), half(e, e.o.n), half(e, single_of(e.o.m)));
  set_bits(e, single_of(e.o.d), v);
}
void absolute(Emitter& e) {
  set_bits(e, single_of(e.o.d), e.b.band(bits(e, single_of(e.o.m)), e.b.i32(0x7fff)));
}
void negate(Emitter& e) {
  set_bits(e, single_of(e.o.d), e.b.bxor(half(e, single_of(e.o.m)), e.b.i32(0x8000)));
}
void move_imm(Emitter& e) {
  const u32 imm = e.o.imm, b = imm >> 6 & 1;
  const u32 exponent = (b ^ 1) << 4 | (b != 0 ? 3u : 0u) << 2 | (imm >> 4 & 3);
  set_bits(e, single_of(e.o.d), e.b.i32((imm >> 7 & 1) << 15 | exponent << 10 | (imm & 15) << 6));
}
void move_upper(Emitter& e) {
  set_bits(e, single_of(e.o.d), e.b.binary(Op::Shr, bits(e, single_of(e.o.m)), e.b.i32(16)));
}
void insert(Emitter& e) {
  const unsigned d = single_of(e.o.d);
  const Value upper = e.b.binary(Op::Shl, bits(e, single_of(e.o.m)), e.b.i32(16));
  set_bits(e, d, e.b.bor(half(e, d), upper));
}
void core_to_half(Emitter& e) { set_bits(e, e.o.n, e.b.band(e.rt(), e.b.i32(0xffff))); }
void half_to_core(Emitter& e) { e.set_r(e.o.t, half(e, e.o.n)); }

Value address(Emitter& e) {
  const u32 by = e.o.v ? e.o.imm : u32{0} - e.o.imm;
  return e.o.n == kPc ? e.b.i32(e.aligned_pc() + by) : e.b.add(e.rn(), e.b.i32(by));
}
void load_half(Emitter& e) {
  set_bits(e, single_of(e.o.d), e.b.zext(Type::I32, e.b.load(Type::I16, address(e), e.always_aligned())));
}
void store_half(Emitter& e) {
  e.b.store(address(e), e.b.trunc(Type::I16, bits(e, single_of(e.o.d))), e.always_aligned());
}

}  // namespace

std::span<const InsnRow> rows_half() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_half.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
