// An interrupt for every few instructions: two levels of them, pended by software, a PendSV and an SVC in
// each round. What benchmarks/README.md measures; it depends on no clock.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
enum { kRounds = 2000000 };
static volatile u32 low, high, switches, calls;

static void low_interrupt(void) {
  ++low;
  REG(0xe000e200) = 2;  // nests
}
static void high_interrupt(void) { ++high; }
static void switch_context(void) { ++switches; }
static void call(void) { ++calls; }
static void end(u32 reason) {
  register u32 number __asm__("r0") = 0x18;
  register u32 why __asm__("r1") = reason;
  __asm__ volatile("bkpt 0xab" : "+r"(number) : "r"(why) : "memory");
}

void reset(void) {
  low = high = switches = calls = 0;
  REG(0xe000e400) = 0x0040;
  REG(0xe000ed20) = 0xff << 16;
  REG(0xe000e100) = 3;
  for (u32 i = 0; i < kRounds; ++i) {
    REG(0xe000e200) = 1;
    REG(0xe000ed04) = 1 << 28;
    __asm__ volatile("isb\n\t svc #0" : : : "memory");
  }
  end(low == kRounds && high == kRounds && switches == kRounds && calls == kRounds ? 0x20026 : 0x20023);
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[18])(void) = {
    (void (*)(void))0x20008000,
    reset,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    call,
    0,
    0,
    switch_context,
    0,
    low_interrupt,
    high_interrupt,
};
