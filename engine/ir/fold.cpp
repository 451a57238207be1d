// The algebra of the builder: constants, identities, chains of extensions, addresses. Everything here holds
// for all operand values (tests/ir/fold_test.cpp evaluates both sides); none of it looks beyond the operands'
// own operands.
#include <algorithm>
#include <bit>
#include <limits>

#include "engine/arch.h"
#include "engine/ir/builder.h"
#include "engine/ir/eval.h"

namespace hindcast::ir {

namespace {

bool is_commutative(Op op) {
  switch (op) {
    case Op::Add:
    case Op::Mul:
    case Op::MulHiS:
    case Op::MulHiU:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::CmpEq:
    case Op::CmpNe: return true;
    default: return false;
  }
}

bool is_shift(Op op) {
  return op == Op::Shl || op == Op::Shr || op == Op::Sar || op == Op::Rotl || op == Op::Rotr;
}

bool is_compare(Op op) { return op >= Op::CmpEq && op <= Op::CmpGeU; }

Op opposite(Op compare) {
  switch (compare) {
    case Op::CmpEq: return Op::CmpNe;
    case Op::CmpNe: return Op::CmpEq;
    case Op::CmpLtS: return Op::CmpGeS;
    case Op::CmpGeS: return Op::CmpLtS;
    case Op::CmpLtU: return Op::CmpGeU;
    default: return Op::CmpLtU;
  }
}

/// False, and nothing changed, if the sum is no i32.
bool add_to_offset(i64 constant, i32& offset) {
  i64 sum = 0;
  if (__builtin_add_overflow(constant, i64{offset}, &sum)) return false;
  if (sum < std::numeric_limits<i32>::min() || sum > std::numeric_limits<i32>::max()) return false;
  offset = static_cast<i32>(sum);
  return true;
}

bool is_power_of_two(u64 v) { return v != 0 && (v & (v - 1)) == 0; }

}  // namespace

Value Builder::unary(Op op, Value a) {
  require(info(op).effect == Effect::Pure && std::string_view(info(op).operands).size() == 1 &&
              op != Op::Trunc && op != Op::ZExt && op != Op::SExt && op != Op::Bitcast,
          "not a unary op", op);
  require(a < unit_.insts.size(), "an operand is missing", op);
  Type result = type(a);
  if (op == Op::NanBox || op == Op::NanUnbox) {
    require(result == (op == Op::NanBox ? Type::F32 : Type::F64), "an operand of the wrong type", op);
    result = op == Op::NanBox ? Type::F64 : Type::F32;
    if (op == Op::NanUnbox && at(a).op == Op::NanBox) return at(a).args[0];
  } else {
    require(bits_of(result) >= 8 && !is_float(result), "an integer operand is needed", op);
    if (op == Op::Bswap && result == Type::I8) return a;
    if (op == Op::Bswap && at(a).op == Op::Bswap) return at(a).args[0];
  }
  u64 constant = 0;
  if (is_const(a, &constant)) return konst(result, eval_pure(op, result, type(a), constant));
  return emit_pure({.op = op, .type = result, .args = {a, kNoValue, kNoValue}});
}

Value Builder::binary(Op op, Value a, Value b) {
  require(info(op).effect == Effect::Pure && std::string_view(info(op).operands) == "vv" && !is_compare(op),
          "not a binary op", op);
  require_integer(op, a);
  require_integer(op, b);
  const Type t = type(a);
  require(t == type(b), "operands of different types", op);
  require(t != Type::I1 || op == Op::And || op == Op::Or || op == Op::Xor, "not for I1", op);
  u64 ca = 0, cb = 0;
  if (is_const(a, &ca)) {
    if (is_const(b, &cb)) return konst(t, eval_pure(op, t, t, ca, cb));
    if (is_commutative(op)) std::swap(a, b);
  }
  if (const Value simple = simplify_binary(op, t, a, b); simple != kNoValue) return simple;
  return emit_pure({.op = op, .type = t, .args = {a, b, kNoValue}});
}

Value Builder::simplify_binary(Op op, Type t, Value a, Value b) {
  u64 c = 0;
  if (is_const(b, &c)) {
    if (const Value v = simplify_constant_right(op, t, a, c); v != kNoValue) return v;
  }
  if (a == b) {
    switch (op) {
      case Op::And:
      case Op::Or: return a;
      case Op::Sub:
      case Op::Xor: return konst(t, 0);
      default: break;
    }
  }
  if (is_shift(op)) {
    if (is_const_value(a, 0)) return a;
    // The count is taken modulo the width anyway.
    const u64 modulus = bits_of(t) - 1;
    if (at(b).op == Op::And && is_const(at(b).args[1], &c) && (c & modulus) == modulus) {
      return binary(op, a, at(b).args[0]);
    }
  }
  return kNoValue;
}

Value Builder::simplify_constant_right(Op op, Type t, Value a, u64 c) {
  const u64 ones = truncate(t, ~u64{0});
  const Inst left = at(a);  // by value: emitting moves the instructions
  u64 inner = 0;
  const bool chain = left.op == op && is_const(left.args[1], &inner);
  const unsigned shift = is_power_of_two(c) ? static_cast<unsigned>(std::countr_zero(c)) : 0;
  switch (op) {
    case Op::Add:
      if (c == 0) return a;
      if (chain) return binary(op, left.args[0], konst(t, inner + c));
      break;
    case Op::Sub: return binary(Op::Add, a, konst(t, u64{0} - c));
    case Op::Mul:
      if (c == 0) return konst(t, 0);
      if (c == 1) return a;
      if (is_power_of_two(c)) return binary(Op::Shl, a, konst(t, shift));
      break;
    case Op::MulHiS:
    case Op::MulHiU:
    case Op::MulHiSU:
      if (c == 0 || (c == 1 && op == Op::MulHiU)) return konst(t, 0);
      break;
    case Op::DivU:
      if (c == 0) return konst(t, ones);
      if (is_power_of_two(c)) return binary(Op::Shr, a, konst(t, shift));
      break;
    case Op::RemU:
      if (c == 0) return a;
      if (is_power_of_two(c)) return binary(Op::And, a, konst(t, c - 1));
      break;
    case Op::DivS:
      if (c == 0) return konst(t, ones);
      if (c == 1) return a;
      break;
    case Op::RemS:
      if (c == 0) return a;
      if (c == 1 || c == ones) return konst(t, 0);
      break;
    case Op::And:
      if (c == 0) return konst(t, 0);
      if (c == ones) return a;
      if (chain) return binary(op, left.args[0], konst(t, inner & c));
      if (left.op == Op::ZExt &&
          (c & truncate(type(left.args[0]), ~u64{0})) == truncate(type(left.args[0]), ~u64{0})) {
        return a;
      }
      break;
    case Op::Or:
      if (c == 0) return a;
      if (c == ones) return konst(t, ones);
      if (chain) return binary(op, left.args[0], konst(t, inner | c));
      break;
    case Op::Xor:
      if (c == 0) return a;
      if (chain) return binary(op, left.args[0], konst(t, inner ^ c));
      if (t == Type::I1) return invert(a);
      break;
    case Op::Shl:
    case Op::Shr: {
      const u64 width = bits_of(t);
      const u64 count = c & (width - 1);
      if (count == 0) return a;
      if (count != c) return binary(op, a, konst(t, count));
      if (chain) {
        const u64 sum = count + (inner & (width - 1));
        return sum >= width ? konst(t, 0) : binary(op, left.args[0], konst(t, sum));
      }
      break;
    }
    case Op::Sar:
    case Op::Rotl:
    case Op::Rotr: {
      const u64 width = bits_of(t);
      const u64 count = c & (width - 1);
      if (count == 0) return a;
      if (count != c) return binary(op, a, konst(t, count));
      if (chain) {
        const u64 sum = count + (inner & (width - 1));
        const u64 both = op == Op::Sar ? std::min(sum, width - 1) : sum & (width - 1);
        return binary(op, left.args[0], konst(t, both));
      }
      break;
    }
    default: break;
  }
  return kNoValue;
}

// ---- conditions

Value Builder::invert(Value condition) {
  const Inst inst = at(condition);
  if (!is_compare(inst.op)) return kNoValue;
  return emit_pure(
      {.op = opposite(inst.op), .type = inst.type, .args = {inst.args[0], inst.args[1], kNoValue}});
}

Value Builder::compare(Op op, Value a, Value b) {
  require(is_compare(op), "not a comparison of integers", op);
  require_integer(op, a);
  require_integer(op, b);
  const Type t = type(a);
  require(t == type(b), "operands of different types", op);
  if (t == Type::I1) {  // these two are all that I1 needs; the executors compare I8 and wider
    require(op == Op::CmpEq || op == Op::CmpNe, "I1 has no order", op);
    const Value differ = bxor(a, b);
    return op == Op::CmpNe ? differ : bnot(differ);
  }
  u64 ca = 0, cb = 0;
  if (is_const(a, &ca)) {
    if (is_const(b, &cb)) return konst(Type::I1, eval_pure(op, t, t, ca, cb));
    if (is_commutative(op)) std::swap(a, b);
  }
  if (const Value simple = simplify_compare(op, t, a, b); simple != kNoValue) return simple;
  return emit_pure({.op = op, .type = t, .args = {a, b, kNoValue}});
}

Value Builder::simplify_compare(Op op, Type t, Value a, Value b) {
  if (a == b) return konst(Type::I1, op == Op::CmpEq || op == Op::CmpGeS || op == Op::CmpGeU);
  u64 c = 0;
  if (!is_const(b, &c)) {
    // 0 < x is x != 0, and 0 >= x is x == 0.
    if (is_const_value(a, 0) && op == Op::CmpLtU) return compare(Op::CmpNe, b, a);
    if (is_const_value(a, 0) && op == Op::CmpGeU) return compare(Op::CmpEq, b, a);
    return kNoValue;
  }
  if (op == Op::CmpLtU || op == Op::CmpGeU) {
    if (c == 0) return konst(Type::I1, op == Op::CmpGeU);
    if (c == 1) return compare(op == Op::CmpLtU ? Op::CmpEq : Op::CmpNe, a, konst(t, 0));
  }
  if (op != Op::CmpEq && op != Op::CmpNe) return kNoValue;
  const Inst left = at(a);
  if (left.op == Op::ZExt && type(left.args[0]) == Type::I1) {
    if (c > 1) return konst(Type::I1, op == Op::CmpNe);
    return (op == Op::CmpNe) == (c == 0) ? left.args[0] : bnot(left.args[0]);
  }
  if ((left.op == Op::Xor || left.op == Op::Sub) && c == 0) return compare(op, left.args[0], left.args[1]);
  return kNoValue;
}

Value Builder::select(Value cond, Value a, Value b) {
  require(cond < unit_.insts.size() && type(cond) == Type::I1, "the condition is I1", Op::Select);
  require(a < unit_.insts.size() && b < unit_.insts.size() && type(a) == type(b) && type(a) != Type::Void,
          "operands of different types", Op::Select);
  u64 ca = 0, cb = 0;
  if (is_const(cond, &ca)) return ca != 0 ? a : b;
  if (a == b) return a;
  if (at(cond).op == Op::Xor && is_const_value(at(cond).args[1], 1)) {
    cond = at(cond).args[0];
    std::swap(a, b);
  }
  const Type t = type(a);
  if (!is_float(t) && is_const(a, &ca) && is_const(b, &cb)) {
    if (ca == cb) return a;
    if (ca == 1 && cb == 0) return zext(t, cond);
    if (ca == 0 && cb == 1) return zext(t, bnot(cond));
  }
  return emit_pure({.op = Op::Select, .type = t, .args = {cond, a, b}});
}

// ---- changes of type

Value Builder::trunc(Type to, Value a) {
  require_integer(Op::Trunc, a);
  const Type from = type(a);
  if (to == from) return a;
  require(to != Type::Void && !is_float(to) && bits_of(to) < bits_of(from), "not to a narrower integer",
          Op::Trunc);
  u64 c = 0;
  if (is_const(a, &c)) return konst(to, c);
  const Inst inner = at(a);
  if (inner.op == Op::Trunc) return trunc(to, inner.args[0]);
  if (inner.op == Op::ZExt || inner.op == Op::SExt) {
    const Value source = inner.args[0];
    const unsigned bits = bits_of(type(source));
    if (bits >= bits_of(to)) return trunc(to, source);
    return inner.op == Op::ZExt ? zext(to, source) : sext(to, source);
  }
  const u64 kept = truncate(to, ~u64{0});
  if (inner.op == Op::And && is_const(inner.args[1], &c) && (c & kept) == kept)
    return trunc(to, inner.args[0]);
  return emit_pure({.op = Op::Trunc, .type = to, .args = {a, kNoValue, kNoValue}});
}

Value Builder::zext(Type to, Value a) {
  require_integer(Op::ZExt, a);
  const Type from = type(a);
  if (to == from) return a;
  require(!is_float(to) && bits_of(to) > bits_of(from), "not to a wider integer", Op::ZExt);
  u64 c = 0;
  if (is_const(a, &c)) return konst(to, c);
  if (at(a).op == Op::ZExt) return zext(to, at(a).args[0]);
  return emit_pure({.op = Op::ZExt, .type = to, .args = {a, kNoValue, kNoValue}});
}

Value Builder::sext(Type to, Value a) {
  require_integer(Op::SExt, a);
  const Type from = type(a);
  if (to == from) return a;
  require(!is_float(to) && bits_of(to) > bits_of(from), "not to a wider integer", Op::SExt);
  u64 c = 0;
  if (is_const(a, &c)) return konst(to, static_cast<u64>(signed_value(from, c)));
  if (from == Type::I1) return sub(konst(to, 0), zext(to, a));  // the executors extend I8 and wider
  if (at(a).op == Op::SExt) return sext(to, at(a).args[0]);
  if (at(a).op == Op::ZExt) return zext(to, at(a).args[0]);  // its top bit is 0
  return emit_pure({.op = Op::SExt, .type = to, .args = {a, kNoValue, kNoValue}});
}

Value Builder::bitcast(Type to, Value a) {
  require(a < unit_.insts.size(), "an operand is missing", Op::Bitcast);
  const Type from = type(a);
  if (to == from) return a;
  require(bits_of(to) == bits_of(from) && is_float(to) != is_float(from), "not the same width", Op::Bitcast);
  u64 c = 0;
  if (is_const(a, &c)) return konst(to, c);
  if (at(a).op == Op::Bitcast) return bitcast(to, at(a).args[0]);
  return emit_pure({.op = Op::Bitcast, .type = to, .args = {a, kNoValue, kNoValue}});
}

// ---- addresses

void Builder::fold_address(Value& address, MemAttr& attr) {
  // A narrower sum wraps before it is widened to an address, so it is not the address plus an offset.
  const Type t = type(address);
  if (bits_of(t) < arch_.address_bits()) return;
  u64 c = 0;
  while (at(address).op == Op::Add && is_const(at(address).args[1], &c)) {
    if (!add_to_offset(signed_value(t, c), attr.offset)) return;
    address = at(address).args[0];
  }
  if (attr.offset != 0 && is_const(address, &c)) {
    address = konst(t, c + static_cast<u64>(std::int64_t{attr.offset}));
    attr.offset = 0;
  }
}

}  // namespace hindcast::ir
