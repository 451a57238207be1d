// Self-modifying code. Each part computes a sum through code that it rewrites while it runs; the sums are
// checked here. With FENCE=0 the fence.i after each change is left out: the emulator promises that code is
// coherent all the same (hardware, and other emulators, do not).
#include "board.h"

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  put_text("unexpected trap ");
  put_hex(cause, 8);
  put_hex(epc, 8);
  put_hex(tval, 8);
  put_char('\n');
  power_off(1);
}

#if FENCE
#define SYNC "fence.i\n"
static void sync(void) { asm volatile("fence.i" : : : "memory"); }
#else
#define SYNC ""
static void sync(void) { asm volatile("" : : : "memory"); }
#endif

static uint32_t code[1024] __attribute__((aligned(4096), section(".data")));

static uint32_t addi(unsigned rd, unsigned rs, int32_t imm) {
  return (uint32_t)imm << 20 | rs << 15 | rd << 7 | 0x13;
}
enum { kA0 = 10, kRet = 0x8067 };
typedef uint32_t (*Code)(uint32_t);

static int failures;
static void check(const char* name, uint32_t got, uint32_t expected) {
  put_text(name);
  put_text(got == expected ? " ok " : " WRONG ");
  put_hex(got, 8);
  put_char('\n');
  failures += got != expected;
}

// A loop whose body is rewritten by the loop itself in each round: `addi a0, a0, n` with n = 1, 2, 3, ...
static uint32_t own_loop(uint32_t rounds) {
  register uintptr_t sum asm("a0") = 0;
  register uintptr_t left asm("a1") = rounds;
  asm volatile(
      ".option push\n"
      ".option norvc\n"
      "  la t0, 2f\n"
      "  lw t1, 0(t0)\n"
      "  lui t2, 0x100\n"  // one step of the immediate field
      "1:\n"
      "2: addi a0, a0, 1\n"
      "  add t1, t1, t2\n"
      "  sw t1, 0(t0)\n" SYNC
      "  addi a1, a1, -1\n"
      "  bnez a1, 1b\n"
      "  sub t1, t1, t2\n"
      ".option pop\n"
      : "+r"(sum), "+r"(left)
      :
      : "t0", "t1", "t2", "memory");
  return (uint32_t)sum;
}

// Writes the instruction that follows the store, in the same straight run of code.
static uint32_t next_instruction(uint32_t rounds) {
  register uintptr_t sum asm("a0") = 0;
  register uintptr_t left asm("a1") = rounds;
  asm volatile(
      ".option push\n"
      ".option norvc\n"
      "  la t0, 2f\n"
      "  li t1, 0x00350513\n"  // addi a0, a0, 3
      "  li t2, 0x00750513\n"  // addi a0, a0, 7
      "1:\n"
      "  sw t1, 0(t0)\n" SYNC
      "2: addi a0, a0, 0\n"
      "  xor t1, t1, t2\n"  // the two in turn
      "  xor t2, t1, t2\n"
      "  xor t1, t1, t2\n"
      "  addi a1, a1, -1\n"
      "  bnez a1, 1b\n"
      ".option pop\n"
      : "+r"(sum), "+r"(left)
      :
      : "t0", "t1", "t2", "memory");
  return (uint32_t)sum;
}

// A function that another one overwrites between calls: half an instruction, a byte, then all of it.
static uint32_t patched_function(uint32_t rounds) {
  Code function = (Code)(uintptr_t)code;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < rounds; i++) {
    code[0] = addi(kA0, kA0, (int32_t)(i & 1023));
    code[1] = kRet;
    sync();
    sum = function(sum);
    ((volatile uint16_t*)code)[1] = (uint16_t)(0x0055u);  // the immediate becomes 5
    sync();
    sum = function(sum);
    ((volatile uint8_t*)code)[3] = 0x01;  // ... 21
    sync();
    sum = function(sum);
  }
  return sum;
}

static uint32_t patched_expected(uint32_t rounds) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < rounds; i++) sum += (i & 1023) + 5 + 21;
  return sum;
}

// Code and busy data in one page: stores beside the code must not make it slow, nor wrong.
static uint32_t mixed_page(uint32_t rounds) {
  Code function = (Code)(uintptr_t)code;
  code[0] = addi(kA0, kA0, 9);
  code[1] = kRet;
  sync();
  volatile uint32_t* data = code + 16;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < rounds; i++) {
    data[i & 511] += i;
    sum = function(sum);
  }
  return sum + data[7] * 0;
}

// An instruction that straddles two pages, with each half rewritten in turn.
static uint32_t across_pages(uint32_t rounds) {
#ifdef __riscv_compressed
  static uint16_t pages[2 * 2048] __attribute__((aligned(4096), section(".data")));
  volatile uint16_t* at = pages + 2047;
  Code function = (Code)(uintptr_t)at;
  at[2] = 0x8082;  // c.ret
  uint32_t sum = 0;
  for (uint32_t i = 0; i < rounds; i++) {
    uint32_t insn = addi(kA0, kA0, (int32_t)(i & 255));
    at[0] = (uint16_t)insn;
    at[1] = (uint16_t)(insn >> 16);
    sync();
    sum = function(sum);
    at[1] = (uint16_t)(addi(kA0, kA0, 1) >> 16);
    sync();
    sum = function(sum);
  }
  return sum;
#else
  uint32_t sum = 0;
  for (uint32_t i = 0; i < rounds; i++) sum += (i & 255) + 1;
  return sum;
#endif
}

int main(unsigned hart) {
  (void)hart;
  check("own loop", own_loop(500), 500 * 501 / 2);
  check("next instruction", next_instruction(1000), 500 * 3 + 500 * 7);
  check("patched function", patched_function(2000), patched_expected(2000));
  check("mixed page", mixed_page(200000), 1800000);
  uint32_t expected = 0;
  for (uint32_t i = 0; i < 1000; i++) expected += (i & 255) + 1;
  check("across pages", across_pages(1000), expected);
  return failures;
}
