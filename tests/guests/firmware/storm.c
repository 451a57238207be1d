// A guest that generates code as a JIT does, far more of it than a code cache holds: ROUNDS times FUNCTIONS
// functions of 63 different instructions and a return, each called twice, in one buffer that is overwritten
// in every round.
#include "board.h"

enum { kInsns = 64 };
static uint32_t buffer[FUNCTIONS][kInsns] __attribute__((aligned(4096)));

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  put_text("unexpected trap ");
  put_hex(cause, 8);
  put_hex(epc, 8);
  put_hex(tval, 8);
  put_char('\n');
  power_off(1);
}

static uint32_t state = 1;
static uint32_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

// One instruction on a0..a3 (32-bit results on both widths), and what it does, for the check.
static uint32_t generate(uint32_t r, uint32_t regs[4]) {
  uint32_t rd = r & 3, rs = r >> 2 & 3, imm = r >> 8 & 1023;
  uint32_t fields = (rd + 10) << 7 | (rs + 10) << 15;
  switch (r >> 4 & 3) {
    case 0:  // addiw or addi
      regs[rd] = regs[rs] + imm;
      return imm << 20 | fields | (__riscv_xlen == 64 ? 0x1b : 0x13);
    case 1:  // xori
      regs[rd] = regs[rs] ^ imm;
      return imm << 20 | 4 << 12 | fields | 0x13;
    case 2: {  // slliw or slli
      uint32_t shift = imm & 31;
      regs[rd] = regs[rs] << shift;
      return shift << 20 | 1 << 12 | fields | (__riscv_xlen == 64 ? 0x1b : 0x13);
    }
    default: {  // subw or sub
      uint32_t other = imm & 3;
      regs[rd] = regs[rs] - regs[other];
      return 0x20u << 25 | (other + 10) << 20 | fields | (__riscv_xlen == 64 ? 0x3b : 0x33);
    }
  }
}

typedef uintptr_t (*Code)(uintptr_t, uintptr_t, uintptr_t, uintptr_t);

int main(unsigned hart) {
  (void)hart;
  static uint32_t expected[FUNCTIONS];
  uint32_t sum = 0;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    for (uint32_t f = 0; f < FUNCTIONS; f++) {
      uint32_t regs[4] = {f, round, 12345, 678};
      for (int i = 0; i < kInsns - 1; i++) buffer[f][i] = generate(next_random(), regs);
      buffer[f][kInsns - 1] = 0x8067;
      expected[f] = regs[0];
    }
    asm volatile("fence.i" : : : "memory");
    for (uint32_t f = 0; f < FUNCTIONS; f++) {
      Code code = (Code)(uintptr_t)buffer[f];
      for (int call = 0; call < 2; call++) {
        uint32_t got = (uint32_t)code(f, round, 12345, 678);
        if (got != expected[f]) {
          put_text("WRONG in function ");
          put_number(f);
          put_text(" of round ");
          put_number(round);
          put_char('\n');
          return 1;
        }
        sum = sum * 31 + got;
      }
    }
    put_text("round ");
    put_number(round);
    put_char(' ');
    put_hex(sum, 8);
    put_char('\n');
  }
  return 0;
}
