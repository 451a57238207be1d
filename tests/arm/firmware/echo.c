// A serial port and a timer by interrupts, bare: says "ready", echoes what is typed, answers 't' with whether
// its timer has ticked, and ends with 'q' by a semihosting call. One file for the ports of several boards.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
#ifndef RAM
#define RAM 0x20000000
#endif

static volatile u32 ticks;

#if defined(STM32)
enum { kUart = 0x40011000, kUartIrq = 37 };  // USART1
static void uart_start(void) { REG(kUart + 0x0c) = 1 << 13 | 1 << 5 | 1 << 3 | 1 << 2; }
static void uart_put(char c) {
  while ((REG(kUart) & 1 << 7) == 0) {
  }
  REG(kUart + 4) = (u32)c;
}
static char uart_take(void) { return (char)REG(kUart + 4); }
#elif defined(CMSDK)
#ifdef UART
enum { kUart = UART, kUartIrq = UART_IRQ };
#else
#define BOARD_TIMER
enum { kUart = 0x40004000, kUartIrq = 0 };  // UART0's receiver
#endif
static void uart_start(void) {
  REG(kUart + 0x10) = 16;
  REG(kUart + 0x08) = 1 | 2 | 8;
}
static void uart_put(char c) {
  while ((REG(kUart + 4) & 1) != 0) {
  }
  REG(kUart) = (u32)c;
}
static char uart_take(void) {
  REG(kUart + 0x0c) = 2;  // first, or the next byte's interrupt could go with this one's
  return (char)REG(kUart);
}
#elif defined(PL011)
enum { kUart = 0x4000c000, kUartIrq = 5 };
static void uart_start(void) {
  REG(kUart + 0x38) = 1 << 4;
  REG(kUart + 0x30) = 1 | 1 << 8 | 1 << 9;
}
static void uart_put(char c) {
  while ((REG(kUart + 0x18) & 1 << 5) != 0) {
  }
  REG(kUart) = (u32)c;
}
static char uart_take(void) { return (char)REG(kUart); }
#elif defined(NRF51)
enum { kUart = 0x40002000, kUartIrq = 2 };
static void uart_start(void) {
  REG(kUart + 0x500) = 4;
  REG(kUart + 0x304) = 1 << 2;
  REG(kUart + 0x000) = 1;
  REG(kUart + 0x008) = 1;
}
static void uart_put(char c) {
  REG(kUart + 0x11c) = 0;
  REG(kUart + 0x51c) = (u32)c;
  while (REG(kUart + 0x11c) == 0) {
  }
}
static char uart_take(void) {
  REG(kUart + 0x108) = 0;
  return (char)REG(kUart + 0x518);
}
#endif

static void say(const char* text) {
  while (*text != 0) uart_put(*text++);
}

static void end(void) {
  register u32 call __asm__("r0") = 0x18;
  register u32 reason __asm__("r1") = 0x20026;
  __asm__ volatile("bkpt 0xab" : "+r"(call) : "r"(reason) : "memory");
}

static void uart_interrupt(void) {
  char c = uart_take();
  if (c == 't') {
    say(ticks != 0 ? "ticked\n" : "no tick\n");
  } else if (c == 'q') {
    say("bye\n");
    end();
  } else {
    uart_put(c);
  }
}
static void timer_interrupt(void) {
  ++ticks;
#if defined(BOARD_TIMER)
  REG(0x4000000c) = 1;
#elif defined(NRF51)
  REG(0x40008140) = 0;
#endif
}
static void unexpected(void) {
  say("unexpected exception\n");
  end();
}

void reset(void) {
  ticks = 0;
  uart_start();
#if defined(BOARD_TIMER)
  REG(0x40000008) = 2500;
  REG(0x40000000) = 1 | 8;
  REG(0xe000e100) = 1 << 8;
#elif defined(NRF51)
  REG(0x40008508) = 3;  // 32 bits, by 1 MHz, from 0 again after each comparison
  REG(0x40008510) = 4;
  REG(0x40008540) = 1000;
  REG(0x40008200) = 1;
  REG(0x40008304) = 1 << 16;
  REG(0x40008000) = 1;
  REG(0xe000e100) = 1 << 8;
#else
  REG(0xe000e014) = 20000;
  REG(0xe000e018) = 0;
  REG(0xe000e010) = 7;
#endif
  while (ticks == 0) __asm__ volatile("wfi");
  say("ready\n");
  // What was typed before waits.
  REG(0xe000e100 + 4 * (kUartIrq / 32)) = 1u << kUartIrq % 32;
  for (;;) __asm__ volatile("wfi");
}

#pragma GCC diagnostic ignored "-Woverride-init"
__attribute__((section(".vectors"), used)) static void (*const vectors[16 + 96])(void) = {
    (void (*)(void))(RAM + 0x4000),   reset, [2 ... 14] = unexpected, [15] = timer_interrupt,
    [16 ... 111] = unexpected,
#if defined(BOARD_TIMER) || defined(NRF51)
    [16 + 8] = timer_interrupt,
#endif
    [16 + kUartIrq] = uart_interrupt,
};
