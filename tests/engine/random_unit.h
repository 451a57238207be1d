// Random IR units: every Pure and Fp op, every type, more values alive than there are registers, memory
// accesses that succeed and that do not, helpers, control flow inside instructions.
#pragma once
#include <bit>
#include <vector>

#include "engine/helpers.h"
#include "engine/ir/eval.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::test {

using ir::Op;
using ir::Round;
using ir::Type;
using ir::Value;

inline constexpr GuestAddr kRamBase = 0x10000, kRamBytes = 0x2000;
inline constexpr i64 kBudget = 1000;

inline u64 mix(u64 a, u64 b, u64 c) { return (a ^ b >> 3) * 31 + c; }
/// Reads and writes registers behind the code's back; computes like the host whatever the guest's rounding.
inline u64 stir(Vcpu& vcpu, u64 a, u64 b, u64 c) {
  auto& r = vcpu.state<FakeState>().r;
  const u64 old = r.x[1] + r.w[1] + r.d[0];
  r.x[1] += a, r.w[1] ^= static_cast<u32>(b), r.d[0] ^= c;
  const volatile double one = 1, minus_three = -3;
  r.x[2] += std::bit_cast<u64>(one / minus_three);
  return old ^ static_cast<u64>(vcpu.header().budget) ^ vcpu.pc();
}
inline u64 raise_sometimes(Vcpu& vcpu, u64 a, u64 b, u64) {
  if (a % 4 == 0) vcpu.raise({a, b});
  return a;
}
inline const u32 kMix = register_pure_helper("ir_differential.mix", mix),
                 kStir = register_helper("ir_differential.stir", stir),
                 kRaise = register_helper("ir_differential.raise", raise_sometimes);

/// Writes one.
class RandomUnit {
 public:
  RandomUnit(const Architecture& arch, Random& random, u64 context, bool narrow)
      : random_(random), b_(arch, 0x1000, context), narrow_(narrow) {}

  ir::Unit unit() {
    const unsigned insns = 1 + static_cast<unsigned>(random_.below(4));
    for (unsigned n = 0; n < insns; ++n) {
      b_.insn_start(0x1000 + 4 * n, 4);
      instruction();
    }
    switch (random_.below(4)) {
      case 0: b_.goto_pc(0x5000); break;
      case 1: b_.branch_pc(pick(Type::I1), 0x5000, 0x1000 + 4 * insns); break;
      case 2: b_.jump_indirect(pick(Type::I64)); break;
      default: b_.exit_dispatch(pick(Type::I64)); break;
    }
    return b_.take();
  }

 private:
  static constexpr Type kIntegers[] = {Type::I64, Type::I32, Type::I16, Type::I8};

  Type integer() { return kIntegers[random_.below(narrow_ ? 4 : 2)]; }
  Type floating() { return random_.chance(50) ? Type::F64 : Type::F32; }
  Type word() { return random_.chance(50) ? Type::I64 : Type::I32; }
  Round round() { return random_.chance(40) ? Round::Dynamic : static_cast<Round>(random_.below(5)); }

  void keep(Value v) { pool_[static_cast<unsigned>(b_.type(v))].push_back(v); }

  Value pick(Type t) {
    auto& pool = pool_[static_cast<unsigned>(t)];
    if (!pool.empty() && random_.chance(80)) return pool[random_.below(pool.size())];
    const Value v = leaf(t);
    pool.push_back(v);
    return v;
  }

  Value leaf(Type t) {
    switch (t) {
      case Type::I1: return b_.compare(Op::CmpLtU, pick(Type::I64), pick(Type::I64));
      case Type::F64: return b_.get(kD0 + static_cast<unsigned>(random_.below(4)));
      case Type::F32:
        // No register is an F32 (arch.h): they are halves of F64s.
        return b_.unary(Op::NanUnbox, pick(Type::F64));
      default: break;
    }
    if (random_.chance(25)) return b_.konst(t, ir::truncate(t, random_.edge()));
    switch (t) {
      case Type::I64: return b_.get(kX0 + static_cast<unsigned>(random_.below(8)));
      case Type::I32: return b_.get(kW0 + static_cast<unsigned>(random_.below(4)));
      case Type::I16: return narrow_ ? b_.get(kH0 + static_cast<unsigned>(random_.below(2))) : b_.konst(t, 3);
      default: return narrow_ ? b_.get(kB0 + static_cast<unsigned>(random_.below(2))) : b_.konst(t, 3);
    }
  }

