// Emit functions of the integer instructions. Compressed instructions decode into the same operands and share
// them.
#pragma once
#include "targets/riscv/emitter.h"

namespace hindcast::riscv {

inline void lui(Emitter& e) { e.set_rd(e.imm()); }
inline void auipc(Emitter& e) {
  e.set_rd(e.b.konst(e.xt, e.arch.truncate(e.pc + static_cast<u64>(e.o.imm))));
}
inline void jal(Emitter& e) { e.jump(e.arch.truncate(e.pc + static_cast<u64>(e.o.imm))); }
inline void jalr(Emitter& e) { e.jump(e.address()); }

template <Op compare>
void branch(Emitter& e) {
  e.branch(e.b.compare(compare, e.rs1(), e.rs2()), e.arch.truncate(e.pc + static_cast<u64>(e.o.imm)));
}

inline MemAttr at_offset(const Emitter& e) {
  MemAttr attr;
  attr.offset = static_cast<i32>(e.o.imm);
  return attr;
}
template <Type type>
void load_signed(Emitter& e) {
  e.set_rd(e.sext(e.b.load(type, e.rs1(), at_offset(e))));
}
template <Type type>
void load_unsigned(Emitter& e) {
  e.set_rd(e.zext(e.b.load(type, e.rs1(), at_offset(e))));
}
template <Type type>
void store(Emitter& e) {
  e.b.store(e.rs1(), e.low(type, e.rs2()), at_offset(e));
}

// XLEN-wide; IR takes shift counts modulo the width, as the manual does.
template <Op op>
void alu(Emitter& e) {
  e.set_rd(e.b.binary(op, e.rs1(), e.rs2()));
}
template <Op op>
void alu_imm(Emitter& e) {
  e.set_rd(e.b.binary(op, e.rs1(), e.imm()));
}
template <Op compare>
void set_less(Emitter& e) {
  e.set_rd(e.zext(e.b.compare(compare, e.rs1(), e.rs2())));
}
template <Op compare>
void set_imm(Emitter& e) {
  e.set_rd(e.zext(e.b.compare(compare, e.rs1(), e.imm())));
}

// RV64's word instructions: 32 bits wide, result sign-extended.
template <Op op>
void aluw(Emitter& e) {
  e.set_rd(e.sext(e.b.binary(op, e.low(Type::I32, e.rs1()), e.low(Type::I32, e.rs2()))));
}
template <Op op>
void aluw_imm(Emitter& e) {
  e.set_rd(e.sext(e.b.binary(op, e.low(Type::I32, e.rs1()), e.b.i32(static_cast<u32>(e.o.imm)))));
}

/// The low bits, extended again.
template <Type type>
void extend_sign(Emitter& e) {
  e.set_rd(e.sext(e.low(type, e.rs1())));
}
template <Type type>
void extend_zero(Emitter& e) {
  e.set_rd(e.zext(e.low(type, e.rs1())));
}

}  // namespace hindcast::riscv
