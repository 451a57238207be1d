// Floating point. A double-precision register is two single-precision ones.
#include <vector>

#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"
#include "targets/arm/flags.h"

namespace hindcast::arm {
namespace {

using ir::kNoValue;
using ir::Round;

// ---- registers

/// A field whose bits were joined as D:Vd, as a single-precision register; and Vn:N as a double-precision
/// one.
unsigned single_of(u8 field) { return (field & 15u) << 1 | field >> 4; }
unsigned double_of(u8 field) { return (field & 1u) << 4 | field >> 1; }

Value get_single(Emitter& e, unsigned n) { return e.b.get(e.arch.s_row(n)); }
void set_single(Emitter& e, unsigned n, Value v) { e.b.set(e.arch.s_row(n), v); }
Value single_bits(Emitter& e, unsigned n) { return e.b.bitcast(Type::I32, get_single(e, n)); }
void set_single_bits(Emitter& e, unsigned n, Value v) { set_single(e, n, e.b.bitcast(Type::F32, v)); }
/// There are sixteen; the encodings of more are undefined.
Value double_bits(Emitter& e, unsigned n) {
  const Value high = e.b.binary(Op::Shl, e.wide(single_bits(e, 2 * n + 1)), e.b.i64(32));
  return e.b.bor(high, e.wide(single_bits(e, 2 * n)));
}
void set_double_bits(Emitter& e, unsigned n, Value v) {
  const Value high = e.b.trunc(Type::I32, e.b.binary(Op::Shr, v, e.b.i64(32)));
  set_single_bits(e, 2 * n, e.b.trunc(Type::I32, v));
  set_single_bits(e, 2 * n + 1, high);
}

template <Type type>
constexpr Type kBits = type == Type::F32 ? Type::I32 : Type::I64;
template <Type type>
constexpr unsigned kWidth = type == Type::F32 ? 32 : 64;

template <Type type>
unsigned rd(const Emitter& e) {
  return type == Type::F32 ? single_of(e.o.d) : e.o.d;
}
template <Type type>
unsigned rn(const Emitter& e) {
  return type == Type::F32 ? e.o.n : double_of(e.o.n);
}
template <Type type>
unsigned rm(const Emitter& e) {
  return type == Type::F32 ? single_of(e.o.m) : e.o.m;
}
template <Type type>
Value get_bits(Emitter& e, unsigned n) {
  return type == Type::F32 ? single_bits(e, n) : double_bits(e, n);
}
template <Type type>
Value get(Emitter& e, unsigned n) {
  return type == Type::F32 ? get_single(e, n) : e.b.bitcast(Type::F64, double_bits(e, n));
}
template <Type type>
void set_bits(Emitter& e, unsigned n, Value v) {
  type == Type::F32 ? set_single_bits(e, n, v) : set_double_bits(e, n, v);
}
template <Type type>
void set(Emitter& e, unsigned n, Value v) {
  type == Type::F32 ? set_single(e, n, v) : set_double_bits(e, n, e.b.bitcast(Type::I64, v));
}
/// Registers that the unit does not have.
template <Type type>
bool missing(Emitter& e, std::initializer_list<unsigned> doubles) {
  if (type == Type::F32) return false;
  for (const unsigned n : doubles) {
    if (n < 16) continue;
    e.undefined();
    return true;
  }
  return false;
}
template <Type type>
Value sign_bit(Emitter& e) {
  return e.b.konst(kBits<type>, u64{1} << (kWidth<type> - 1));
}
template <Type type>
Value negated(Emitter& e, Value v) {
  return e.b.bitcast(type, e.b.bxor(e.b.bitcast(kBits<type>, v), sign_bit<type>(e)));
}

// ---- arithmetic

template <Type type>
Value fp(Emitter& e, Op op, Value a, Value b = kNoValue) {
  return e.b.fp(op, type, Round::Dynamic, a, b);
}
template <Type type, Op op>
void arith(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rn<type>(e), rm<type>(e)})) return;
  set<type>(e, rd<type>(e), fp<type>(e, op, get<type>(e, rn<type>(e)), get<type>(e, rm<type>(e))));
}
template <Type type>
void vnmul(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rn<type>(e), rm<type>(e)})) return;
  const Value product = fp<type>(e, Op::FMul, get<type>(e, rn<type>(e)), get<type>(e, rm<type>(e)));
  set<type>(e, rd<type>(e), negated<type>(e, product));
}
/// Two roundings: the product's and the sum's.
template <Type type, bool negate_sum, bool negate_product>
void vmla(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rn<type>(e), rm<type>(e)})) return;
  Value product = fp<type>(e, Op::FMul, get<type>(e, rn<type>(e)), get<type>(e, rm<type>(e)));
  Value sum = get<type>(e, rd<type>(e));
  if (negate_product) product = negated<type>(e, product);
  if (negate_sum) sum = negated<type>(e, sum);
  set<type>(e, rd<type>(e), fp<type>(e, Op::FAdd, sum, product));
}
/// One rounding. `flags` are FMulAdd's: 1 negates the product, 2 the addend.
template <Type type, u8 flags>
void vfma(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rn<type>(e), rm<type>(e)})) return;
  set<type>(e, rd<type>(e),
            e.b.fp(Op::FMulAdd, type, Round::Dynamic, get<type>(e, rn<type>(e)), get<type>(e, rm<type>(e)),
                   get<type>(e, rd<type>(e)), flags));
}
template <Type type>
void square_root(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rm<type>(e)})) return;
  set<type>(e, rd<type>(e), fp<type>(e, Op::FSqrt, get<type>(e, rm<type>(e))));
}
template <Type type>
void move_reg(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rm<type>(e)})) return;
  set_bits<type>(e, rd<type>(e), get_bits<type>(e, rm<type>(e)));
}
template <Type type>
void absolute(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rm<type>(e)})) return;
  set_bits<type>(e, rd<type>(e), e.b.band(get_bits<type>(e, rm<type>(e)), e.b.bnot(sign_bit<type>(e))));
}
template <Type type>
void negate(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rm<type>(e)})) return;
  set_bits<type>(e, rd<type>(e), e.b.bxor(get_bits<type>(e, rm<type>(e)), sign_bit<type>(e)));
}
/// VFPExpandImm (DDI 0403, A6.4.1).
u64 expand_float(u32 imm8, Type type) {
  const unsigned exp_bits = type == Type::F32 ? 8 : 11, width = type == Type::F32 ? 32 : 64;
  const u64 sign = imm8 >> 7 & 1, b = imm8 >> 6 & 1, fraction = imm8 & 15;
  const u64 repeated = b != 0 ? (u64{1} << (exp_bits - 3)) - 1 : 0;
  const u64 exponent = (b ^ 1) << (exp_bits - 1) | repeated << 2 | (imm8 >> 4 & 3);
  const unsigned fraction_bits = width - exp_bits - 1;
  return sign << (width - 1) | exponent << fraction_bits | fraction << (fraction_bits - 4);
}
template <Type type>
void move_imm(Emitter& e) {
  if (missing<type>(e, {rd<type>(e)})) return;
  set_bits<type>(e, rd<type>(e), e.b.konst(kBits<type>, expand_float(e.o.imm, type)));
}

