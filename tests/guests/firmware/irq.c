// Interrupt-driven firmware: a timer tick every virtual millisecond, received bytes by interrupt through the
// PLIC, busy and sleeping phases in turn. The log tells at which tick, and at which step of the busy loop,
// each byte came: a replay that delivers a byte one instruction early or late prints something else. 'q' ends
// the run. FIFO (0 or 1): whether the UART's FIFO is switched on; in both settings no byte may be lost.
#include "board.h"

enum { kTickUnits = 10000, kPhaseTicks = 20, kMaxBytes = 200 };

static volatile uint32_t ticks, received, lost;
static volatile uint32_t work = 1;  // state of the busy loop
static char text[kMaxBytes];
static struct { uint32_t tick, work; } arrival[kMaxBytes];
static uint64_t next_tick;

static void take_byte(void) {
  uint8_t status = UART(kLsr);
  if (status & 2) lost++;
  while (status & 1) {
    char c = (char)UART(kRbr);
    if (received < kMaxBytes) {
      text[received] = c;
      arrival[received].tick = ticks;
      arrival[received].work = work;
      received++;
    }
    status = UART(kLsr);
    if (status & 2) lost++;
  }
}

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  if (cause == (CAUSE_INTERRUPT | 7)) {
    ticks++;
    next_tick += kTickUnits;
    set_mtimecmp(0, next_tick);
  } else if (cause == (CAUSE_INTERRUPT | 11)) {
    uint32_t irq = PLIC_CLAIM(0);
    if (irq == kUartIrq) take_byte();
    if (irq != 0) PLIC_CLAIM(0) = irq;
  } else {
    put_text("unexpected trap ");
    put_hex(cause, 8);
    put_char(' ');
    put_hex(epc, 8);
    put_char(' ');
    put_hex(tval, 8);
    put_char('\n');
    power_off(1);
  }
  return epc;
}

int main(unsigned hart) {
  UART(kFcr) = FIFO ? 7 : 0;  // trigger level 1
  UART(kIer) = 1;
  PLIC_PRIORITY(kUartIrq) = 1;
  PLIC_ENABLE(0) = 1u << kUartIrq;
  PLIC_THRESHOLD(0) = 0;
  next_tick = read_mtime() + kTickUnits;
  set_mtimecmp(hart, next_tick);
  put_text("ready\n");
  CSR_SET(mie, kMieTimer | kMieExternal);
  CSR_SET(mstatus, kMstatusMie);

  uint32_t printed = 0;
  for (;;) {
    if (ticks / kPhaseTicks % 2 == 0) {
      work = work * 1664525u + 1013904223u;
    } else {
      asm volatile("wfi");
    }
    while (printed < received) {
      put_number(printed);
      put_text(": tick ");
      put_number(arrival[printed].tick);
      put_text(" work ");
      put_hex(arrival[printed].work, 8);
      put_text(" byte ");
      put_hex((uint8_t)text[printed], 2);
      put_char('\n');
      if (text[printed++] != 'q') continue;
      put_text("received ");
      for (uint32_t i = 0; i < printed; i++) put_char(text[i] >= ' ' ? text[i] : '.');
      put_text(lost != 0 ? " overrun\n" : "\n");
      return lost != 0;
    }
  }
}
