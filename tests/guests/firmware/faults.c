// Does one forbidden thing after another; the trap handler prints cause and trap value and goes on behind it.
#include "board.h"

enum { kNowhere = 0x08000000 };    // between the CLINT and the PLIC
static volatile uintptr_t resume;  // where to go on; 0: behind the instruction
static volatile int traps;

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  put_text(" cause ");
  put_hex(cause, 2);
  if (cause != 3) {  // a breakpoint's trap value may be 0 or the address
    put_text(" tval ");
    put_hex(tval, 8);
  }
  traps++;
  if (resume != 0) return resume;
  uint16_t low = *(const volatile uint16_t*)epc;
  return epc + ((low & 3) == 3 ? 4 : 2);
}

#define TRY(name, ...)               \
  do {                               \
    put_text(name);                  \
    traps = 0;                       \
    __VA_ARGS__;                     \
    put_text(traps ? "\n" : " -\n"); \
  } while (0)

// A jump is resumed behind itself by address, as mepc is then where it led to.
static void jump_to(uintptr_t target) {
  uintptr_t after;
  asm volatile(
      "la %0, 1f\n"
#if __riscv_xlen == 64
      "sd %0, 0(%2)\n"
#else
      "sw %0, 0(%2)\n"
#endif
      "jr %1\n"
      "1:\n"
      : "=&r"(after)
      : "r"(target), "r"(&resume)
      : "memory", "ra");
  resume = 0;
}

enum { kWords = 0x80e00000u };  // RAM at a fixed place, so that trap values are the same in every build

int main(unsigned hart) {
  (void)hart;
  volatile uint32_t sink;
  TRY("load from nowhere", sink = REG32(kNowhere));
  TRY("store to nowhere", REG32(kNowhere + 4) = 1);
  TRY("byte load behind RAM", sink = REG8(0xfffffff0u));
  TRY("jump to nowhere", jump_to(kNowhere));
  TRY("jump to 0", jump_to(0));
  uint32_t rom = REG32(0x1000);
  TRY("write to ROM", REG32(0x1000) = ~rom);
  put_text(REG32(0x1000) == rom ? "ROM unchanged\n" : "ROM changed\n");
  TRY("illegal zero", asm volatile(".half 0"));
  TRY("illegal ones", asm volatile(".word 0xffffffff"));
  TRY("illegal in OP", asm volatile(".word 0xfe000033"));
  TRY("ebreak", asm volatile(".option push\n.option norvc\nebreak\n.option pop"));
  TRY("ecall", asm volatile("ecall"));
  TRY("no such CSR", asm volatile("csrr zero, 0x5c0"));
  TRY("write to a read-only CSR", asm volatile("csrw 0xc00, zero"));
  TRY("read with csrrs x0 of a read-only CSR", asm volatile("csrr t0, 0xf14" : : : "t0"));
  TRY("misaligned lr", asm volatile("lr.w t0, (%0)" : : "r"(kWords + 2) : "t0", "memory"));
  TRY("misaligned amo", asm volatile("amoadd.w t0, t0, (%0)" : : "r"(kWords + 1) : "t0", "memory"));
  TRY("amo on nowhere", asm volatile("amoadd.w t0, t0, (%0)" : : "r"(kNowhere) : "t0", "memory"));
  TRY("lr on nowhere", asm volatile("lr.w t0, (%0)" : : "r"(kNowhere) : "t0", "memory"));
  CSR_WRITE(mstatus, 0);  // FS = off
  TRY("float while off", asm volatile(".word 0x00000053"));
  (void)sink;
  return 0;
}
