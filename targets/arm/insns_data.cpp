// 32-bit data processing.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {

void reverse_bytes(Emitter& e) { e.set_rd(e.b.unary(Op::Bswap, e.rm())); }

void reverse_bytes_in_halves(Emitter& e) {
  const Value v = e.rm(), mask = e.b.i32(0x00ff00ff);
  const Value up = e.b.binary(Op::Shl, e.b.band(v, mask), e.b.i32(8));
  e.set_rd(e.b.bor(up, e.b.band(e.b.binary(Op::Shr, v, e.b.i32(8)), mask)));
}

void reverse_bytes_signed_half(Emitter& e) {
  e.set_rd(e.b.binary(Op::Sar, e.b.unary(Op::Bswap, e.rm()), e.b.i32(16)));
}

namespace {

/// An immediate operand, and the carry that making it produced.
Shifted operand_imm(Emitter& e) {
  bool rotated = false;
  const Value v = e.b.i32(expand_imm(e.o.imm, &rotated));
  return {v, rotated ? v : ir::kNoValue};
}
Shifted operand_reg(Emitter& e) {
  const Shift type = static_cast<Shift>(e.o.shift);
  const bool by_32 = e.o.imm == 0 && (type == Shift::Lsr || type == Shift::Asr);
  return e.shift_imm(type, e.rm(), by_32 ? 32 : e.o.imm);
}
using OperandFn = Shifted (*)(Emitter&);

void logical_result(Emitter& e, Value v, Value carry) {
  if (e.o.s) {
    e.set_carry_unless_absent(carry);
    e.set_nz(v);
  }
  e.set_rd(v);
}

template <OperandFn operand, Op op, bool invert>
void logical(Emitter& e) {
  const Shifted s = operand(e);
  logical_result(e, e.b.binary(op, e.rn(), invert ? e.b.bnot(s.value) : s.value), s.carry);
}
template <OperandFn operand, Op op>
void logical_test(Emitter& e) {
  const Shifted s = operand(e);
  e.set_carry_unless_absent(s.carry);
  e.set_nz(e.b.binary(op, e.rn(), s.value));
}
template <OperandFn operand, bool invert>
void move(Emitter& e) {
  const Shifted s = operand(e);
  logical_result(e, invert ? e.b.bnot(s.value) : s.value, s.carry);
}
template <OperandFn operand>
void add(Emitter& e) {
  const Value a = e.rn(), b = operand(e).value, v = e.b.add(a, b);
  if (e.o.d == kSp) e.check_stack(v);
  if (e.o.s) e.set_add_flags(a, b, v);
  e.set_rd(v);
}
void difference(Emitter& e, Value a, Value b) {
  const Value v = e.b.sub(a, b);
  if (e.o.d == kSp) e.check_stack(v);
  if (e.o.s) e.set_sub_flags(a, b, v);
  e.set_rd(v);
}
template <OperandFn operand>
void sub(Emitter& e) {
  difference(e, e.rn(), operand(e).value);
}
template <OperandFn operand>
void rsb(Emitter& e) {
  difference(e, operand(e).value, e.rn());
}
template <OperandFn operand>
void cmp(Emitter& e) {
  const Value a = e.rn(), b = operand(e).value;
  e.set_sub_flags(a, b, e.b.sub(a, b));
}
template <OperandFn operand>
void cmn(Emitter& e) {
  const Value a = e.rn(), b = operand(e).value;
  e.set_add_flags(a, b, e.b.add(a, b));
}
template <OperandFn operand>
void adc(Emitter& e) {
  e.set_rd(e.add_with_carry(e.rn(), operand(e).value, e.o.s));
}
template <OperandFn operand>
void sbc(Emitter& e) {
  e.set_rd(e.add_with_carry(e.rn(), e.b.bnot(operand(e).value), e.o.s));
}

template <Op op, bool invert>
void logical_imm(Emitter& e) {
  logical<operand_imm, op, invert>(e);
}
template <Op op, bool invert>
void logical_reg(Emitter& e) {
  logical<operand_reg, op, invert>(e);
}
template <Op op>
void logical_imm_test(Emitter& e) {
  logical_test<operand_imm, op>(e);
}
template <Op op>
void logical_reg_test(Emitter& e) {
  logical_test<operand_reg, op>(e);
}
template <bool invert>
void mov_imm(Emitter& e) {
  move<operand_imm, invert>(e);
}
template <bool invert>
void mov_reg(Emitter& e) {
  move<operand_reg, invert>(e);
}
constexpr auto add_imm = add<operand_imm>, add_reg = add<operand_reg>;
constexpr auto sub_imm = sub<operand_imm>, sub_reg = sub<operand_reg>;
constexpr auto rsb_imm = rsb<operand_imm>, rsb_reg = rsb<operand_reg>;
constexpr auto cmp_imm = cmp<operand_imm>, cmp_reg = cmp<operand_reg>;
constexpr auto cmn_imm = cmn<operand_imm>, cmn_reg = cmn<operand_reg>;
constexpr auto adc_imm = adc<operand_imm>, adc_reg = adc<operand_reg>;
constexpr auto sbc_imm = sbc<operand_imm>, sbc_reg = sbc<operand_reg>;

void mov_wide(Emitter& e) { e.set_rd_checked(e.rm()); }
void addw(Emitter& e) { e.set_rd_checked(e.b.add(e.rn(), e.imm())); }
void subw(Emitter& e) { e.set_rd_checked(e.b.sub(e.rn(), e.imm())); }
template <bool subtract>
void adr(Emitter& e) {
  e.set_rd(e.b.i32(subtract ? e.aligned_pc() - e.o.imm : e.aligned_pc() + e.o.imm));
}
u32 imm16(const Emitter& e) { return e.o.imm2 << 12 | e.o.imm; }
void movw(Emitter& e) { e.set_rd(e.b.i32(imm16(e))); }
void movt(Emitter& e) { e.set_rd(e.b.bor(e.b.band(e.rd(), e.b.i32(0xffff)), e.b.i32(imm16(e) << 16))); }

template <Shift shift>
void shift_reg(Emitter& e) {
  const Shifted s = e.shift_reg(shift, e.rn(), e.rm(), e.o.s);
  logical_result(e, s.value, s.carry);
}
template <Type type, bool is_signed>
void extend(Emitter& e) {
  const Value v = e.b.binary(Op::Rotr, e.rm(), e.b.i32(8 * e.o.imm));
  e.set_rd(extended(e, e.b.trunc(type, v), is_signed));
}
void reverse_bits(Emitter& e) {
  Value v = e.b.unary(Op::Bswap, e.rm());
  constexpr struct { u32 by, mask; } kSteps[] = {{4, 0x0f0f0f0f}, {2, 0x33333333}, {1, 0x55555555}};
  for (const auto& step : kSteps) {
    const Value mask = e.b.i32(step.mask), by = e.b.i32(step.by);
    v = e.b.bor(e.b.binary(Op::Shl, e.b.band(v, mask), by), e.b.band(e.b.binary(Op::Shr, v, by), mask));
  }
  e.set_rd(v);
}
void clz(Emitter& e) { e.set_rd(e.b.unary(Op::Clz, e.rm())); }

}  // namespace

std::span<const InsnRow> rows_data() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_data.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
