#include "targets/riscv/chapters.h"
#include "targets/riscv/emit_fp.h"

namespace hindcast::riscv {

bool rounding_mode(Emitter& e, Round* round) {
  constexpr u8 kDynamic = 7, kModes = 5;
  const u64 frm = e.b.context() >> context::kFrmShift & 7;
  if (e.o.rm == kDynamic ? frm >= kModes : e.o.rm >= kModes) {
    e.illegal();
    return false;
  }
  *round = e.o.rm == kDynamic ? Round::Dynamic : static_cast<Round>(e.o.rm);  // the same numbers
  return true;
}

Value inject_sign(Emitter& e, Sign how, Value a, Value b) {
  const Type type = e.b.type(a);
  const Value sign = e.b.konst(type, u64{1} << (ir::bits_of(type) - 1));
  if (how == Sign::Xor) return e.b.bxor(a, e.b.band(b, sign));
  if (how == Sign::Negate) b = e.b.bnot(b);
  return e.b.bor(e.b.band(a, e.b.bnot(sign)), e.b.band(b, sign));
}

namespace {

template <Type type>
Value freg(Emitter& e, unsigned n) {
  return type == Type::F32 ? e.f32(n) : e.f64(n);
}
template <Type type>
void set_freg(Emitter& e, Value v) {
  type == Type::F32 ? e.set_f32(v) : e.set_f64(v);
}
template <Type type>
constexpr Type int_type() {
  return type == Type::F32 ? Type::I32 : Type::I64;
}

template <Op op, Type type>
void arith(Emitter& e) {
  Round round;
  if (!rounding_mode(e, &round)) return;
  set_freg<type>(e, e.b.fp(op, type, round, freg<type>(e, e.o.rs1), freg<type>(e, e.o.rs2)));
}

template <Type type>
void square_root(Emitter& e) {
  Round round;
  if (!rounding_mode(e, &round)) return;
  set_freg<type>(e, e.b.fp(Op::FSqrt, type, round, freg<type>(e, e.o.rs1)));
}

/// `negations` as FMulAdd has them: bit 0 the product, bit 1 the addend.
template <Type type, u8 negations>
void fused(Emitter& e) {
  Round round;
  if (!rounding_mode(e, &round)) return;
  set_freg<type>(e, e.b.fp(Op::FMulAdd, type, round, freg<type>(e, e.o.rs1), freg<type>(e, e.o.rs2),
                           freg<type>(e, e.o.rs3), negations));
}

template <Op op, Type type>
void min_max(Emitter& e) {
  set_freg<type>(e, e.b.fp(op, type, Round::NearestEven, freg<type>(e, e.o.rs1), freg<type>(e, e.o.rs2)));
}

template <Sign how, Type type>
void sign(Emitter& e) {
  const Value a = freg<type>(e, e.o.rs1);
  if (how == Sign::Copy && e.o.rs1 == e.o.rs2) return set_freg<type>(e, a);  // fmv
  const Value a_bits = e.b.bitcast(int_type<type>(), a);
  const Value b_bits = e.b.bitcast(int_type<type>(), freg<type>(e, e.o.rs2));
  set_freg<type>(e, e.b.bitcast(type, inject_sign(e, how, a_bits, b_bits)));
}

template <Op op, Type type>
void compare(Emitter& e) {
  const Value a = freg<type>(e, e.o.rs1), b = freg<type>(e, e.o.rs2);
  e.set_rd(e.zext(e.b.fp(op, type, Round::NearestEven, a, b)));
  e.fs_dirty = true;
}

template <Type type>
void classify(Emitter& e) {
  const Value bits = e.b.bitcast(int_type<type>(), freg<type>(e, e.o.rs1));
  const u32 helper = type == Type::F32 ? helpers().fclass32 : helpers().fclass64;
  e.set_rd(e.low(e.xt, e.b.call_pure(helper, e.wide(bits))));
}

template <Op op, Type integer, Type type>
void to_int(Emitter& e) {
  Round round;
  if (!rounding_mode(e, &round)) return;
  e.set_rd(e.sext(e.b.fp(op, integer, round, freg<type>(e, e.o.rs1))));
  e.fs_dirty = true;
}

template <Op op, Type integer, Type type>
void from_int(Emitter& e) {
  Round round;
  if (!rounding_mode(e, &round)) return;
  set_freg<type>(e, e.b.fp(op, type, round, e.low(integer, e.rs1())));
}

/// Between single and double precision.
template <Type to>
void convert(Emitter& e) {
  constexpr Type from = to == Type::F32 ? Type::F64 : Type::F32;
  Round round;
  if (!rounding_mode(e, &round)) return;
  set_freg<to>(e, e.b.fp(Op::FConvert, to, round, freg<from>(e, e.o.rs1)));
}

/// The low bits as they are, boxed or not.
template <Type integer>
void move_to_int(Emitter& e) {
  e.set_rd(e.sext(e.low(integer, e.fbits(e.o.rs1))));
}
void move_from_int32(Emitter& e) { e.set_f32(e.b.bitcast(Type::F32, e.low(Type::I32, e.rs1()))); }
void move_from_int64(Emitter& e) { e.set_fbits(e.rs1()); }

}  // namespace

std::span<const InsnRow> rows_fd() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_fd.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
