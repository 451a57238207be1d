// A bug to look for backwards: a timer interrupt collects samples in a heap cell and stores one too many, into
// the cell behind it. Nothing is noticed until the accounts are added up, tens of millions of instructions
// later. Ends with 1; with 0 if the sum were right.
#include "board.h"

#ifndef ROUNDS  // about 20 instructions each
#define ROUNDS 4000000
#endif

enum { kTickUnits = 10000, kSamples = 8, kAccounts = 4, kRounds = ROUNDS };

// Cells are multiples of 4 bytes, with nothing between them.
struct ring {
  uint32_t count;
  uint32_t samples[kSamples];
};
struct account {
  uint32_t balance;
  uint32_t next;  // offset in the heap; 0: none
};

static uint8_t heap[4096] __attribute__((aligned(16)));
static size_t heap_used = 4;  // 0 is no offset of a cell
static struct ring* ring;
static struct account* first_account;
static uint64_t next_tick;
static volatile uint32_t work = 1;

static void* allocate(size_t size) {
  void* cell = heap + heap_used;
  heap_used += (size + 3) & ~(size_t)3;
  return cell;
}

__attribute__((noinline)) static void take_sample(struct ring* r, uint32_t value) {
  if (r->count <= kSamples) r->samples[r->count++] = value;  // the bug: one too many
}

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  if (cause != (CAUSE_INTERRUPT | 7)) power_off(2);
  take_sample(ring, work);
  next_tick += kTickUnits;
  set_mtimecmp(0, next_tick);
  return epc;
}

__attribute__((noinline)) static uint32_t total(const struct account* a) {
  uint32_t sum = a->balance;
  while (a->next != 0) {
    a = (const struct account*)(heap + a->next);
    sum += a->balance;
  }
  return sum;
}

__attribute__((noinline)) static void failed(const struct account* first, uint32_t sum) {
  put_text("accounts: ");
  put_number(sum);
  put_text(" instead of ");
  put_number(kAccounts * 100);
  put_char('\n');
  power_off(first != 0);
}

__attribute__((noinline)) static uint32_t mix(uint32_t value, uint32_t round) {
  value = value * 1664525u + 1013904223u;
  return value ^ round;
}

int main(unsigned hart) {
  uint32_t first_next = 0, *link = &first_next;
  for (int i = 0; i < kAccounts; i++) {
    if (i == kAccounts / 2) ring = allocate(sizeof *ring);
    struct account* a = allocate(sizeof *a);
    a->balance = 100;
    *link = (uint32_t)((uint8_t*)a - heap);
    link = &a->next;
  }
  first_account = (struct account*)(heap + first_next);
  next_tick = read_mtime() + kTickUnits;
  set_mtimecmp(hart, next_tick);
  CSR_SET(mie, kMieTimer);
  CSR_SET(mstatus, kMstatusMie);
  for (uint32_t round = 0; round < kRounds; round++) work = mix(work, round);
  CSR_CLEAR(mstatus, kMstatusMie);
  uint32_t sum = total(first_account);
  if (sum != kAccounts * 100) failed(first_account, sum);
  put_text("all is well\n");
  return 0;
}
