// A small RISC-V assembler for the engine's tests: words with labels, at a fixed address.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast::test {

enum Reg : u32 {
  zero,
  ra,
  sp,
  gp,
  tp,
  t0,
  t1,
  t2,
  s0,
  s1,
  a0,
  a1,
  a2,
  a3,
  a4,
  a5,
  a6,
  a7,
  s2,
  s3,
  s4,
  s5,
  s6,
  s7,
  s8,
  s9,
  s10,
  s11,
  t3,
  t4,
  t5,
  t6
};

namespace csr {
inline constexpr u32 fcsr = 0x003, mstatus = 0x300, mie = 0x304, mtvec = 0x305, mscratch = 0x340,
                     mepc = 0x341, mcause = 0x342, mtval = 0x343, pmpcfg0 = 0x3a0, pmpaddr0 = 0x3b0,
                     minstret = 0xb02, time = 0xc01, mhartid = 0xf14;
}

// Encodings that tests also store as data.
constexpr u32 i_type(u32 opcode, u32 funct3, u32 rd, u32 rs1, i32 imm) {
  return static_cast<u32>(imm) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
constexpr u32 r_type(u32 opcode, u32 funct3, u32 funct7, u32 rd, u32 rs1, u32 rs2) {
  return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
constexpr u32 s_type(u32 opcode, u32 funct3, u32 rs1, u32 rs2, i32 imm) {
  const u32 v = static_cast<u32>(imm);
  return (v >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (v & 31) << 7 | opcode;
}
constexpr u32 addi(u32 rd, u32 rs1, i32 imm) { return i_type(0x13, 0, rd, rs1, imm); }
inline constexpr u32 kRet = 0x00008067, kNop = 0x13, kFenceI = 0x100f, kEcall = 0x73, kEbreak = 0x100073,
                     kMret = 0x30200073, kWfi = 0x10500073, kIllegal = 0xffffffff;

class Assembler {
 public:
  explicit Assembler(GuestAddr base = 0x8000'0000) : base_(base) {}

  GuestAddr here() const { return base_ + bytes_.size(); }
  void label(const std::string& name) { labels_[name] = here(); }
  GuestAddr at(const std::string& name) const {
    const auto it = labels_.find(name);
    if (it == labels_.end()) throw Fatal("no label " + name);
    return it->second;
  }
  void word(u32 w) {
    for (unsigned i = 0; i < 4; ++i) bytes_.push_back(static_cast<u8>(w >> (8 * i)));
  }
  void half(u32 h) {
    bytes_.push_back(static_cast<u8>(h));
    bytes_.push_back(static_cast<u8>(h >> 8));
  }
  /// Zero bytes up to `address`.
  void org(GuestAddr address) {
    if (address < here()) throw Fatal("the program has passed that address");
    bytes_.resize(address - base_);
  }
  void align(u64 to) { org((here() + to - 1) & ~(to - 1)); }

  void addi(u32 rd, u32 rs1, i32 imm) { word(test::addi(rd, rs1, imm)); }
  void mv(u32 rd, u32 rs) { addi(rd, rs, 0); }
  void andi(u32 rd, u32 rs1, i32 imm) { word(i_type(0x13, 7, rd, rs1, imm)); }
  void xori(u32 rd, u32 rs1, i32 imm) { word(i_type(0x13, 4, rd, rs1, imm)); }
  void slli(u32 rd, u32 rs1, i32 n) { word(i_type(0x13, 1, rd, rs1, n)); }
  void srli(u32 rd, u32 rs1, i32 n) { word(i_type(0x13, 5, rd, rs1, n)); }
  void add(u32 rd, u32 a, u32 b) { word(r_type(0x33, 0, 0, rd, a, b)); }
  void sub(u32 rd, u32 a, u32 b) { word(r_type(0x33, 0, 0x20, rd, a, b)); }
  void xor_(u32 rd, u32 a, u32 b) { word(r_type(0x33, 4, 0, rd, a, b)); }
  void and_(u32 rd, u32 a, u32 b) { word(r_type(0x33, 7, 0, rd, a, b)); }
  void sltu(u32 rd, u32 a, u32 b) { word(r_type(0x33, 3, 0, rd, a, b)); }
  void mul(u32 rd, u32 a, u32 b) { word(r_type(0x33, 0, 1, rd, a, b)); }
  void mulhu(u32 rd, u32 a, u32 b) { word(r_type(0x33, 3, 1, rd, a, b)); }
  void div(u32 rd, u32 a, u32 b) { word(r_type(0x33, 4, 1, rd, a, b)); }
  void remu(u32 rd, u32 a, u32 b) { word(r_type(0x33, 7, 1, rd, a, b)); }
  void lui(u32 rd, u32 upper) { word(upper << 12 | rd << 7 | 0x37); }
  void load(u32 funct3, u32 rd, u32 rs1, i32 imm) { word(i_type(0x03, funct3, rd, rs1, imm)); }
  void lb(u32 rd, u32 rs1, i32 imm = 0) { load(0, rd, rs1, imm); }
  void lw(u32 rd, u32 rs1, i32 imm = 0) { load(2, rd, rs1, imm); }
  void ld(u32 rd, u32 rs1, i32 imm = 0) { load(3, rd, rs1, imm); }
  void lbu(u32 rd, u32 rs1, i32 imm = 0) { load(4, rd, rs1, imm); }
  void lhu(u32 rd, u32 rs1, i32 imm = 0) { load(5, rd, rs1, imm); }
  void sb(u32 rs2, u32 rs1, i32 imm = 0) { word(s_type(0x23, 0, rs1, rs2, imm)); }
  void sh(u32 rs2, u32 rs1, i32 imm = 0) { word(s_type(0x23, 1, rs1, rs2, imm)); }
  void sw(u32 rs2, u32 rs1, i32 imm = 0) { word(s_type(0x23, 2, rs1, rs2, imm)); }
  void sd(u32 rs2, u32 rs1, i32 imm = 0) { word(s_type(0x23, 3, rs1, rs2, imm)); }
  void fld(u32 fd, u32 rs1, i32 imm = 0) { word(i_type(0x07, 3, fd, rs1, imm)); }
  void fsd(u32 fs, u32 rs1, i32 imm = 0) { word(s_type(0x27, 3, rs1, fs, imm)); }
  /// funct7 chooses the operation: 0x01 add.d, 0x05 sub.d, 0x09 mul.d, 0x0d div.d, 0x2d sqrt.d (rs2 0), ...
  void fp(u32 funct7, u32 fd, u32 fa, u32 fb, u32 rm = 7) { word(r_type(0x53, rm, funct7, fd, fa, fb)); }
  void amo_w(u32 funct5, u32 rd, u32 rs2, u32 rs1) { word(r_type(0x2f, 2, funct5 << 2, rd, rs1, rs2)); }
  void csrrw(u32 rd, u32 csr, u32 rs1) { word(i_type(0x73, 1, rd, rs1, static_cast<i32>(csr))); }
  void csrw(u32 csr, u32 rs1) { csrrw(zero, csr, rs1); }
  void csrr(u32 rd, u32 csr) { word(i_type(0x73, 2, rd, zero, static_cast<i32>(csr))); }
  void csrs(u32 csr, u32 rs1) { word(i_type(0x73, 2, zero, rs1, static_cast<i32>(csr))); }
  void jr(u32 rs1) { word(i_type(0x67, 0, zero, rs1, 0)); }
  void jalr(u32 rd, u32 rs1) { word(i_type(0x67, 0, rd, rs1, 0)); }
  void ret() { word(kRet); }

  /// A 32-bit constant, sign-extended on RV64.
  void li(u32 rd, i64 value) {
    const u32 v = static_cast<u32>(value);
    const u32 upper = (v + 0x800) >> 12 & 0xfffff;
    const i32 lower = static_cast<i32>(v << 20) >> 20;
    if (upper == 0) return addi(rd, zero, lower);
    lui(rd, upper);
    if (lower != 0) word(i_type(wide_ ? 0x1b : 0x13, 0, rd, rd, lower));
  }
  /// Whether li() is for RV64 (addiw).
  void set_wide(bool wide) { wide_ = wide; }

  void branch(u32 funct3, u32 a, u32 b, const std::string& to) {
    fixups_.push_back({here(), to, Form::Branch});
    word(b << 20 | a << 15 | funct3 << 12 | 0x63);
  }
  void beq(u32 a, u32 b, const std::string& to) { branch(0, a, b, to); }
  void bne(u32 a, u32 b, const std::string& to) { branch(1, a, b, to); }
  void bltu(u32 a, u32 b, const std::string& to) { branch(6, a, b, to); }
  void jal(u32 rd, const std::string& to) {
    fixups_.push_back({here(), to, Form::Jump});
    word(rd << 7 | 0x6f);
  }
  void j(const std::string& to) { jal(zero, to); }
  void call(const std::string& to) { jal(ra, to); }
  /// The address of a label: auipc and addi.
  void la(u32 rd, const std::string& to) {
    fixups_.push_back({here(), to, Form::Address});
    word(rd << 7 | 0x17);
    word(i_type(0x13, 0, rd, rd, 0));
  }
  void la(u32 rd, GuestAddr to) {
    labels_["@" + std::to_string(to)] = to;
    la(rd, "@" + std::to_string(to));
  }

  /// The program's bytes, all labels resolved.
  Bytes finish() {
    for (const Fixup& f : fixups_) {
      const u32 d = static_cast<u32>(at(f.to) - f.where);
      switch (f.form) {
        case Form::Branch:
          patch(f.where,
                (d >> 12 & 1) << 31 | (d >> 5 & 0x3f) << 25 | (d >> 1 & 15) << 8 | (d >> 11 & 1) << 7);
          break;
        case Form::Jump:
          patch(f.where, (d >> 20 & 1) << 31 | (d >> 1 & 0x3ff) << 21 | (d >> 11 & 1) << 20 | (d & 0xff000));
          break;
        case Form::Address:
          patch(f.where, (d + 0x800) & 0xfffff000);
          patch(f.where + 4, d << 20);
          break;
      }
    }
    fixups_.clear();
    return bytes_;
  }

 private:
  enum class Form { Branch, Jump, Address };
  struct Fixup {
    GuestAddr where;
    std::string to;
    Form form;
  };
  void patch(GuestAddr where, u32 bits) {
    for (unsigned i = 0; i < 4; ++i) bytes_[where - base_ + i] |= static_cast<u8>(bits >> (8 * i));
  }

  GuestAddr base_;
  bool wide_ = true;
  Bytes bytes_;
  std::map<std::string, GuestAddr> labels_;
  std::vector<Fixup> fixups_;
};

}  // namespace hindcast::test
