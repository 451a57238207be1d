// Two harts: atomic operations and LR/SC under contention, a spin lock, and interprocessor interrupts through
// msip. All printed sums are independent of the interleaving except the last line, which is its fingerprint.
#include "board.h"

enum { kHarts = 2, kRounds = 5000, kPings = 100 };

static uint32_t amo_sum, pair_sum, locked_sum, swap_sum, bits_xor, largest, smallest = ~0u;
static int32_t signed_largest = -2147483647;
static volatile uint32_t lock, finished;
static volatile uint32_t pings[kHarts];
static volatile uint32_t order;
static uintptr_t wide_sum;

static void acquire(void) {
  uint32_t old;
  do {
    asm volatile("amoswap.w.aq %0, %2, %1" : "=r"(old), "+A"(lock) : "r"(1) : "memory");
  } while (old != 0);
}
static void release(void) { asm volatile("amoswap.w.rl zero, zero, %0" : "+A"(lock) : : "memory"); }

static void pair_add(uint32_t* word, uint32_t by) {
  uint32_t value, failed;
  do {
    asm volatile(
        "lr.w.aq %0, %2\n"
        "add %0, %0, %3\n"
        "sc.w.rl %1, %0, %2\n"
        : "=&r"(value), "=&r"(failed), "+A"(*word)
        : "r"(by)
        : "memory");
  } while (failed != 0);
}

#define AMO(op, word, value) asm volatile(op " zero, %1, %0" : "+A"(word) : "r"(value) : "memory")
#if __riscv_xlen == 64
#define AMO_WIDE "amoadd.d"
#else
#define AMO_WIDE "amoadd.w"
#endif

static void contend(unsigned hart) {
  for (uint32_t i = 0; i < kRounds; i++) {
    AMO("amoadd.w", amo_sum, hart + 1);
    pair_add(&pair_sum, i & 7);
    AMO("amoxor.w", bits_xor, i * 2654435761u + hart);
    AMO("amomaxu.w", largest, i * 40503u + hart);
    AMO("amominu.w", smallest, (i ^ 0x5a5au) + 3 + hart);
    AMO("amomax.w", signed_largest, (int32_t)(i * 77 + hart) - 100000);
    AMO(AMO_WIDE, wide_sum, i);
    uint32_t token = i;
    asm volatile("amoswap.w %0, %0, %1" : "+r"(token), "+A"(swap_sum) : : "memory");
    acquire();
    locked_sum += 1;
    order = order * 31 + hart;
    release();
  }
}

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  unsigned hart = (unsigned)CSR_READ(mhartid);
  if (cause != (CAUSE_INTERRUPT | 3)) {
    put_text("unexpected trap ");
    put_hex(cause, 8);
    put_hex(tval, 8);
    power_off(1);
  }
  CLINT_MSIP(hart) = 0;
  pings[hart]++;
  // The last ping is not answered.
  if (hart != 0 || pings[0] < kPings) CLINT_MSIP(hart ^ 1) = 1;
  return epc;
}

static void report(const char* name, uintptr_t value) {
  put_text(name);
  put_char(' ');
  put_hex(value, 8);
  put_char('\n');
}

int main(unsigned hart) {
  if (hart >= kHarts) {
    for (;;) asm volatile("wfi");
  }
  CSR_SET(mie, kMieSoftware);
  contend(hart);
  CSR_SET(mstatus, kMstatusMie);
  pair_add((uint32_t*)&finished, 1);
  if (hart != 0) {
    for (;;) asm volatile("wfi");
  }
  while (finished < kHarts) {
  }
  CLINT_MSIP(1) = 1;
  for (;;) {
    CSR_CLEAR(mstatus, kMstatusMie);  // the last ping must not slip in between the test and the wait
    if (pings[0] == kPings) break;
    asm volatile("wfi");
    CSR_SET(mstatus, kMstatusMie);
  }
  report("amoadd", amo_sum);
  report("lr/sc", pair_sum);
  report("lock", locked_sum);
  report("xor", bits_xor);
  report("maxu", largest);
  report("minu", smallest);
  report("max", (uint32_t)signed_largest);
  report("wide", wide_sum);
  report("pings", pings[0] << 16 | pings[1]);
  report("order", order);
  return 0;
}