  Value pure() {
    static constexpr Op kBinary[] = {Op::Add,  Op::Sub,  Op::Mul,  Op::MulHiS, Op::MulHiU, Op::MulHiSU,
                                     Op::DivS, Op::DivU, Op::RemS, Op::RemU,   Op::And,    Op::Or,
                                     Op::Xor,  Op::Shl,  Op::Shr,  Op::Sar,    Op::Rotl,   Op::Rotr};
    static constexpr Op kUnary[] = {Op::Clz, Op::Ctz, Op::Popcnt, Op::Bswap};
    static constexpr Op kCompare[] = {Op::CmpEq, Op::CmpNe, Op::CmpLtS, Op::CmpLtU, Op::CmpGeS, Op::CmpGeU};
    static constexpr Op kLogic[] = {Op::And, Op::Or, Op::Xor};
    const Type t = integer();
    switch (random_.below(13)) {
      case 0: {
        const Op op = kUnary[random_.below(std::size(kUnary))];
        return b_.unary(op, pick(op == Op::Bswap && t == Type::I8 ? Type::I32 : t));
      }
      case 1: return b_.compare(kCompare[random_.below(std::size(kCompare))], pick(t), pick(t));
      case 2: return b_.select(pick(Type::I1), pick(t), pick(t));
      case 3: return b_.binary(kLogic[random_.below(3)], pick(Type::I1), pick(Type::I1));
      case 4:
        return random_.chance(50) ? b_.zext(Type::I64, pick(Type::I32)) : b_.sext(Type::I64, pick(Type::I32));
      case 5: {
        const Type from = random_.chance(30)              ? Type::I1
                          : narrow_ && random_.chance(50) ? Type::I8
                                                          : Type::I32;
        const Type to = random_.chance(50) ? Type::I64 : Type::I32;
        return random_.chance(50) ? b_.zext(to, pick(from)) : b_.sext(to, pick(from));
      }
      case 6:
        return b_.trunc(random_.chance(20) ? Type::I1 : narrow_ ? Type::I16 : Type::I32, pick(Type::I64));
      case 7:
        switch (random_.below(4)) {
          case 0: return b_.bitcast(Type::F64, pick(Type::I64));
          case 1: return b_.bitcast(Type::F32, pick(Type::I32));
          case 2: return b_.bitcast(Type::I64, pick(Type::F64));
          default: return b_.bitcast(Type::I32, pick(Type::F32));
        }
      case 8: return b_.unary(Op::NanBox, pick(Type::F32));
      case 9: {
        const Value other = pick(t);
        const Value flipped = b_.binary(Op::Xor, pick(t), b_.konst(t, ir::truncate(t, ~u64{0})));
        if (random_.chance(20)) keep(flipped);
        return random_.chance(50) ? b_.binary(Op::And, flipped, other) : b_.binary(Op::And, other, flipped);
      }
      default: return b_.binary(kBinary[random_.below(std::size(kBinary))], pick(t), pick(t));
    }
  }

  Value fp() {
    static constexpr Op kBinary[] = {Op::FAdd, Op::FSub, Op::FMul, Op::FDiv, Op::FMin, Op::FMax};
    static constexpr Op kCompare[] = {Op::FCmpEq, Op::FCmpLt, Op::FCmpLe};
    const Type t = floating();
    switch (random_.below(10)) {
      case 0: return b_.fp(Op::FSqrt, t, round(), pick(t));
      case 1:
      case 2:
        return b_.fp(Op::FMulAdd, t, round(), pick(t), pick(t), pick(t), static_cast<u8>(random_.below(4)));
      case 3: return b_.fp(kCompare[random_.below(3)], t, Round::NearestEven, pick(t), pick(t));
      case 4: return b_.fp(Op::FConvert, t == Type::F64 ? Type::F32 : Type::F64, round(), pick(t));
      case 5: return b_.fp(random_.chance(50) ? Op::FToS : Op::FToU, word(), round(), pick(t));
      case 6: return b_.fp(random_.chance(50) ? Op::SToF : Op::UToF, t, round(), pick(word()));
      default: return b_.fp(kBinary[random_.below(std::size(kBinary))], t, round(), pick(t), pick(t));
    }
  }