// ---- comparison

/// Ordered like the numbers, for those that are no NaNs and not both zero.
template <Type type>
Value order_key(Emitter& e, Value bits) {
  const Value negative = e.b.binary(Op::Sar, bits, e.b.konst(kBits<type>, kWidth<type> - 1));
  return e.b.bxor(bits, e.b.band(negative, e.b.bnot(sign_bit<type>(e))));
}
template <Type type, bool with_zero, bool signals>
void compare(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), with_zero ? 0 : rm<type>(e)})) return;
  const Value a = get<type>(e, rd<type>(e));
  const Value zero = e.b.bitcast(type, e.b.konst(kBits<type>, 0));
  const Value b = with_zero ? zero : get<type>(e, rm<type>(e));
  const Value equal = e.b.fp(Op::FCmpEq, type, Round::NearestEven, a, b);
  if (signals) e.b.fp(Op::FCmpLe, type, Round::NearestEven, a, b);  // for its exceptions
  const auto is_number = [&](Value v) {
    const Value magnitude = e.b.band(e.b.bitcast(kBits<type>, v), e.b.bnot(sign_bit<type>(e)));
    const u64 infinity = type == Type::F32 ? 0x7f800000 : 0x7ff0000000000000;
    return e.b.compare(Op::CmpLtU, magnitude, e.b.konst(kBits<type>, infinity + 1));
  };
  const Value ordered = with_zero ? is_number(a) : e.b.band(is_number(a), is_number(b));
  const Value less = e.b.compare(Op::CmpLtS, order_key<type>(e, e.b.bitcast(kBits<type>, a)),
                                 order_key<type>(e, e.b.bitcast(kBits<type>, b)));
  const Value unequal = e.b.select(less, e.b.i32(kN), e.b.i32(kC));
  const Value flags = e.b.select(equal, e.b.i32(kZ | kC), unequal);
  e.b.set(e.arch.fp_nzcv_row(), e.b.select(ordered, flags, e.b.i32(kC | kV)));
}
template <Type type, unsigned cond>
void select(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rn<type>(e), rm<type>(e)})) return;
  set_bits<type>(
      e, rd<type>(e),
      e.b.select(e.condition(cond), get_bits<type>(e, rn<type>(e)), get_bits<type>(e, rm<type>(e))));
}

