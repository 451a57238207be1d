// Multiplication, division, bit fields, saturation.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {
namespace {

Value product(Emitter& e) { return e.b.binary(Op::Mul, e.rn(), e.rm()); }
void mul(Emitter& e) { e.set_rd(product(e)); }
void mla(Emitter& e) { e.set_rd(e.b.add(e.ra(), product(e))); }
void mls(Emitter& e) { e.set_rd(e.b.sub(e.ra(), product(e))); }

/// Rt is the low half of the result, Ru the high one.
template <bool is_signed, bool accumulate>
void mul_long(Emitter& e) {
  const auto widen = [&](Value v) { return is_signed ? e.b.sext(Type::I64, v) : e.b.zext(Type::I64, v); };
  Value v = e.b.binary(Op::Mul, widen(e.rn()), widen(e.rm()));
  if (accumulate) {
    const Value high = e.b.binary(Op::Shl, e.wide(e.r(e.o.u)), e.b.i64(32));
    v = e.b.add(v, e.b.bor(high, e.wide(e.rt())));
  }
  const Value low = e.b.trunc(Type::I32, v);
  const Value high = e.b.trunc(Type::I32, e.b.binary(Op::Shr, v, e.b.i64(32)));
  e.set_r(e.o.t, low);
  e.set_r(e.o.u, high);
}

template <bool is_signed>
void divide(Emitter& e) {
  const Value n = e.rn(), m = e.rm(), zero = e.b.i32(0);
  const Value by_zero = e.b.compare(Op::CmpEq, m, zero);
  if ((e.context() & context::kDiv0Trap) != 0) {
    const u32 trap = e.b.new_block(), divides = e.b.new_block();
    e.b.branch(by_zero, trap, divides);
    e.b.begin_block(trap);
    e.raise(helpers().div_by_zero);
    e.ended = false;
    e.b.begin_block(divides);
    e.set_rd(e.b.binary(is_signed ? Op::DivS : Op::DivU, n, m));
    return;
  }
  const Value quotient = e.b.binary(is_signed ? Op::DivS : Op::DivU, n, m);
  e.set_rd(e.b.select(by_zero, zero, quotient));
}

/// `v` within [least, most], both signed; Q if it was not.
void saturate(Emitter& e, Value v, i32 least, i32 most) {
  const Value low = e.b.i32(static_cast<u32>(least)), high = e.b.i32(static_cast<u32>(most));
  const Value not_above = e.b.select(e.b.compare(Op::CmpLtS, high, v), high, v);
  const Value result = e.b.select(e.b.compare(Op::CmpLtS, not_above, low), low, not_above);
  e.set_q_if(e.b.compare(Op::CmpNe, result, v));
  e.set_rd(result);
}
Value saturation_operand(Emitter& e) {
  // Shift by 0 to the right would be another instruction.
  return e.shift_imm(e.o.shift != 0 ? Shift::Asr : Shift::Lsl, e.rn(), e.o.imm).value;
}
void ssat(Emitter& e) {
  if (e.o.shift != 0 && e.o.imm == 0) return e.undefined();
  const i64 bound = i64{1} << (e.o.imm2 - 1);
  saturate(e, saturation_operand(e), static_cast<i32>(-bound), static_cast<i32>(bound - 1));
}
void usat(Emitter& e) {
  if (e.o.shift != 0 && e.o.imm == 0) return e.undefined();
  saturate(e, saturation_operand(e), 0, static_cast<i32>((i64{1} << e.o.imm2) - 1));
}

template <bool is_signed>
void bit_field_extract(Emitter& e) {
  const u32 lsb = e.o.imm, width = e.o.imm2;
  if (lsb + width > 32) return e.undefined();
  const Value up = e.b.binary(Op::Shl, e.rn(), e.b.i32(32 - lsb - width));
  e.set_rd(e.b.binary(is_signed ? Op::Sar : Op::Shr, up, e.b.i32(32 - width)));
}
void insert(Emitter& e, bool clear) {
  const u32 lsb = e.o.imm, msb = e.o.imm2;
  if (msb < lsb) return e.undefined();
  const u32 mask = static_cast<u32>((u64{1} << (msb - lsb + 1)) - 1) << lsb;
  Value v = e.b.band(e.rd(), e.b.i32(~mask));
  if (!clear) {
    const Value field = e.b.binary(Op::Shl, e.rn(), e.b.i32(lsb));
    v = e.b.bor(v, e.b.band(field, e.b.i32(mask)));
  }
  e.set_rd(v);
}
void bit_field_insert(Emitter& e) { insert(e, false); }
void bit_field_clear(Emitter& e) { insert(e, true); }

}  // namespace

std::span<const InsnRow> rows_multiply() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_multiply.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
