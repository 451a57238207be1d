// What guests that do random things share: the caller's options, numbers, text, and the digest of all that is
// seen.
#pragma once
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long word;

// What the run is to be, from a file that the caller loads at this address.
struct options {
  u64 seed, rounds, loud;  // loud: number of the round whose steps are printed; ~0: none
  u64 features;            // the program's own
};
#define OPTIONS ((volatile struct options *)0x80ff0000)

#define csr_read(name) ({ word v_; __asm__ volatile("csrr %0, " name : "=r"(v_)); v_; })
#define csr_write(name, value) __asm__ volatile("csrw " name ", %0" ::"r"((word)(value)) : "memory")

static u64 state;
static u64 random(void) {
  u64 z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}
static u32 below(u32 n) { return (u32)((random() >> 32) * n >> 32); }
static int chance(u32 percent) { return below(100) < percent; }

static void put(char c) { *(volatile u8 *)0x10000000 = (u8)c; }
static void text(const char *s) {
  while (*s) put(*s++);
}
static void hex(u64 v) {
  char digits[17];
  int n = 0;
  do digits[n++] = "0123456789abcdef"[v & 15];
  while (v >>= 4);
  while (n) put(digits[--n]);
}
static int loud;
static void field(const char *name, u64 v) {
  if (!loud) return;
  put(' ');
  text(name);
  put('=');
  hex(v);
}

static u64 digest;
static void note(const char *name, u64 v) {
  digest = (digest ^ v) * 0x100000001b3;
  digest ^= digest >> 29;
  field(name, v);
}
