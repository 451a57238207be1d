// The few encodings that tests of the privileged architecture write by hand.
#pragma once
#include "engine/types.h"

namespace hindcast::test::rv {

inline constexpr unsigned zero = 0, ra = 1, sp = 2, t0 = 5, t1 = 6, t2 = 7, a0 = 10, a1 = 11, a2 = 12,
                          a3 = 13;

constexpr u32 i_type(u32 opcode, u32 funct3, u32 rd, u32 rs1, u32 imm) {
  return imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
constexpr u32 addi(u32 rd, u32 rs1, i32 imm) { return i_type(0x13, 0, rd, rs1, static_cast<u32>(imm)); }
constexpr u32 lw(u32 rd, u32 rs1, i32 imm = 0) { return i_type(0x03, 2, rd, rs1, static_cast<u32>(imm)); }
constexpr u32 ld(u32 rd, u32 rs1, i32 imm = 0) { return i_type(0x03, 3, rd, rs1, static_cast<u32>(imm)); }
constexpr u32 sw(u32 rs2, u32 rs1) { return rs2 << 20 | rs1 << 15 | 2 << 12 | 0x23; }
constexpr u32 csrrw(u32 rd, u32 csr, u32 rs1) { return i_type(0x73, 1, rd, rs1, csr); }
constexpr u32 csrrs(u32 rd, u32 csr, u32 rs1) { return i_type(0x73, 2, rd, rs1, csr); }
constexpr u32 csrrc(u32 rd, u32 csr, u32 rs1) { return i_type(0x73, 3, rd, rs1, csr); }
constexpr u32 csrr(u32 rd, u32 csr) { return csrrs(rd, csr, 0); }
constexpr u32 csrw(u32 csr, u32 rs1) { return csrrw(0, csr, rs1); }
constexpr u32 fadd_s(u32 rd, u32 rs1, u32 rs2, u32 rm = 7) {
  return rs2 << 20 | rs1 << 15 | rm << 12 | rd << 7 | 0x53;
}
constexpr u32 lr_w(u32 rd, u32 rs1) { return 0x2u << 27 | rs1 << 15 | 2 << 12 | rd << 7 | 0x2f; }
constexpr u32 sc_w(u32 rd, u32 rs2, u32 rs1) {
  return 0x3u << 27 | rs2 << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x2f;
}
inline constexpr u32 kNop = 0x13, kEcall = 0x73, kEbreak = 0x100073, kMret = 0x30200073, kWfi = 0x10500073,
                     kSpinHere = 0x6f;

// CSR numbers.
inline constexpr u32 fflags = 1, frm = 2, fcsr = 3, mstatus = 0x300, misa = 0x301, mie = 0x304, mtvec = 0x305,
                     mcounteren = 0x306, mcountinhibit = 0x320, mscratch = 0x340, mepc = 0x341,
                     mcause = 0x342, mtval = 0x343, mip = 0x344, pmpcfg0 = 0x3a0, pmpaddr0 = 0x3b0,
                     tselect = 0x7a0, tdata1 = 0x7a1, mcycle = 0xb00, minstret = 0xb02, minstreth = 0xb82,
                     cycle = 0xc00, time = 0xc01, instret = 0xc02, hpmcounter3 = 0xc03, mvendorid = 0xf11,
                     mhartid = 0xf14;

}  // namespace hindcast::test::rv
