// The board as firmware sees it: register addresses of the `virt` machine and small services over them.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define REG8(address) (*(volatile uint8_t*)(uintptr_t)(address))
#define REG32(address) (*(volatile uint32_t*)(uintptr_t)(address))

enum {
  kFinisher = 0x00100000,
  kRtc = 0x00101000,
  kClint = 0x02000000,
  kPlic = 0x0c000000,
  kUart = 0x10000000,
  kUartIrq = 10,
};
#define CLINT_MSIP(hart) REG32(kClint + 4 * (hart))
#define PLIC_PRIORITY(irq) REG32(kPlic + 4 * (irq))
#define PLIC_ENABLE(context) REG32(kPlic + 0x2000 + 0x80 * (context))
#define PLIC_THRESHOLD(context) REG32(kPlic + 0x200000 + 0x1000 * (context))
#define PLIC_CLAIM(context) REG32(kPlic + 0x200004 + 0x1000 * (context))
#define UART(reg) REG8(kUart + (reg))
enum { kRbr = 0, kIer = 1, kIir = 2, kFcr = 2, kLcr = 3, kLsr = 5 };

#define CSR_READ(name)                              \
  ({                                                \
    uintptr_t value_;                               \
    asm volatile("csrr %0, " #name : "=r"(value_)); \
    value_;                                         \
  })
#define CSR_WRITE(name, value) asm volatile("csrw " #name ", %0" : : "r"((uintptr_t)(value)) : "memory")
#define CSR_SET(name, bits) asm volatile("csrs " #name ", %0" : : "r"((uintptr_t)(bits)) : "memory")
#define CSR_CLEAR(name, bits) asm volatile("csrc " #name ", %0" : : "r"((uintptr_t)(bits)) : "memory")

enum { kMstatusMie = 8, kMieSoftware = 8, kMieTimer = 0x80, kMieExternal = 0x800 };
#define CAUSE_INTERRUPT ((uintptr_t)1 << (sizeof(uintptr_t) * 8 - 1))

int main(unsigned hart);
/// Called for every trap with mcause, mepc and mtval; returns the address at which to go on.
uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval);

/// Ends the run with the guest's exit code (0..65535); does not return.
void power_off(int code) __attribute__((noreturn));
void board_reset(void) __attribute__((noreturn));
uint64_t read_mtime(void);
/// Arms the hart's timer; ~0 disarms it.
void set_mtimecmp(unsigned hart, uint64_t when);

void put_char(char c);
void put_text(const char* s);
void put_hex(uintptr_t value, int digits);
void put_number(uint32_t value);
