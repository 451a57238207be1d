// 16-bit instructions. In an IT block data processing sets no flags.
#include <bit>

#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {
namespace {

void result(Emitter& e, Value v) {
  if (!e.in_it()) e.set_nz(v);
  e.set_rd(v);
}
void shifted_result(Emitter& e, const Shifted& s) {
  if (!e.in_it()) e.set_carry_unless_absent(s.carry);
  result(e, s.value);
}
void sum(Emitter& e, Value a, Value b) {
  const Value v = e.b.add(a, b);
  if (!e.in_it()) e.set_add_flags(a, b, v);
  e.set_rd(v);
}
void difference(Emitter& e, Value a, Value b) {
  const Value v = e.b.sub(a, b);
  if (!e.in_it()) e.set_sub_flags(a, b, v);
  e.set_rd(v);
}

template <Shift shift>
void t16_shift_imm(Emitter& e) {
  shifted_result(e, e.shift_imm(shift, e.rm(), e.o.imm));
}
template <Shift shift>
void t16_shift_reg(Emitter& e) {
  shifted_result(e, e.shift_reg(shift, e.rd(), e.rm(), !e.in_it()));
}
void t16_mov_flags(Emitter& e) {
  const Value v = e.rm();
  e.set_nz(v);
  e.set_rd(v);
}
void t16_mov_imm(Emitter& e) { result(e, e.imm()); }
void t16_add(Emitter& e) { sum(e, e.rn(), e.rm()); }
void t16_sub(Emitter& e) { difference(e, e.rn(), e.rm()); }
void t16_add_imm(Emitter& e) { sum(e, e.rn(), e.imm()); }
void t16_sub_imm(Emitter& e) { difference(e, e.rn(), e.imm()); }
void t16_rsb(Emitter& e) { difference(e, e.b.i32(0), e.rn()); }
void t16_adc(Emitter& e) { e.set_rd(e.add_with_carry(e.rd(), e.rm(), !e.in_it())); }
void t16_sbc(Emitter& e) { e.set_rd(e.add_with_carry(e.rd(), e.b.bnot(e.rm()), !e.in_it())); }
void t16_cmp_imm(Emitter& e) { e.set_sub_flags(e.rn(), e.imm(), e.b.sub(e.rn(), e.imm())); }
void t16_cmp(Emitter& e) { e.set_sub_flags(e.rn(), e.rm(), e.b.sub(e.rn(), e.rm())); }
void t16_cmn(Emitter& e) { e.set_add_flags(e.rn(), e.rm(), e.b.add(e.rn(), e.rm())); }
void t16_tst(Emitter& e) { e.set_nz(e.b.band(e.rn(), e.rm())); }
template <Op op>
void t16_logical(Emitter& e) {
  result(e, e.b.binary(op, e.rd(), e.rm()));
}
void t16_bic(Emitter& e) { result(e, e.b.band(e.rd(), e.b.bnot(e.rm()))); }
void t16_mvn(Emitter& e) { result(e, e.b.bnot(e.rm())); }
void t16_mul(Emitter& e) { result(e, e.b.binary(Op::Mul, e.rd(), e.rm())); }
void t16_add_high(Emitter& e) { e.set_rd_checked(e.b.add(e.rd(), e.rm())); }
void t16_mov(Emitter& e) { e.set_rd_checked(e.rm()); }

void t16_ldr_literal(Emitter& e) { load_to_rt<Type::I32, false>(e, e.b.i32(e.aligned_pc() + e.o.imm), true); }
template <Type type>
void t16_store_reg(Emitter& e) {
  e.store(type, e.b.add(e.rn(), e.rm()), e.rt());
}
template <Type type, bool is_signed>
void t16_load_reg(Emitter& e) {
  load_to_rt<type, is_signed>(e, e.b.add(e.rn(), e.rm()));
}
template <Type type>
void t16_store_imm(Emitter& e) {
  e.store(type, e.rn(), e.rt(), static_cast<i32>(e.o.imm), e.o.n == kSp);
}
template <Type type>
void t16_load_imm(Emitter& e) {
  load_to_rt<type, false>(e, e.b.add(e.rn(), e.imm()), e.o.n == kSp);
}
void t16_adr(Emitter& e) { e.set_rd(e.b.i32(e.aligned_pc() + e.o.imm)); }
void t16_add_sp(Emitter& e) {
  const Value v = e.b.add(e.rn(), e.imm());
  if (e.o.d == kSp) e.check_stack(v);
  e.set_aligned(e.o.d, v);
}
void t16_sub_sp(Emitter& e) {
  const Value v = e.b.sub(e.rn(), e.imm());
  e.check_stack(v);
  e.set_aligned(e.o.d, v);
}

void t16_stm(Emitter& e) {
  const u32 bytes = 4 * static_cast<u32>(std::popcount(e.o.list));
  if (bytes == 0) return e.undefined();
  store_multiple(e, e.o.n, e.o.list, 0);
  e.set_r(e.o.n, e.b.add(e.rn(), e.b.i32(bytes)));
}
void t16_ldm(Emitter& e) {
  const i32 bytes = 4 * std::popcount(e.o.list);
  if (bytes == 0) return e.undefined();
  load_multiple(e, e.o.n, e.o.list, 0, bytes);
}
void t16_push(Emitter& e) {
  const u32 list = (e.o.list & 0xff) | (e.o.list >> 8 & 1) << kLr;
  const i32 bytes = 4 * std::popcount(list);
  if (bytes == 0) return e.undefined();
  check_stack_move(e, -bytes);
  store_multiple(e, kSp, list, -bytes);
  e.set_aligned(kSp, e.b.sub(e.r(kSp), e.b.i32(static_cast<u32>(bytes))));
}
void t16_pop(Emitter& e) {
  const u32 list = (e.o.list & 0xff) | (e.o.list >> 8 & 1) << kPc;
  const i32 bytes = 4 * std::popcount(list);
  if (bytes == 0) return e.undefined();
  check_stack_move(e, bytes);
  load_multiple(e, kSp, list, 0, bytes);
}

template <bool nonzero>
void cbz(Emitter& e) {
  const Op op = nonzero ? Op::CmpNe : Op::CmpEq;
  e.b.branch_pc(e.b.compare(op, e.rn(), e.b.i32(0)), e.pc + 4 + e.o.imm, e.next);
  e.ended = true;
}
template <Type type, bool is_signed>
void t16_extend(Emitter& e) {
  e.set_rd(extended(e, e.b.trunc(type, e.rm()), is_signed));
}

}  // namespace

std::span<const InsnRow> rows_t16() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_t16.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
