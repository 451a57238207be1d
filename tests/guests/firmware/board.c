#include "board.h"

void power_off(int code) {
  REG32(kFinisher) = code == 0 ? 0x5555u : (uint32_t)code << 16 | 0x3333u;
  for (;;) asm volatile("wfi");
}

void board_reset(void) {
  REG32(kFinisher) = 0x7777u;
  for (;;) asm volatile("wfi");
}

uint64_t read_mtime(void) {
  uint32_t high, low;
  do {
    high = REG32(kClint + 0xbffc);
    low = REG32(kClint + 0xbff8);
  } while (high != REG32(kClint + 0xbffc));
  return (uint64_t)high << 32 | low;
}

void set_mtimecmp(unsigned hart, uint64_t when) {
  REG32(kClint + 0x4004 + 8 * hart) = ~0u;  // no spurious interrupt between the two halves
  REG32(kClint + 0x4000 + 8 * hart) = (uint32_t)when;
  REG32(kClint + 0x4004 + 8 * hart) = (uint32_t)(when >> 32);
}

void put_char(char c) {
  while ((UART(kLsr) & 0x20) == 0) {
  }
  UART(kRbr) = (uint8_t)c;
}

void put_text(const char* s) {
  while (*s != 0) put_char(*s++);
}

void put_hex(uintptr_t value, int digits) {
  while (digits > 0) put_char("0123456789abcdef"[value >> (4 * --digits) & 15]);
}

void put_number(uint32_t value) {
  if (value >= 10) put_number(value / 10);
  put_char((char)('0' + value % 10));
}
