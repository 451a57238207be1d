// The DSP extension.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {
namespace {

/// What becomes of a lane's result: it wraps (and GE tells about it), saturates, or is halved.
enum class Mode : u8 { Wrap, Saturate, Halve };

Value lane(Emitter& e, Value v, unsigned at, Type type, bool is_signed) {
  return extended(e, e.b.trunc(type, e.b.binary(Op::Shr, v, e.b.i32(at))), is_signed);
}
Value half(Emitter& e, Value v, bool top, bool is_signed = true) {
  return lane(e, v, top ? 16 : 0, Type::I16, is_signed);
}
Value clamp(Emitter& e, Value v, i32 least, i32 most) {
  const Value low = e.b.i32(static_cast<u32>(least)), high = e.b.i32(static_cast<u32>(most));
  const Value not_above = e.b.select(e.b.compare(Op::CmpLtS, high, v), high, v);
  return e.b.select(e.b.compare(Op::CmpLtS, not_above, low), low, not_above);
}

/// One lane of `bits` bits; its GE bits, all set or all clear, go to `ge`.
template <bool is_signed, Mode mode, bool subtract>
Value lane_result(Emitter& e, Value a, Value b, unsigned bits, unsigned at, Value& ge) {
  const Value v = subtract ? e.b.sub(a, b) : e.b.add(a, b);
  const u32 mask = (u32{1} << bits) - 1;
  Value result = v;
  if (mode == Mode::Saturate) {
    const i32 most = is_signed ? static_cast<i32>(mask >> 1) : static_cast<i32>(mask);
    result = clamp(e, v, is_signed ? -most - 1 : 0, most);
  } else if (mode == Mode::Halve) {
    result = e.b.binary(Op::Sar, v, e.b.i32(1));
  } else {
    // Signed: not negative. Unsigned: carry out, or no borrow.
    const Value set = is_signed || subtract ? e.b.compare(Op::CmpGeS, v, e.b.i32(0))
                                            : e.b.compare(Op::CmpGeU, v, e.b.i32(mask + 1));
    const u32 flags = bits == 16 ? u32{3} << at / 8 : u32{1} << at / 8;
    ge = e.b.bor(ge, e.b.select(set, e.b.i32(flags), e.b.i32(0)));
  }
  return e.b.binary(Op::Shl, e.b.band(result, e.b.i32(mask)), e.b.i32(at));
}

template <bool is_signed, Mode mode, bool subtract>
void parallel_bytes(Emitter& e) {
  const Value n = e.rn(), m = e.rm();
  Value result = e.b.i32(0), ge = e.b.i32(0);
  for (unsigned at = 0; at < 32; at += 8) {
    const Value a = lane(e, n, at, Type::I8, is_signed), b = lane(e, m, at, Type::I8, is_signed);
    result = e.b.bor(result, lane_result<is_signed, mode, subtract>(e, a, b, 8, at, ge));
  }
  if (mode == Mode::Wrap) e.b.set(e.arch.ge_row(), ge);
  e.set_rd(result);
}

template <bool is_signed, Mode mode, bool subtract_low, bool subtract_high, bool exchange>
void parallel_halves(Emitter& e) {
  const Value n = e.rn(), m = e.rm();
  Value ge = e.b.i32(0);
  const Value low = lane_result<is_signed, mode, subtract_low>(e, half(e, n, false, is_signed),
                                                               half(e, m, exchange, is_signed), 16, 0, ge);
  const Value high = lane_result<is_signed, mode, subtract_high>(
      e, half(e, n, true, is_signed), half(e, m, !exchange, is_signed), 16, 16, ge);
  if (mode == Mode::Wrap) e.b.set(e.arch.ge_row(), ge);
  e.set_rd(e.b.bor(low, high));
}

/// `v`, of 64 bits, as a saturated 32-bit number; Q if it did not fit.
Value saturate_word(Emitter& e, Value v) {
  const Value narrow = e.b.trunc(Type::I32, v);
  const Value fits = e.b.compare(Op::CmpEq, e.b.sext(Type::I64, narrow), v);
  e.set_q_if(e.b.bnot(fits));
  const Value negative = e.b.compare(Op::CmpLtS, v, e.b.i64(0));
  const Value limit = e.b.select(negative, e.b.i32(0x80000000), e.b.i32(0x7fffffff));
  return e.b.select(fits, narrow, limit);
}
template <bool doubles, bool subtract>
void saturating(Emitter& e) {
  const auto wide = [&](Value v) { return e.b.sext(Type::I64, v); };
  Value n = wide(e.rn());
  const Value m = wide(e.rm());
  if (doubles) n = wide(saturate_word(e, e.b.add(n, n)));
  e.set_rd(saturate_word(e, subtract ? e.b.sub(m, n) : e.b.add(m, n)));
}
template <bool is_signed>
void saturate_halves(Emitter& e) {
  const i32 most = is_signed ? (1 << (e.o.imm2 - 1)) - 1 : (1 << e.o.imm2) - 1;
  const i32 least = is_signed ? -most - 1 : 0;
  Value result = ir::kNoValue, changed = ir::kNoValue;
  const Value n = e.rn();
  for (const bool top : {false, true}) {
    const Value v = half(e, n, top), s = clamp(e, v, least, most);
    const Value differs = e.b.compare(Op::CmpNe, s, v);
    changed = top ? e.b.bor(changed, differs) : differs;
    const Value placed = e.b.binary(Op::Shl, e.b.band(s, e.b.i32(0xffff)), e.b.i32(top ? 16 : 0));
    result = top ? e.b.bor(result, placed) : placed;
  }
  e.set_q_if(changed);
  e.set_rd(result);
}

void select_bytes(Emitter& e) {
  // Each GE bit becomes a byte of ones.
  const Value ge = e.b.get(e.arch.ge_row());
  Value mask = e.b.i32(0);
  for (unsigned i = 0; i < 4; ++i) {
    const Value bit = e.b.band(e.b.binary(Op::Shr, ge, e.b.i32(i)), e.b.i32(1));
    mask = e.b.bor(mask, e.b.binary(Op::Mul, bit, e.b.i32(u32{0xff} << (8 * i))));
  }
  e.set_rd(e.b.bor(e.b.band(e.rn(), mask), e.b.band(e.rm(), e.b.bnot(mask))));
}
template <bool top_from_n>
void pack(Emitter& e) {
  const Value low = e.b.i32(0xffff), high = e.b.i32(0xffff0000);
  if (top_from_n) {
    const Value m = e.shift_imm(Shift::Asr, e.rm(), e.o.imm == 0 ? 32 : e.o.imm).value;
    e.set_rd(e.b.bor(e.b.band(e.rn(), high), e.b.band(m, low)));
  } else {
    const Value m = e.shift_imm(Shift::Lsl, e.rm(), e.o.imm).value;
    e.set_rd(e.b.bor(e.b.band(e.rn(), low), e.b.band(m, high)));
  }
}

Value rotated(Emitter& e) { return e.b.binary(Op::Rotr, e.rm(), e.b.i32(8 * e.o.imm)); }
template <Type type, bool is_signed>
void extend_add(Emitter& e) {
  e.set_rd(e.b.add(e.rn(), extended(e, e.b.trunc(type, rotated(e)), is_signed)));
}
/// Bytes 0 and 2, extended, as half-words, each added to the half-word of `addend` if there is one.
template <bool is_signed>
void extend_two(Emitter& e, Value addend) {
  const Value v = rotated(e);
  Value result = e.b.i32(0);
  for (const unsigned at : {0u, 16u}) {
    Value x = lane(e, v, at, Type::I8, is_signed);
    if (addend != ir::kNoValue) x = e.b.add(x, e.b.binary(Op::Shr, addend, e.b.i32(at)));
    result = e.b.bor(result, e.b.binary(Op::Shl, e.b.band(x, e.b.i32(0xffff)), e.b.i32(at)));
  }
  e.set_rd(result);
}
template <bool is_signed>
void extend_add_bytes(Emitter& e) {
  extend_two<is_signed>(e, e.rn());
}
template <bool is_signed>
void extend_bytes(Emitter& e) {
  extend_two<is_signed>(e, ir::kNoValue);
}

// ---- multiplication

/// Rd = the sum of 64-bit terms, wrapped; Q if it does not fit 32 bits, signed.
void accumulate(Emitter& e, Value wide) {
  const Value narrow = e.b.trunc(Type::I32, wide);
  e.set_q_if(e.b.compare(Op::CmpNe, e.b.sext(Type::I64, narrow), wide));
  e.set_rd(narrow);
}
Value sext(Emitter& e, Value v) { return e.b.sext(Type::I64, v); }

template <bool top_n, bool top_m, bool add>
void multiply_halves(Emitter& e) {
  const Value product = e.b.binary(Op::Mul, half(e, e.rn(), top_n), half(e, e.rm(), top_m));
  if (add) {
    accumulate(e, e.b.add(sext(e, product), sext(e, e.ra())));
  } else {
    e.set_rd(product);
  }
}
/// The sum or difference of the products of the half-words, in 64 bits.
template <bool subtract, bool exchange>
Value dual_products(Emitter& e) {
  const Value n = e.rn(), m = e.rm();
  const Value low = sext(e, e.b.binary(Op::Mul, half(e, n, false), half(e, m, exchange)));
  const Value high = sext(e, e.b.binary(Op::Mul, half(e, n, true), half(e, m, !exchange)));
  return subtract ? e.b.sub(low, high) : e.b.add(low, high);
}
template <bool subtract, bool exchange, bool add>
void multiply_dual(Emitter& e) {
  Value v = dual_products<subtract, exchange>(e);
  if (add) v = e.b.add(v, sext(e, e.ra()));
  if (subtract && !add) return e.set_rd(e.b.trunc(Type::I32, v));  // cannot overflow
  accumulate(e, v);
}
template <bool top_m, bool add>
void multiply_word_half(Emitter& e) {
  const Value product = e.b.binary(Op::Mul, sext(e, e.rn()), sext(e, half(e, e.rm(), top_m)));
  const Value upper = e.b.binary(Op::Sar, product, e.b.i64(16));
  if (add) {
    accumulate(e, e.b.add(upper, sext(e, e.ra())));
  } else {
    e.set_rd(e.b.trunc(Type::I32, upper));
  }
}
template <bool round, bool add, bool subtract>
void multiply_high(Emitter& e) {
  Value v = e.b.binary(Op::Mul, sext(e, e.rn()), sext(e, e.rm()));
  if (add) {
    const Value a = e.b.binary(Op::Shl, e.wide(e.ra()), e.b.i64(32));
    v = subtract ? e.b.sub(a, v) : e.b.add(a, v);
  }
  if (round) v = e.b.add(v, e.b.i64(0x80000000));
  e.set_rd(e.b.trunc(Type::I32, e.b.binary(Op::Shr, v, e.b.i64(32))));
}
template <bool add>
void absolute_differences(Emitter& e) {
  const Value n = e.rn(), m = e.rm();
  Value sum = add ? e.ra() : e.b.i32(0);
  for (unsigned at = 0; at < 32; at += 8) {
    const Value d = e.b.sub(lane(e, n, at, Type::I8, false), lane(e, m, at, Type::I8, false));
    const Value sign = e.b.binary(Op::Sar, d, e.b.i32(31));
    sum = e.b.add(sum, e.b.sub(e.b.bxor(d, sign), sign));
  }
  e.set_rd(sum);
}

/// Rt and Ru, the low and the high half.
Value long_accumulator(Emitter& e) {
  return e.b.bor(e.b.binary(Op::Shl, e.wide(e.r(e.o.u)), e.b.i64(32)), e.wide(e.rt()));
}
void set_long(Emitter& e, Value v) {
  const Value low = e.b.trunc(Type::I32, v);
  const Value high = e.b.trunc(Type::I32, e.b.binary(Op::Shr, v, e.b.i64(32)));
  e.set_r(e.o.t, low);
  e.set_r(e.o.u, high);
}
template <bool top_n, bool top_m>
void multiply_halves_long(Emitter& e) {
  const Value product = e.b.binary(Op::Mul, half(e, e.rn(), top_n), half(e, e.rm(), top_m));
  set_long(e, e.b.add(long_accumulator(e), sext(e, product)));
}
template <bool subtract, bool exchange>
void multiply_dual_long(Emitter& e) {
  set_long(e, e.b.add(long_accumulator(e), dual_products<subtract, exchange>(e)));
}
void multiply_add_add_long(Emitter& e) {
  const Value product = e.b.binary(Op::Mul, e.wide(e.rn()), e.wide(e.rm()));
  set_long(e, e.b.add(e.b.add(product, e.wide(e.rt())), e.wide(e.r(e.o.u))));
}

}  // namespace

std::span<const InsnRow> rows_dsp() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_dsp.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
