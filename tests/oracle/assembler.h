// A few RISC-V instructions as a writer of bytes, for the code around the instructions under test.
#pragma once
#include "engine/types.h"

namespace hindcast::oracle {

/// Integer registers by number; the choice is the caller's.
using Reg = unsigned;

class Assembler {
 public:
  Assembler(unsigned xlen, GuestAddr base) : xlen_(xlen), base_(base) {}

  GuestAddr pc() const { return base_ + bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }

  void insn(u32 bits, unsigned length);
  /// 32-bit instruction formats: opcode with funct3, registers, and an immediate in its range.
  void r_type(u32 opcode, u32 funct3, u32 funct7, Reg rd, Reg rs1, Reg rs2);
  void i_type(u32 opcode, u32 funct3, Reg rd, Reg rs1, i32 imm);
  void s_type(u32 opcode, u32 funct3, Reg rs2, Reg rs1, i32 imm);
  void branch(u32 funct3, Reg rs1, Reg rs2, GuestAddr target);

  void addi(Reg rd, Reg rs1, i32 imm) { i_type(0x13, 0, rd, rs1, imm); }
  void auipc(Reg rd, u32 upper) { insn((upper & 0xfffff) << 12 | rd << 7 | 0x17, 4); }
  void li(Reg rd, i32 value);         // up to 32 bits, sign-extended
  void la(Reg rd, GuestAddr target);  // pc-relative
  void jump(GuestAddr target);        // within 1 MiB
  void load(Reg rd, Reg base, i32 at) { i_type(0x03, xlen_ == 64 ? 3 : 2, rd, base, at); }  // XLEN bits
  void store(Reg rs, Reg base, i32 at) { s_type(0x23, xlen_ == 64 ? 3 : 2, rs, base, at); }
  void load_double(Reg fd, Reg base, i32 at) { i_type(0x07, 3, fd, base, at); }
  void store_double(Reg fs, Reg base, i32 at) { s_type(0x27, 3, fs, base, at); }
  void csrr(Reg rd, u32 csr) { i_type(0x73, 2, rd, 0, static_cast<i32>(csr)); }
  void csrw(u32 csr, Reg rs) { i_type(0x73, 1, 0, rs, static_cast<i32>(csr)); }
  void csr_swap(Reg reg, u32 csr) { i_type(0x73, 1, reg, reg, static_cast<i32>(csr)); }
  void mret() { insn(0x30200073, 4); }

 private:
  unsigned xlen_;
  GuestAddr base_;
  Bytes bytes_;
};

}  // namespace hindcast::oracle
