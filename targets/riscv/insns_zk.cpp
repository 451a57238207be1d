#include "targets/riscv/chapters.h"
#include "targets/riscv/crypto.h"
#include "targets/riscv/emit_int.h"

namespace hindcast::riscv {
namespace {

constexpr u64 half_mask(unsigned bits) { return (u64{1} << bits) - 1; }

/// The low `bits` of rs1 below those of rs2.
Value packed(Emitter& e, unsigned bits) {
  const Value mask = e.b.konst(e.xt, half_mask(bits));
  const Value high = e.b.binary(Op::Shl, e.b.band(e.rs2(), mask), e.b.konst(e.xt, bits));
  return e.b.bor(e.b.band(e.rs1(), mask), high);
}
void pack(Emitter& e) { e.set_rd(packed(e, e.arch.xlen() / 2)); }
void packh(Emitter& e) { e.set_rd(packed(e, 8)); }
void packw(Emitter& e) { e.set_rd(e.sext(e.low(Type::I32, packed(e, 16)))); }

void set_from_pure(Emitter& e, u32 helper, Value a, Value b = ir::kNoValue, Value c = ir::kNoValue) {
  e.set_rd(e.low(e.xt, e.b.call_pure(helper, a, b, c)));
}
template <u32 Helpers::*which>
void one_operand(Emitter& e) {
  set_from_pure(e, helpers().*which, e.wide(e.rs1()));
}
template <unsigned width>
void permute(Emitter& e) {
  set_from_pure(e, helpers().crossbar, e.wide(e.rs1()), e.wide(e.rs2()), e.b.i64(width | e.arch.xlen() << 8));
}

template <Aes64 step>
void aes_byte(Emitter& e) {
  const u64 how = static_cast<u64>(e.o.imm) | static_cast<u64>(step) << 2;
  set_from_pure(e, helpers().aes32, e.wide(e.rs1()), e.wide(e.rs2()), e.b.i64(how));
}
template <Aes64 step>
void aes_half(Emitter& e) {
  set_from_pure(e, helpers().aes64, e.rs1(), e.rs2(), e.b.i64(static_cast<u64>(step)));
}
void aes_key_start(Emitter& e) {
  set_from_pure(e, helpers().aes64ks1i, e.rs1(), e.b.i64(static_cast<u64>(e.o.imm)));
}
/// Each of two words is the exclusive or of the word before it with one of the earlier key.
void aes_key_next(Emitter& e) {
  const Value thirty_two = e.b.i64(32), key = e.rs2();
  const Value first = e.b.bxor(e.b.binary(Op::Shr, e.rs1(), thirty_two), e.b.band(key, e.b.i64(0xffff'ffff)));
  const Value second = e.b.bxor(first, e.b.binary(Op::Shr, key, thirty_two));
  e.set_rd(e.b.bor(first, e.b.binary(Op::Shl, second, thirty_two)));
}

template <unsigned which>
void sm4_byte(Emitter& e) {
  const u64 how = static_cast<u64>(e.o.imm) | which << 2;
  const Value result = e.b.call_pure(helpers().sm4, e.wide(e.rs1()), e.wide(e.rs2()), e.b.i64(how));
  e.set_rd(e.sext(e.low(Type::I32, result)));
}

/// The value rotated right by two counts and shifted, or rotated, by a third, all three combined.
template <unsigned first, unsigned second, unsigned third, bool shifts>
Value mixed(Emitter& e, Value v) {
  const Type type = e.b.type(v);
  const auto moved = [&](Op op, unsigned count) { return e.b.binary(op, v, e.b.konst(type, count)); };
  return e.b.bxor(e.b.bxor(moved(Op::Rotr, first), moved(Op::Rotr, second)),
                  moved(shifts ? Op::Shr : Op::Rotr, third));
}
template <unsigned first, unsigned second, unsigned third, bool shifts>
void sha256(Emitter& e) {
  e.set_rd(e.sext(mixed<first, second, third, shifts>(e, e.low(Type::I32, e.rs1()))));
}
template <unsigned first, unsigned second, unsigned third, bool shifts>
void sha512(Emitter& e) {
  e.set_rd(mixed<first, second, third, shifts>(e, e.rs1()));
}
/// On RV32 two registers hold the operand, and an instruction gives one half of the result: the one that rs1
/// has of the operand.
Value joined(Emitter& e, Value low, Value high) {
  return e.b.bor(e.wide(low), e.b.binary(Op::Shl, e.wide(high), e.b.i64(32)));
}
template <unsigned first, unsigned second, unsigned third, bool shifts>
void sha512_low(Emitter& e) {
  const Value all = mixed<first, second, third, shifts>(e, joined(e, e.rs1(), e.rs2()));
  e.set_rd(e.low(Type::I32, all));
}
template <unsigned first, unsigned second, unsigned third, bool shifts>
void sha512_high(Emitter& e) {
  const Value all = mixed<first, second, third, shifts>(e, joined(e, e.rs2(), e.rs1()));
  e.set_rd(e.low(Type::I32, e.b.binary(Op::Shr, all, e.b.i64(32))));
}

template <unsigned first, unsigned second>
void sm3(Emitter& e) {
  const Value v = e.low(Type::I32, e.rs1());
  const auto rotated = [&](unsigned count) { return e.b.binary(Op::Rotr, v, e.b.i32(count)); };
  e.set_rd(e.sext(e.b.bxor(e.b.bxor(v, rotated(first)), rotated(second))));
}

}  // namespace

std::span<const InsnRow> rows_zk() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv32 = Xlen::Rv32, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_zk.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
