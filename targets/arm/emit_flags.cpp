// Condition flags and shifts in IR.
#include "targets/arm/emitter.h"
#include "targets/arm/flags.h"

namespace hindcast::arm {

using ir::kNoValue;

void Emitter::set_nz(Value result) { b.set(arch.nz_row(), b.sext(Type::I64, result)); }

void Emitter::set_sub_flags(Value x, Value y, Value result) {
  set_nz(result);
  b.set(arch.cc_x_row(), x);
  b.set(arch.cc_y_row(), y);
  b.set(arch.cc_kind_row(), b.i32(flag_kind::kSub));
}

void Emitter::set_add_flags(Value x, Value y, Value result) {
  u64 constant = 0;
  if (b.is_const(y, &constant) && constant != 0 && constant != 0x80000000) {
    return set_sub_flags(x, b.i32(u64{0} - constant), result);
  }
  set_nz(result);
  b.set(arch.cc_x_row(), result);
  b.set(arch.cc_y_row(), y);
  b.set(arch.cc_kind_row(), b.i32(flag_kind::kAdd));
}

void Emitter::set_carry(Value sign) {
  b.set(arch.cc_c_row(), sign);
  b.set(arch.cc_kind_row(), b.i32(flag_kind::kSign));
}

Value Emitter::carry() {
  const Value kind = b.get(arch.cc_kind_row());
  const Value x = b.get(arch.cc_x_row()), y = b.get(arch.cc_y_row());
  const auto sign = [&] { return b.compare(Op::CmpLtS, b.get(arch.cc_c_row()), b.i32(0)); };
  u64 known = 0;
  if (b.is_const(kind, &known)) {
    switch (known) {
      case flag_kind::kSub: return b.compare(Op::CmpGeU, x, y);
      case flag_kind::kAdd: return b.compare(Op::CmpLtU, x, y);
      default: return sign();
    }
  }
  const Value of_pair = b.bxor(b.zext(Type::I32, b.compare(Op::CmpGeU, x, y)), kind);  // bit 0
  const Value of_sign = b.zext(Type::I32, sign());
  const Value bit =
      b.select(b.compare(Op::CmpEq, kind, b.i32(flag_kind::kSign)), of_sign, b.band(of_pair, b.i32(1)));
  return b.compare(Op::CmpNe, bit, b.i32(0));
}

Value Emitter::overflow_sign() {
  const Value x = b.get(arch.cc_x_row()), y = b.get(arch.cc_y_row());
  return b.band(b.bxor(x, y), b.bxor(x, b.sub(x, y)));
}

Value Emitter::condition(unsigned cond) {
  const Value nz = b.get(arch.nz_row());
  const Value zero_if_z = b.trunc(Type::I32, nz);
  const Value x = b.get(arch.cc_x_row()), y = b.get(arch.cc_y_row());
  // All flags from one subtraction: the conditions compare its operands.
  u64 kind = 0;
  const bool compared =
      b.is_const(b.get(arch.cc_kind_row()), &kind) && kind == flag_kind::kSub && b.sub(x, y) == zero_if_z;
  u64 constant = 0;
  const bool y_known = b.is_const(y, &constant);
  const auto pick = [&](Value yes) { return (cond & 1) != 0 ? b.bnot(yes) : yes; };
  const auto n_differs_from_v = [&] {
    const Value n = b.trunc(Type::I32, b.binary(Op::Shr, nz, b.i64(32)));
    return b.compare(Op::CmpLtS, b.bxor(n, overflow_sign()), b.i32(0));
  };
  switch (cond >> 1) {
    case 0: return pick(b.compare(Op::CmpEq, zero_if_z, b.i32(0)));
    case 1: return pick(carry());
    case 2: return pick(b.compare(Op::CmpLtS, nz, b.i64(0)));
    case 3: return pick(b.compare(Op::CmpLtS, overflow_sign(), b.i32(0)));
    case 4:  // HI: C set and Z clear
      if (compared && y_known && constant != 0xffffffff)
        return pick(b.compare(Op::CmpGeU, x, b.i32(constant + 1)));
      if (compared) return pick(b.compare(Op::CmpLtU, y, x));
      return pick(b.band(carry(), b.compare(Op::CmpNe, zero_if_z, b.i32(0))));
    case 5:  // GE: N = V
      return compared ? pick(b.compare(Op::CmpGeS, x, y)) : pick(b.bnot(n_differs_from_v()));
    case 6:  // GT: Z clear and N = V
      if (compared && y_known && constant != 0x7fffffff)
        return pick(b.compare(Op::CmpGeS, x, b.i32(constant + 1)));
      if (compared) return pick(b.compare(Op::CmpLtS, y, x));
      return pick(b.band(b.bnot(n_differs_from_v()), b.compare(Op::CmpNe, zero_if_z, b.i32(0))));
    default: return b.konst(Type::I1, 1);
  }
}

Value Emitter::add_with_carry(Value x, Value y, bool set_flags) {
  const Value in = b.zext(Type::I32, carry());
  const Value result = b.add(b.add(x, y), in);
  if (!set_flags) return result;
  const Value sum = b.add(b.add(wide(x), wide(y)), wide(in));
  // Bit 31 of this is the carry out, bit 31 of the next the overflow.
  const Value carry_out = b.trunc(Type::I32, b.binary(Op::Shr, sum, b.i64(1)));
  const Value overflow = b.band(b.bxor(x, result), b.bxor(y, result));
  set_nz(result);
  set_carry(carry_out);
  b.set(arch.cc_x_row(), b.band(overflow, b.i32(0x80000000)));
  b.set(arch.cc_y_row(), b.binary(Op::Shr, overflow, b.i32(31)));
  return result;
}

void Emitter::set_q_if(Value condition) {
  b.set(arch.q_row(), b.bor(b.get(arch.q_row()), b.zext(Type::I32, condition)));
}

void Emitter::set_nzcv(Value flags) {
  // The same as write_nzcv() of flags.h.
  const auto bit = [&](unsigned n) { return b.band(b.binary(Op::Shr, flags, b.i32(n)), b.i32(1)); };
  const Value n = b.binary(Op::Shl, wide(bit(31)), b.i64(63));
  b.set(arch.nz_row(), b.bor(n, wide(b.bxor(bit(30), b.i32(1)))));
  b.set(arch.cc_x_row(), b.binary(Op::Shl, bit(28), b.i32(31)));
  b.set(arch.cc_y_row(), bit(28));
  set_carry(b.binary(Op::Shl, bit(29), b.i32(31)));
}

Shifted Emitter::shift_imm(Shift type, Value v, unsigned amount) {
  const auto by = [&](Op op, unsigned n) { return b.binary(op, v, b.i32(n)); };
  switch (type) {
    case Shift::Lsl:
      if (amount == 0) return {v, kNoValue};
      return {by(Op::Shl, amount), by(Op::Shl, amount - 1)};
    case Shift::Lsr:
      if (amount == 32) return {b.i32(0), v};
      return {by(Op::Shr, amount), by(Op::Shl, 32 - amount)};
    case Shift::Asr:
      if (amount == 32) return {by(Op::Sar, 31), v};
      return {by(Op::Sar, amount), by(Op::Shl, 32 - amount)};
    case Shift::Ror: {
      if (amount != 0) {
        const Value result = by(Op::Rotr, amount);
        return {result, result};
      }
      const Value in = b.binary(Op::Shl, b.zext(Type::I32, carry()), b.i32(31));
      return {b.bor(by(Op::Shr, 1), in), by(Op::Shl, 31)};
    }
  }
  return {};
}

Shifted Emitter::shift_reg(Shift type, Value v, Value amount, bool want_carry) {
  const Value n = b.band(amount, b.i32(0xff));
  const auto at_most = [&](u32 most) {
    return wide(b.select(b.compare(Op::CmpLtU, n, b.i32(most)), n, b.i32(most)));
  };
  // In 64 bits, so that amounts of 32 and more need no case of their own and the carry is a bit of the
  // result.
  Shifted out;
  switch (type) {
    case Shift::Lsl: {
      const Value w = b.binary(Op::Shl, wide(v), at_most(33));
      out = {b.trunc(Type::I32, w), b.trunc(Type::I32, b.binary(Op::Shr, w, b.i64(1)))};
      break;
    }
    case Shift::Lsr: {
      const Value w = b.binary(Op::Shr, b.binary(Op::Shl, wide(v), b.i64(32)), at_most(33));
      out = {b.trunc(Type::I32, b.binary(Op::Shr, w, b.i64(32))), b.trunc(Type::I32, w)};
      break;
    }
    case Shift::Asr: {
      const Value w = b.binary(Op::Sar, b.binary(Op::Shl, wide(v), b.i64(32)), at_most(32));
      out = {b.trunc(Type::I32, b.binary(Op::Shr, w, b.i64(32))), b.trunc(Type::I32, w)};
      break;
    }
    case Shift::Ror: {
      const Value result = b.binary(Op::Rotr, v, n);
      out = {result, result};
      break;
    }
  }
  if (!want_carry) return {out.value, kNoValue};
  const Value old = b.binary(Op::Shl, b.zext(Type::I32, carry()), b.i32(31));
  out.carry = b.select(b.compare(Op::CmpEq, n, b.i32(0)), old, out.carry);
  return out;
}

}  // namespace hindcast::arm
