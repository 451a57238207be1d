// A firmware with a fault of the common kind: a line that is typed fast enough is longer than its buffer, and
// runs over what lies behind it; nothing happens until much later. What docs/cortex-m.md finds out.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
enum { kUart = 0x40004000, kTicksToFlush = 20 };

static void print_line(void);
static struct {
  char line[8];
  void (*flush)(void);
  u32 used;
} console;
static volatile u32 ticks;

static void say(const char* text) {
  while (*text != 0) {
    while ((REG(kUart + 4) & 1) != 0) {
    }
    REG(kUart) = (u32)*text++;
  }
}
static void end(u32 reason) {
  register u32 call __asm__("r0") = 0x18;
  register u32 why __asm__("r1") = reason;
  __asm__ volatile("bkpt 0xab" : "+r"(call) : "r"(why) : "memory");
}

void uart_interrupt(void) {
  const char c = (char)REG(kUart);
  REG(kUart + 0x0c) = 2;
  console.line[console.used++ % 12] = c;
}
void tick_interrupt(void) { ++ticks; }

static void print_line(void) {
  for (u32 i = 0; i < console.used; ++i) {
    const char text[2] = {console.line[i], 0};
    say(text);
  }
  console.used = 0;
}

void hard_fault(void) {
  say("fault\n");
  end(0x20023);
}

void reset(void) {
  console.flush = print_line;
  REG(kUart + 0x10) = 16;
  REG(kUart + 0x08) = 1 | 2 | 8;
  REG(0xe000e100) = 1;
  REG(0xe000e014) = 25000;
  REG(0xe000e018) = 0;
  REG(0xe000e010) = 7;
  say("ready\n");
  for (;;) {
    __asm__ volatile("wfi");
    if (ticks < kTicksToFlush) continue;
    ticks = 0;
    console.flush();
  }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[17])(void) = {
    (void (*)(void))0x20008000,
    reset,
    hard_fault,
    hard_fault,
    hard_fault,
    hard_fault,
    hard_fault,
    0,
    0,
    0,
    0,
    hard_fault,
    hard_fault,
    0,
    hard_fault,
    tick_interrupt,
    uart_interrupt,
};
