// Guest programs of the replay tests, assembled here so that they need no cross compiler.
#pragma once
#include <vector>

#include "engine/types.h"

namespace hindcast::replay::test {

/// A RISC-V assembler for the few instructions that the programs use ("RISC-V Unprivileged ISA", RV64I
/// formats). Branches take labels, which may be bound later.
class Assembler {
 public:
  enum Reg : u32 { zero, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5 };
  using Label = std::size_t;

  Label label() { return (labels_.push_back(kUnbound), labels_.size() - 1); }
  void bind(Label l) { labels_[l] = here(); }

  void lui(Reg d, u32 imm20) { emit(imm20 << 12 | d << 7 | 0x37); }
  void addi(Reg d, Reg s, i32 imm) { emit(i_type(imm, s, 0, d, 0x13)); }
  void andi(Reg d, Reg s, i32 imm) { emit(i_type(imm, s, 7, d, 0x13)); }
  void slli(Reg d, Reg s, u32 n) { emit(i_type(static_cast<i32>(n), s, 1, d, 0x13)); }
  void srli(Reg d, Reg s, u32 n) { emit(i_type(static_cast<i32>(n), s, 5, d, 0x13)); }
  void srai(Reg d, Reg s, u32 n) { emit(i_type(static_cast<i32>(n | 0x400), s, 5, d, 0x13)); }
  void add(Reg d, Reg a, Reg b) { emit(b << 20 | a << 15 | d << 7 | 0x33); }
  void xor_(Reg d, Reg a, Reg b) { emit(b << 20 | a << 15 | 4 << 12 | d << 7 | 0x33); }
  void lbu(Reg d, i32 offset, Reg base) { emit(i_type(offset, base, 4, d, 0x03)); }
  void lwu(Reg d, i32 offset, Reg base) { emit(i_type(offset, base, 6, d, 0x03)); }
  void ld(Reg d, i32 offset, Reg base) { emit(i_type(offset, base, 3, d, 0x03)); }
  void sb(Reg s, i32 offset, Reg base) { emit(s_type(offset, s, base, 0)); }
  void sw(Reg s, i32 offset, Reg base) { emit(s_type(offset, s, base, 2)); }
  void sd(Reg s, i32 offset, Reg base) { emit(s_type(offset, s, base, 3)); }
  void beq(Reg a, Reg b, Label l) { branch(a, b, 0, l); }
  void bne(Reg a, Reg b, Label l) { branch(a, b, 1, l); }
  void bltu(Reg a, Reg b, Label l) { branch(a, b, 6, l); }
  void j(Label l) { beq(zero, zero, l); }
  void csrrw(u32 csr, Reg s) { emit(csr << 20 | s << 15 | 1 << 12 | 0x73); }
  void wfi() { emit(0x10500073); }
  void ebreak() { emit(0x00100073); }
  void nop() { emit(0x13); }

  Bytes take();

 private:
  static constexpr std::size_t kUnbound = ~std::size_t{0};
  struct Fixup {
    std::size_t at;
    Label label;
  };
  std::size_t here() const { return words_.size() * 4; }
  void emit(u32 word) { words_.push_back(word); }
  static u32 i_type(i32 imm, u32 s, u32 f3, u32 d, u32 opcode) {
    return static_cast<u32>(imm) << 20 | s << 15 | f3 << 12 | d << 7 | opcode;
  }
  static u32 s_type(i32 imm, u32 s, u32 base, u32 f3) {
    const u32 u = static_cast<u32>(imm);
    return (u >> 5 & 0x7f) << 25 | s << 20 | base << 15 | f3 << 12 | (u & 0x1f) << 7 | 0x23;
  }
  void branch(u32 a, u32 b, u32 f3, Label l) {
    fixups_.push_back({words_.size(), l});
    emit(b << 20 | a << 15 | f3 << 12 | 0x63);
  }

  std::vector<u32> words_;
  std::vector<std::size_t> labels_;
  std::vector<Fixup> fixups_;
};

/// Polls the UART. Echoes each byte, mixes bytes and poll counts into a checksum in memory, and stirs a
/// megabyte of memory meanwhile, so that the moment at which a byte arrives changes the state for good. 't'
/// prints the low bits of the wall clock; 'q' ends with exit code 7. `enable_fifo`: sets the UART's FIFO up
/// first.
Bytes echo_program(bool enable_fifo);
/// Prints '.' at each of `ticks` timer ticks of `period` (in units of 100 ns), sleeping in wfi between them;
/// echoes what is typed, which wakes it too. Ends with exit code 0 after the last tick, or 5 at 'q'.
Bytes ticker_program(u32 ticks, u32 period);
/// Reads the semihosting console to its end, echoing, then exits with code 0.
Bytes semihost_cat_program();
/// Sleeps with all interrupts off.
Bytes sleep_for_ever_program();
/// Jumps to where nothing is, with its trap handler there too.
Bytes fault_for_ever_program();
/// Prints a counter for ever, as fast as it can.
Bytes chatter_program();
/// Fills a megabyte with numbers that do not compress, again and again.
Bytes noise_program();

}  // namespace hindcast::replay::test
