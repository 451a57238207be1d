// A device that runs for days: a timer tick ten times a second, each one a sample in a ring of 64 KiB; once in ten
// seconds a byte of the serial port is taken, if there is one, and written back; a line every hour. Powers off
// after HOURS.
#include "board.h"

#ifndef HOURS
#define HOURS 24
#endif

enum { kTickUnits = 1000000, kTicksPerHour = 36000, kInputTicks = 100, kRing = 16384 };

static uint32_t ring[kRing];
static volatile uint32_t ticks;
static uint64_t next_tick;

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  if (cause != (CAUSE_INTERRUPT | 7)) power_off(2);
  ticks++;
  next_tick += kTickUnits;
  set_mtimecmp(0, next_tick);
  return epc;
}

static void take_byte(void) {
  if ((UART(kLsr) & 1) != 0) put_char((char)UART(kRbr));
}

int main(unsigned hart) {
  uint32_t sample = hart + 1;
  next_tick = read_mtime() + kTickUnits;
  set_mtimecmp(0, next_tick);
  CSR_WRITE(mie, kMieTimer);
  CSR_SET(mstatus, kMstatusMie);
  for (uint32_t done = 0; done < (uint32_t)HOURS * kTicksPerHour; done++) {
    while (ticks == done) asm volatile("wfi");
    sample = sample * 1664525u + 1013904223u;
    ring[done % kRing] = sample;
    if (done % kInputTicks == 0) take_byte();
    if ((done + 1) % kTicksPerHour == 0) {
      put_text("\nhour ");
      put_number((done + 1) / kTicksPerHour);
      put_char('\n');
    }
  }
  power_off(0);
}
