// The meaning of every Pure op (CallPure apart), in one place: the builder folds with it and the interpreter
// executes with it, so the two cannot differ.
//
// Values are held in 64 bits, zero-extended from their type's width; floats as their bit patterns.
#pragma once
#include <bit>

#include "engine/ir/ir.h"

namespace hindcast::ir {

/// The low `bits_of(t)` bits of `v`.
constexpr u64 truncate(Type t, u64 v) {
  const unsigned bits = bits_of(t);
  return bits >= 64 ? v : v & ((u64{1} << bits) - 1);
}
/// `v`, held as described above, as the signed number of type `t`. Not for Void.
constexpr i64 signed_value(Type t, u64 v) {
  const unsigned shift = 64 - bits_of(t);
  return static_cast<i64>(v << shift) >> shift;
}

namespace detail {

constexpr u64 divide_signed(Type t, u64 a, u64 b) {
  if (b == 0) return truncate(t, ~u64{0});
  const i64 divisor = signed_value(t, b);
  if (divisor == -1) return truncate(t, u64{0} - a);  // the one overflow, min / -1, wraps to min: a
  return truncate(t, static_cast<u64>(signed_value(t, a) / divisor));
}

constexpr u64 remainder_signed(Type t, u64 a, u64 b) {
  if (b == 0) return a;
  const i64 divisor = signed_value(t, b);
  if (divisor == -1) return 0;
  return truncate(t, static_cast<u64>(signed_value(t, a) % divisor));
}

constexpr u64 rotate_left(Type t, u64 a, u64 count) {
  const unsigned bits = bits_of(t);
  const unsigned n = static_cast<unsigned>(count & (bits - 1));
  return n == 0 ? a : truncate(t, a << n | a >> (bits - n));
}

constexpr u64 byte_swap(Type t, u64 a) {
  u64 out = 0;
  for (unsigned i = 0; i < bits_of(t); i += 8) out = out << 8 | (a >> i & 0xff);
  return out;
}

}  // namespace detail

inline constexpr u64 kUnboxedNan = 0x7fc00000;  // NanUnbox of what is no boxed number
inline constexpr u64 kNanBoxUpper = u64{0xffffffff} << 32;

/// Value of a Pure op other than Const and CallPure. `type` is Inst::type, `a_type` the result type of
/// operand a; operands that the op does not have are ignored. The unit must satisfy verify(). Always inlined:
/// where the op is a constant, one case is left of the switch.
[[gnu::always_inline]] constexpr u64 eval_pure(Op op, Type type, Type a_type, u64 a, u64 b = 0, u64 c = 0) {
  const u64 count = b & (bits_of(type) - 1);
  switch (op) {
    case Op::Add: return truncate(type, a + b);
    case Op::Sub: return truncate(type, a - b);
    case Op::Mul: return truncate(type, a * b);
    case Op::MulHiS: {
      const auto product = static_cast<__int128>(signed_value(type, a)) * signed_value(type, b);
      return truncate(type, static_cast<u64>(product >> bits_of(type)));
    }
    case Op::MulHiU: return truncate(type, static_cast<u64>(static_cast<u128>(a) * b >> bits_of(type)));
    case Op::MulHiSU: {
      const auto product = static_cast<__int128>(signed_value(type, a)) * static_cast<__int128>(b);
      return truncate(type, static_cast<u64>(product >> bits_of(type)));
    }
    case Op::DivS: return detail::divide_signed(type, a, b);
    case Op::DivU: return b == 0 ? truncate(type, ~u64{0}) : a / b;
    case Op::RemS: return detail::remainder_signed(type, a, b);
    case Op::RemU: return b == 0 ? a : a % b;
    case Op::And: return a & b;
    case Op::Or: return a | b;
    case Op::Xor: return a ^ b;
    case Op::Shl: return truncate(type, a << count);
    case Op::Shr: return a >> count;
    case Op::Sar: return truncate(type, static_cast<u64>(signed_value(type, a) >> count));
    case Op::Rotl: return detail::rotate_left(type, a, b);
    case Op::Rotr: return detail::rotate_left(type, a, u64{0} - b);
    case Op::Clz: return static_cast<u64>(std::countl_zero(a)) - (64 - bits_of(type));
    case Op::Ctz: return a == 0 ? bits_of(type) : static_cast<u64>(std::countr_zero(a));
    case Op::Popcnt: return static_cast<u64>(std::popcount(a));
    case Op::Bswap: return detail::byte_swap(type, a);
    case Op::Trunc: return truncate(type, a);
    case Op::ZExt: return a;
    case Op::SExt: return truncate(type, static_cast<u64>(signed_value(a_type, a)));
    case Op::CmpEq: return a == b;
    case Op::CmpNe: return a != b;
    case Op::CmpLtS: return signed_value(type, a) < signed_value(type, b);
    case Op::CmpLtU: return a < b;
    case Op::CmpGeS: return signed_value(type, a) >= signed_value(type, b);
    case Op::CmpGeU: return a >= b;
    case Op::Select: return a != 0 ? b : c;
    case Op::Bitcast: return a;
    case Op::NanBox: return kNanBoxUpper | a;
    case Op::NanUnbox: return (a & kNanBoxUpper) == kNanBoxUpper ? a & 0xffffffff : kUnboxedNan;
    default: return 0;
  }
}

}  // namespace hindcast::ir