// ---- conversion

enum class Rounding : u8 { Current, Zero, Away, Even, Up, Down };
constexpr Round round_of(Rounding r) {
  switch (r) {
    case Rounding::Current: return Round::Dynamic;
    case Rounding::Zero: return Round::TowardZero;
    case Rounding::Away: return Round::NearestMaxMagnitude;
    case Rounding::Even: return Round::NearestEven;
    case Rounding::Up: return Round::Up;
    case Rounding::Down: return Round::Down;
  }
  return Round::Dynamic;
}

template <Type type, bool is_signed, Rounding rounding>
void to_integer(Emitter& e) {
  if (missing<type>(e, {rm<type>(e)})) return;
  const Value v = get<type>(e, rm<type>(e));
  const Op op = is_signed ? Op::FToS : Op::FToU;
  set_single_bits(e, single_of(e.o.d), e.b.fp(op, Type::I32, round_of(rounding), v));
}
template <Type type, bool is_signed>
void from_integer(Emitter& e) {
  if (missing<type>(e, {rd<type>(e)})) return;
  const Value v = single_bits(e, single_of(e.o.m));
  set<type>(e, rd<type>(e), e.b.fp(is_signed ? Op::SToF : Op::UToF, type, Round::Dynamic, v));
}
template <Type type>
void convert_precision(Emitter& e) {
  if constexpr (type == Type::F32) {  // to double
    if (missing<Type::F64>(e, {e.o.d})) return;
    const Value v = get_single(e, single_of(e.o.m));
    set<Type::F64>(e, e.o.d, e.b.fp(Op::FConvert, Type::F64, Round::Dynamic, v));
  } else {
    if (missing<Type::F64>(e, {e.o.m})) return;
    const Value v = get<Type::F64>(e, e.o.m);
    set_single(e, single_of(e.o.d), e.b.fp(Op::FConvert, Type::F32, Round::Dynamic, v));
  }
}
/// Fraction bits of a fixed-point conversion: the immediate is imm4:i, joined here as i:imm4.
unsigned fraction_bits(const Emitter& e, unsigned size) {
  const unsigned imm5 = (e.o.imm & 15) << 1 | e.o.imm >> 4;
  return size - imm5;
}
/// Rd = helper(Rd): too rare for IR.
template <Type type>
void call_conversion(Emitter& e, u32 helper, unsigned d, bool is_signed, unsigned size, unsigned fraction) {
  const u64 how = fraction | u64{size} << 8 | u64{is_signed} << 16 | u64{type == Type::F64} << 17;
  const Value v = e.b.call(helper, e.wide(get_bits<type>(e, d)), e.b.i64(how));
  set_bits<type>(e, d, e.b.trunc(kBits<type>, v));
}
template <Type type, bool is_signed, unsigned size>
void from_fixed(Emitter& e) {
  const unsigned d = rd<type>(e), fraction = fraction_bits(e, size);
  if (missing<type>(e, {d})) return;
  if (fraction > size) return e.undefined();  // wrapped
  call_conversion<type>(e, helpers().from_fixed, d, is_signed, size, fraction);
}
template <Type type, bool is_signed, unsigned size>
void to_fixed(Emitter& e) {
  const unsigned d = rd<type>(e), fraction = fraction_bits(e, size);
  if (missing<type>(e, {d})) return;
  if (fraction > size) return e.undefined();  // wrapped
  call_conversion<type>(e, helpers().to_fixed, d, is_signed, size, fraction);
}
template <Type type, Rounding rounding, bool tells_inexact>
void round_integral(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rm<type>(e)})) return;
  const u64 mode =
      static_cast<u64>(rounding == Rounding::Current ? e.arch.rounding(e.context()) : round_of(rounding));
  const u64 how = mode | u64{tells_inexact} << 8 | u64{type == Type::F64} << 9;
  const Value source = e.wide(get_bits<type>(e, rm<type>(e)));
  const Value v = e.b.call(helpers().round_integral, source, e.b.i64(how));
  set_bits<type>(e, rd<type>(e), e.b.trunc(kBits<type>, v));
}
template <Type type, bool largest>
void extreme(Emitter& e) {
  if (missing<type>(e, {rd<type>(e), rn<type>(e), rm<type>(e)})) return;
  const Op op = largest ? Op::FMax : Op::FMin;
  set<type>(e, rd<type>(e), fp<type>(e, op, get<type>(e, rn<type>(e)), get<type>(e, rm<type>(e))));
}
constexpr u64 kToHalf = 1, kOfDouble = 2;  // what the helper of half precision is told
template <Type type, bool top>
void from_half(Emitter& e) {
  if (missing<type>(e, {rd<type>(e)})) return;
  Value v = single_bits(e, single_of(e.o.m));
  if (top) v = e.b.binary(Op::Shr, v, e.b.i32(16));
  v = e.b.call(helpers().half, e.wide(v), e.b.i64(type == Type::F64 ? kOfDouble : 0));
  set_bits<type>(e, rd<type>(e), e.b.trunc(kBits<type>, v));
}
template <Type type, bool top>
void to_half(Emitter& e) {
  if (missing<type>(e, {rm<type>(e)})) return;
  const unsigned d = single_of(e.o.d);
  const u64 how = kToHalf | (type == Type::F64 ? kOfDouble : 0);
  const Value v = e.b.call(helpers().half, e.wide(get_bits<type>(e, rm<type>(e))), e.b.i64(how));
  const Value half = e.b.trunc(Type::I32, v);
  const Value kept = e.b.band(single_bits(e, d), e.b.i32(top ? 0xffff : 0xffff0000));
  set_single_bits(e, d, e.b.bor(kept, top ? e.b.binary(Op::Shl, half, e.b.i32(16)) : half));
}

