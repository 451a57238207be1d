#include "tests/oracle/assembler.h"

namespace hindcast::oracle {

void Assembler::insn(u32 bits, unsigned length) {
  for (unsigned i = 0; i < length; ++i) bytes_.push_back(static_cast<u8>(bits >> (8 * i)));
}

void Assembler::r_type(u32 opcode, u32 funct3, u32 funct7, Reg rd, Reg rs1, Reg rs2) {
  insn(funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode, 4);
}

void Assembler::i_type(u32 opcode, u32 funct3, Reg rd, Reg rs1, i32 imm) {
  insn(static_cast<u32>(imm) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode, 4);
}

void Assembler::s_type(u32 opcode, u32 funct3, Reg rs2, Reg rs1, i32 imm) {
  const u32 u = static_cast<u32>(imm);
  insn((u >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (u & 0x1f) << 7 | opcode, 4);
}

void Assembler::branch(u32 funct3, Reg rs1, Reg rs2, GuestAddr target) {
  const u32 u = static_cast<u32>(target - pc());
  insn((u >> 12 & 1) << 31 | (u >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 |
           (u >> 1 & 0xf) << 8 | (u >> 11 & 1) << 7 | 0x63,
       4);
}

void Assembler::li(Reg rd, i32 value) {
  const u32 upper = (static_cast<u32>(value) + 0x800) >> 12;
  const i32 low = static_cast<i32>(static_cast<u32>(value) << 20) >> 20;
  insn(upper << 12 | rd << 7 | 0x37, 4);
  // addiw keeps the sum within 32 bits on RV64.
  i_type(xlen_ == 64 ? 0x1b : 0x13, 0, rd, rd, low);
}

void Assembler::la(Reg rd, GuestAddr target) {
  const u32 offset = static_cast<u32>(target - pc());
  auipc(rd, (offset + 0x800) >> 12);
  addi(rd, rd, static_cast<i32>(offset << 20) >> 20);
}

void Assembler::jump(GuestAddr target) {
  const u32 u = static_cast<u32>(target - pc());
  insn((u >> 20 & 1) << 31 | (u >> 1 & 0x3ff) << 21 | (u >> 11 & 1) << 20 | (u >> 12 & 0xff) << 12 | 0x6f, 4);
}

}  // namespace hindcast::oracle
