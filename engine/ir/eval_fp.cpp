#include "engine/ir/eval_fp.h"

#include <string_view>

#include "engine/softfloat/fp.h"

namespace hindcast::ir {

namespace {

template <typename F>
u64 eval_format(const Inst& inst, Round rm, u64 wide_a, u64 wide_b, u64 wide_c, u32& flags) {
  using Bits = typename F::Bits;
  constexpr Bits kSign = Bits{1} << (F::kExpBits + F::kFracBits);
  Bits a = static_cast<Bits>(wide_a);
  const Bits b = static_cast<Bits>(wide_b);
  Bits c = static_cast<Bits>(wide_c);
  switch (inst.op) {
    case Op::FAdd: return fp::add<F>(a, b, rm, flags);
    case Op::FSub: return fp::sub<F>(a, b, rm, flags);
    case Op::FMul: return fp::mul<F>(a, b, rm, flags);
    case Op::FDiv: return fp::div<F>(a, b, rm, flags);
    case Op::FSqrt: return fp::sqrt<F>(a, rm, flags);
    case Op::FMulAdd:
      if ((inst.flags & 1) != 0) a ^= kSign;
      if ((inst.flags & 2) != 0) c ^= kSign;
      return fp::fma<F>(a, b, c, rm, flags);
    case Op::FMin: return fp::min<F>(a, b, flags);
    case Op::FMax: return fp::max<F>(a, b, flags);
    case Op::FCmpEq: return fp::eq<F>(a, b, flags);
    case Op::FCmpLt: return fp::lt<F>(a, b, flags);
    case Op::FCmpLe: return fp::le<F>(a, b, flags);
    default: return 0;
  }
}

template <typename F>
u64 to_integer(const Inst& inst, Round rm, u64 wide_a, u32& flags) {
  const auto a = static_cast<typename F::Bits>(wide_a);
  const bool wide = inst.type == Type::I64;
  if (inst.op == Op::FToS) {
    return wide ? static_cast<u64>(fp::to_i64<F>(a, rm, flags))
                : static_cast<u32>(fp::to_i32<F>(a, rm, flags));
  }
  return wide ? fp::to_u64<F>(a, rm, flags) : fp::to_u32<F>(a, rm, flags);
}

template <typename F>
u64 from_integer(const Inst& inst, Type from, Round rm, u64 a, u32& flags) {
  if (inst.op == Op::UToF) return fp::from_u64<F>(a, rm, flags);
  return fp::from_i64<F>(from == Type::I32 ? static_cast<i32>(a) : static_cast<i64>(a), rm, flags);
}

u64 eval(const Inst& inst, Type a_type, Round rm, u64 a, u64 b, u64 c, u32& flags) {
  const bool single = inst.type == Type::F32;
  switch (inst.op) {
    case Op::FConvert:
      return single ? u64{fp::convert<fp::F32, fp::F64>(a, rm, flags)}
                    : fp::convert<fp::F64, fp::F32>(static_cast<u32>(a), rm, flags);
    case Op::FToS:
    case Op::FToU:
      return a_type == Type::F32 ? to_integer<fp::F32>(inst, rm, a, flags)
                                 : to_integer<fp::F64>(inst, rm, a, flags);
    case Op::SToF:
    case Op::UToF:
      return single ? from_integer<fp::F32>(inst, a_type, rm, a, flags)
                    : from_integer<fp::F64>(inst, a_type, rm, a, flags);
    default:
      return single ? eval_format<fp::F32>(inst, rm, a, b, c, flags)
                    : eval_format<fp::F64>(inst, rm, a, b, c, flags);
  }
}

bool is_nan(Type t, u64 v) {
  return t == Type::F32 ? fp::is_nan<fp::F32>(static_cast<u32>(v)) : fp::is_nan<fp::F64>(v);
}
bool is_signaling(Type t, u64 v) {
  return t == Type::F32 ? fp::is_signaling<fp::F32>(static_cast<u32>(v)) : fp::is_signaling<fp::F64>(v);
}

constexpr u64 sign_bit(Type t) { return u64{1} << (bits_of(t) - 1); }
constexpr u64 quiet_bit(Type t) { return u64{1} << (t == Type::F32 ? 22 : 51); }

/// A NaN in the other format: its sign and the upper end of its payload.
u64 convert_nan(Type from, u64 v) {
  constexpr unsigned kDropped = 29;  // bits of an F64's fraction beyond an F32's
  if (from == Type::F32) return (v & sign_bit(from)) << 32 | u64{0x7ff} << 52 | (v & 0x7fffff) << kDropped;
  return (v & sign_bit(from)) >> 32 | u64{0xff} << 23 | (v >> kDropped & 0x7fffff);
}

/// The NaN that an operation with these operands gives. `raised`: the flags that it has raised.
u64 nan_result(const Inst& inst, Type a_type, const FpRules& rules, u64 a, u64 b, u64 c, u32 raised) {
  const u64 fresh = inst.type == Type::F32 ? rules.default_nan32 : rules.default_nan64;
  if (rules.nan == FpRules::Nan::Default) return fresh;
  u64 operands[3] = {a, b, 0};
  unsigned count = 2;
  if (inst.op == Op::FSqrt || inst.op == Op::FConvert) count = 1;
  if (inst.op == Op::FMulAdd) {
    count = 3;
    operands[0] = c ^ ((inst.flags & 2) != 0 ? sign_bit(inst.type) : 0);
    operands[1] = a ^ ((inst.flags & 1) != 0 ? sign_bit(inst.type) : 0);
    operands[2] = b;
  }
  const auto quiet = [&](u64 v) {
    return (inst.op == Op::FConvert ? convert_nan(a_type, v) : v) | quiet_bit(inst.type);
  };
  for (unsigned i = 0; i < count; ++i)
    if (is_signaling(a_type, operands[i])) return quiet(operands[i]);
  if ((raised & fp::kInvalid) != 0) return fresh;  // no operand signals, so the operation itself was invalid
  for (unsigned i = 0; i < count; ++i)
    if (is_nan(a_type, operands[i])) return quiet(operands[i]);
  return fresh;
}

// ---- subnormal numbers

constexpr u64 smallest_normal(Type t) { return u64{1} << (t == Type::F32 ? 23 : 52); }

bool is_subnormal(Type t, u64 v) {
  const u64 magnitude = v & (sign_bit(t) - 1);
  return magnitude != 0 && magnitude < smallest_normal(t);
}

u64 flush_operand(Type t, u64 v, u32& flags) {
  if (!is_subnormal(t, v)) return v;
  flags |= fp::kInputDenormal;
  return v & sign_bit(t);
}

/// A result that may be tiny by other rules than `eval`'s. `raised`: the flags of this operation.
u64 settle_tininess(const Inst& inst, Type a_type, const FpRules& rules, u64 a, u64 b, u64 c, u64 result,
                    u32& raised) {
  const u64 magnitude = result & (sign_bit(inst.type) - 1);
  bool tiny = is_subnormal(inst.type, result);
  if (magnitude == smallest_normal(inst.type) && (raised & fp::kInexact) != 0) {
    // Rounded up to the smallest normal number, or down to it?
    u32 ignored = 0;
    tiny = is_subnormal(inst.type, eval(inst, a_type, Round::TowardZero, a, b, c, ignored));
  } else if (magnitude == 0) {
    tiny = (raised & fp::kUnderflow) != 0;
  }
  if (!tiny) return result;
  if (rules.flush_to_zero) {
    raised = (raised & ~u32{fp::kInexact}) | fp::kUnderflow;
    return result & sign_bit(inst.type);
  }
  if ((raised & fp::kInexact) != 0) raised |= fp::kUnderflow;
  return result;
}

}  // namespace

u64 eval_fp(const Inst& inst, Type a_type, Round dynamic, const FpRules& rules, u64 a, u64 b, u64 c,
            u32& flags) {
  Round rm = static_cast<Round>(inst.aux);
  if (rm == Round::Dynamic) rm = dynamic;
  u32 raised = 0;
  if (rules.flush_to_zero && inst.op != Op::SToF && inst.op != Op::UToF) {
    // Operands that the operation has not may be anything.
    const std::size_t operands = std::string_view(info(inst.op).operands).size();
    a = flush_operand(a_type, a, raised);
    if (operands > 1) b = flush_operand(a_type, b, raised);
    if (operands > 2) c = flush_operand(a_type, c, raised);
  }
  u64 result = eval(inst, a_type, rm, a, b, c, raised);
  const bool rounds = (inst.op >= Op::FAdd && inst.op <= Op::FMulAdd) || inst.op == Op::FConvert;
  if (rounds && (rules.tiny_before_rounding || rules.flush_to_zero) && !is_nan(inst.type, result))
    result = settle_tininess(inst, a_type, rules, a, b, c, result, raised);
  flags |= raised;
  switch (inst.op) {
    case Op::FCmpEq:
    case Op::FCmpLt:
    case Op::FCmpLe:
    case Op::SToF:
    case Op::UToF: return result;
    case Op::FToS:
    case Op::FToU: return rules.nan_to_zero && is_nan(a_type, a) ? 0 : result;
    case Op::FMin:
    case Op::FMax:
      if (rules.signaling_min_max && (raised & fp::kInvalid) != 0) break;
      [[fallthrough]];
    default:
      if (!is_nan(inst.type, result)) return result;
      break;
  }
  return nan_result(inst, a_type, rules, a, b, c, raised);
}

}  // namespace hindcast::ir