// ---- loads, stores, transfers

Value offset_address(Emitter& e) {
  const u32 by = e.o.v ? e.o.imm : u32{0} - e.o.imm;
  return e.o.n == kPc ? e.b.i32(e.aligned_pc() + by) : e.b.add(e.rn(), e.b.i32(by));
}
/// Singles from `first` on, word by word: the alignment asked for is a word's.
void load_singles(Emitter& e, Value address, unsigned first, unsigned count) {
  std::vector<Value> loaded;
  for (unsigned i = 0; i < count; ++i) {
    MemAttr attr = e.always_aligned(static_cast<i32>(4 * i));
    attr.must_align = i == 0;
    loaded.push_back(e.b.load(Type::F32, address, attr));
  }
  for (unsigned i = 0; i < count; ++i) set_single(e, first + i, loaded[i]);
}
void store_singles(Emitter& e, Value address, unsigned first, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    MemAttr attr = e.always_aligned(static_cast<i32>(4 * i));
    attr.must_align = i == 0;
    e.b.store(address, get_single(e, first + i), attr);
  }
}
template <Type type>
void load_float(Emitter& e) {
  if (missing<type>(e, {rd<type>(e)})) return;
  const bool single = type == Type::F32;
  load_singles(e, offset_address(e), single ? rd<type>(e) : 2 * rd<type>(e), single ? 1 : 2);
}
template <Type type>
void store_float(Emitter& e) {
  if (missing<type>(e, {rd<type>(e)})) return;
  const bool single = type == Type::F32;
  store_singles(e, offset_address(e), single ? rd<type>(e) : 2 * rd<type>(e), single ? 1 : 2);
}
/// The registers of a multiple transfer as singles; false: undefined.
template <Type type>
bool list(Emitter& e, unsigned& first, unsigned& count) {
  const bool single = type == Type::F32;
  first = single ? rd<type>(e) : 2 * rd<type>(e);
  count = single ? e.o.imm : e.o.imm & ~u32{1};
  if (count != 0 && first + count <= 32) return true;
  e.undefined();
  return false;
}
template <Type type, bool before>
void multiple(Emitter& e, void (*transfer)(Emitter&, Value, unsigned, unsigned)) {
  unsigned first = 0, count = 0;
  if (!list<type>(e, first, count)) return;
  const Value base = e.o.n == kPc ? e.b.i32(e.aligned_pc()) : e.rn();
  const Value by = e.b.i32(4 * e.o.imm);
  const Value lower = before ? e.b.sub(base, by) : base;
  if (e.o.n == kSp && (before || e.o.w)) e.check_stack(lower);
  transfer(e, lower, first, count);
  if (before || e.o.w) e.set_r(e.o.n, before ? lower : e.b.add(base, by));
}
template <Type type, bool before>
void load_floats(Emitter& e) {
  multiple<type, before>(e, &load_singles);
}
template <Type type, bool before>
void store_floats(Emitter& e) {
  multiple<type, before>(e, &store_singles);
}
void core_to_single(Emitter& e) { set_single_bits(e, e.o.n, e.rt()); }
void single_to_core(Emitter& e) { e.set_r(e.o.t, single_bits(e, e.o.n)); }
bool pair_missing(Emitter& e, unsigned first) {
  if (first + 1 < 32) return false;
  e.undefined();
  return true;
}
void cores_to_pair(Emitter& e, unsigned first) {
  if (pair_missing(e, first)) return;
  set_single_bits(e, first, e.rt());
  set_single_bits(e, first + 1, e.r(e.o.u));
}
void pair_to_cores(Emitter& e, unsigned first) {
  if (pair_missing(e, first)) return;
  const Value low = single_bits(e, first), high = single_bits(e, first + 1);
  e.set_r(e.o.t, low);
  e.set_r(e.o.u, high);
}
void cores_to_singles(Emitter& e) { cores_to_pair(e, single_of(e.o.m)); }
void singles_to_cores(Emitter& e) { pair_to_cores(e, single_of(e.o.m)); }
void cores_to_double(Emitter& e) { cores_to_pair(e, 2u * e.o.m); }
void double_to_cores(Emitter& e) { pair_to_cores(e, 2u * e.o.m); }
template <unsigned half>
void core_to_half(Emitter& e) {
  const unsigned n = 2 * double_of(e.o.n) + half;
  if (!pair_missing(e, n & ~1u)) set_single_bits(e, n, e.rt());
}
template <unsigned half>
void half_to_core(Emitter& e) {
  const unsigned n = 2 * double_of(e.o.n) + half;
  if (!pair_missing(e, n & ~1u)) e.set_r(e.o.t, single_bits(e, n));
}
void read_status(Emitter& e) {
  if (e.o.t == kPc) return e.set_nzcv(e.b.get(e.arch.fp_nzcv_row()));
  e.set_r(e.o.t, e.b.trunc(Type::I32, e.b.call(helpers().read_fpscr)));
}
void write_status(Emitter& e) {
  e.b.call(helpers().write_fpscr, e.wide(e.rt()));
  e.dispatch_next();
}

}  // namespace

std::span<const InsnRow> rows_vfp() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_vfp.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
