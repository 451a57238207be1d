// What an SSE-300 or an IoT Kit has around its CPU, on the boards that have one: system counter and timers
// (with SSE300), transactions that protection controllers keep back, and what they interrupt. It says what
// happened by Arm's semihosting, and depends on no speed: the same everywhere.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
#ifdef SSE300
enum { kText = 0x49303000, kTextSecure = 0x59303000, kTextBit = 3, kGate = 0x50083000, kMemory = 0x21000000 };
enum { kCounter = 0x58100000, kTimer = 0x58000000, kPorts = 0x88 };
#else
enum { kText = 0x40200000, kTextSecure = 0x50200000, kTextBit = 5, kGate = 0x50083000, kMemory = 0x20000000 };
enum { kPorts = 0x84 };
#endif
enum { kControl = 0x50080000 };
static volatile u32 seen[64], faults;

static u32 call(u32 operation, const void* what) {
  register u32 number __asm__("r0") = operation;
  register const void* argument __asm__("r1") = what;
  __asm__ volatile("bkpt 0xab" : "+r"(number) : "r"(argument) : "memory");
  return number;
}
static void say(const char* what, u32 value) {
  char digits[12];
  call(4, what);
  for (u32 i = 0; i < 8; ++i) digits[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
  digits[8] = '\n';
  digits[9] = 0;
  call(4, digits);
}
static u32 number(void) {
  u32 n;
  __asm__ volatile("mrs %0, ipsr" : "=r"(n));
  return n;
}
// The access after it is the one that faults: it is skipped, and what it loads stays as it was.
static void fault(void) {
  __asm__ volatile(
      "ldr r2, [sp, #24]\n"
      "adds r2, #4\n"
      "str r2, [sp, #24]\n"
      "ldr r2, =faults\n"
      "ldr r3, [r2]\n"
      "adds r3, #1\n"
      "str r3, [r2]\n"
      "bx lr\n");
}
static u32 load(u32 address) {
  u32 value = 0x5a5a5a5a;
  __asm__ volatile("ldr.w %0, [%1]\n\tdsb\n\tisb" : "+&r"(value) : "r"(address) : "memory");
  return value;
}
static void store(u32 address, u32 value) {
  __asm__ volatile("str.w %0, [%1]\n\tdsb\n\tisb" : : "r"(value), "r"(address) : "memory");
}
static void interrupt(void) {
  const u32 n = number() - 16;
  ++seen[n];
  if (n == 9) {
    say("memory controllers ", REG(kControl + 0x1c));
    REG(kGate + 0x24) = 1;
    REG(kGate + 0x28) = 0;
  } else if (n == 10) {
    say("peripheral controllers ", REG(kControl + 0x20));
    REG(kControl + 0x28) = 0;
    REG(kControl + 0x24) = ~0u;
  }
#ifdef SSE300
  else {
    const u32 timer = kTimer + (n == 27 ? 3 : n - 3) * 0x1000;
    say("timer of ", n);
    say("control ", REG(timer + 0x2c));
    if ((REG(timer + 0x4c) & 1) != 0)
      REG(timer + 0x4c) = seen[n] == 3 ? 0 : 1;
    else
      REG(timer + 0x2c) = 0;
    if (seen[n] == 3) REG(timer + 0x2c) = 0;
  }
#endif
}

#ifdef SSE300
// An interrupt between the look and the wfi must not be slept through: it wakes while it is masked.
static void wait_for(u32 irq, u32 times) {
  for (;;) {
    __asm__ volatile("cpsid i" ::: "memory");
    if (seen[irq] >= times) break;
    __asm__ volatile("wfi\n\tcpsie i\n\tisb" ::: "memory");
  }
  __asm__ volatile("cpsie i" ::: "memory");
}
static void timers(void) {
  static const unsigned char irqs[] = {3, 4, 5, 27};
  say("features ", REG(kCounter + 0x1c));
  say("part ", REG(kCounter + 0xfe0));
  say("of timers ", REG(kTimer + 0xfe0));
  say("stands at ", REG(kCounter + 8));
  REG(kCounter + 12) = 1;
  REG(kCounter + 8) = 0xffffff00;
  say("status frame ", REG(0x48101004));
  REG(kCounter) = 1;
  while (REG(kCounter + 12) == 1) {
  }
  say("high half ", REG(0x48101004));
  for (u32 i = 0; i < 4; ++i) {
    const u32 timer = kTimer + i * 0x1000;
    REG(timer + 0x10) = 32000000;
    REG(timer + 0x28) = 2000 * (i + 1);
    REG(timer + 0x2c) = 1;
    wait_for(irqs[i], 1);
    say("later ", REG(timer + 0x00) >= REG(timer + 0x20) && REG(timer + 0x04) == REG(timer + 0x24));
    say("frequency ", REG(timer + 0x10));
  }
  REG(kTimer + 0x48) = 32000;  // again and again
  REG(kTimer + 0x4c) = 1;
  REG(kTimer + 0x2c) = 1;
  wait_for(3, 3);
  say("increments ", REG(kTimer + 0x4c));
  REG(kCounter) = 0;
  REG(kCounter + 0x10) = 4 << 24;
  REG(kCounter) = 5;
  const u32 before = REG(kTimer);
  REG(kTimer + 0x1028) = 400000;
  REG(kTimer + 0x102c) = 1;
  wait_for(4, 2);
  say("scaled ", REG(kTimer) - before >= 400000);
  REG(kCounter) = 0;
  REG(kTimer + 0x2c) = 3;
  REG(kTimer + 0x4c) = 0;
  REG(kTimer + 0x24) = ~0u;
  say("not due ", REG(kTimer + 0x2c));
  REG(kTimer + 0x24) = 0;
  say("masked ", REG(kTimer + 0x2c));
  REG(kTimer + 0x2c) = 0;
}
#endif

// With the SAU off all of Secure code's transactions are Secure, and kept back from what is the other
// state's.
static void before_attribution(void) {
  const u32 memory = kMemory + 0x10001008;
  store(memory, 55);
  say("mine ", load(memory));
  REG(kGate) |= 1 << 4;
  REG(kGate + 0x18) = 0;
  REG(kGate + 0x1c) = ~0u;
  say("given away ", load(memory));
  store(memory, 56);
  REG(kGate + 0x18) = 0;
  REG(kGate + 0x1c) = 0;
  REG(kGate) &= ~(1u << 4);
  say("faults ", faults);
  faults = 0;
  say("back ", load(memory));
  store(kTextSecure + 0x10, 161);
  REG(kControl + kPorts) = 1 << kTextBit;
  say("port given away ", load(kTextSecure + 0x10));
  REG(kControl + kPorts) = 0;
  say("back ", load(kTextSecure + 0x10));
  say("second address ", load(kMemory + 0x1008));
  REG(kGate + 0x24) = 1;
  REG(kControl + 0x24) = ~0u;
  REG(0xe000e280) = ~0u;
}

// Secure code makes Non-secure transactions where the SAU says that the memory is the Non-secure state's.
static void refusals(void) {
  REG(0xe000edd8) = 0;
  REG(0xe000eddc) = kMemory;
  REG(0xe000ede0) = (kMemory + 0xffffe0) | 1;
  REG(0xe000edd8) = 1;
  REG(0xe000eddc) = kText & ~0xffffffu;
  REG(0xe000ede0) = (kText & ~0xffffffu) + 0xffffe0 + 1;
  REG(0xe000edd0) = 1;
  __asm__ volatile("dsb\n\tisb");
  REG(kControl + 0x28) = ~0u;
  say("port ", load(kText + 0x10));
  say("port's interrupts ", seen[10]);
  say("status ", REG(kControl + 0x20));
  REG(kControl + kPorts) = 1 << kTextBit;
  store(kText + 0x10, 160);
  say("open port ", load(kText + 0x10));
  say("to the Secure state ", load(kTextSecure + 0x10));
  REG(kControl + kPorts) = 0;
  say("and now ", load(kTextSecure + 0x10));
  say("faults ", faults);
  REG(kControl + 0x10) = 1;
  say("response ", REG(kControl + 0x10));
  REG(kGate + 0x28) = 0;
  REG(kGate + 0x34) = 1;
  say("not enabled ", REG(kGate + 0x20) << 8 | REG(kControl + 0x1c));
  REG(kGate + 0x28) = 1;
  __asm__ volatile("dsb\n\tisb");
  say("memory's interrupts ", seen[9]);
  REG(kGate) |= 1 << 4;
  say("memory ", load(kMemory + 0x1008));
  say("faults ", faults);
  REG(kGate + 0x24) = 1;
  REG(kGate + 0x18) = 0;
  REG(kGate + 0x1c) = ~0u;
  store(kMemory + 0x1008, 77);
  say("opened memory ", load(kMemory + 0x1008));
  load(kMemory + 0x10001008);
  say("faults ", faults);
}

void reset(void) {
  for (u32 i = 0; i < 64; ++i) seen[i] = 0;
  faults = 0;
  REG(0xe000ed24) |= 1 << 17;
  before_attribution();
  REG(0xe000e100) = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 9 | 1u << 10 | 1u << 27;
#ifdef SSE300
  timers();
#endif
  refusals();
  call(0x18, (const void*)0x20026);
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16 + 32])(void) = {
    (void (*)(void))STACK,   reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, 0, 0, 0, 0, 0,
    [16 ... 47] = interrupt,
};