  Value address() {
    if (random_.chance(4)) return pick(Type::I64);  // wherever that is
    return b_.add(b_.band(pick(Type::I64), b_.i64(kRamBytes - 1)), b_.i64(kRamBase - random_.below(9)));
  }

  ir::MemAttr attributes() {
    ir::MemAttr attr;
    attr.offset = static_cast<i32>(random_.below(20)) - 6;
    attr.must_align = random_.chance(6);
    return attr;
  }
  Type access_type() { return random_.chance(25) ? floating() : kIntegers[random_.below(4)]; }

  void load() {
    const Type t = access_type();
    const Value v = b_.load(t, address(), attributes());
    if (ir::is_float(t) || t == Type::I64)
      keep(v);
    else
      keep(random_.chance(50) ? b_.sext(Type::I64, v) : b_.zext(Type::I64, v));
  }
  void store() {
    const Type t = access_type();
    Value v = ir::kNoValue;
    if (ir::is_float(t))
      v = pick(t);
    else
      v = random_.chance(50) ? b_.trunc(t, pick(Type::I64)) : b_.konst(t, ir::truncate(t, random_.edge()));
    b_.store(address(), v, attributes());
  }

  void set_some() {
    for (u64 n = random_.below(5); n-- > 0;) {
      switch (random_.below(narrow_ ? 6 : 5)) {
        case 0:
        case 1: b_.set(kX0 + static_cast<unsigned>(random_.below(8)), pick(Type::I64)); break;
        case 2: b_.set(kW0 + static_cast<unsigned>(random_.below(4)), pick(Type::I32)); break;
        case 3: b_.set(kD0 + static_cast<unsigned>(random_.below(4)), pick(Type::F64)); break;
        case 4:
          b_.set(kD0 + static_cast<unsigned>(random_.below(4)), b_.unary(Op::NanBox, pick(Type::F32)));
          break;
        default:
          b_.set(kH0 + static_cast<unsigned>(random_.below(2)), pick(Type::I16));
          b_.set(kB0 + static_cast<unsigned>(random_.below(2)), pick(Type::I8));
          break;
      }
    }
  }

  void instruction() {
    // An access that is handed to the interpreter is done again from the instruction's start: what may fault
    // comes before all that changes something, floating-point flags included.
    const u64 before = random_.below(6), after = random_.below(10);
    for (u64 n = 0; n < before; ++n) {
      if (random_.chance(30))
        load();
      else if (random_.chance(8))
        keep(b_.call_pure(kMix, pick(Type::I64), pick(Type::I64), pick(Type::I64)));
      else
        keep(pure());
    }
    if (random_.chance(30)) {
      store();
    } else if (random_.chance(12)) {
      const u32 callee = random_.chance(50) ? kStir : kRaise;
      keep(b_.call(callee, pick(Type::I64), pick(Type::I64), pick(Type::I64)));
    }
    for (u64 n = 0; n < after; ++n) keep(random_.chance(60) ? pure() : fp());
    if (random_.chance(15)) {
      // Both arms set registers; what they computed is not used after them.
      const u32 yes = b_.new_block(), no = b_.new_block(), join = b_.new_block();
      b_.branch(pick(Type::I1), yes, no);
      const auto dominating = pool_;
      for (const u32 arm : {yes, no}) {
        b_.begin_block(arm);
        pool_ = dominating;
        for (u64 n = random_.below(4); n-- > 0;) keep(pure());
        set_some();
        b_.jump(join);
      }
      b_.begin_block(join);
      pool_ = dominating;
    }
    set_some();
    if (random_.chance(8)) b_.set(kX0 + 5, b_.zext(Type::I64, b_.fp_get_flags()));
    if (random_.chance(5)) b_.fp_set_flags(b_.band(pick(Type::I32), b_.i32(0x3d)));
    // Some values live on into the next instruction, as folding leaves them; most do not.
    if (random_.chance(70))
      for (auto& pool : pool_) pool.clear();
  }

  Random& random_;
  ir::Builder b_;
  bool narrow_;
  std::array<std::vector<Value>, 8> pool_;  // by type
};

}  // namespace hindcast::test
