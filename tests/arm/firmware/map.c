// What a board has at which address: where a load faults, what can be written, what shows at several
// addresses. It says so by Arm's semihosting, in ranges, for every board the same code (of Armv6-M).
typedef unsigned int u32;
#ifndef RAM
#define RAM 0x20000000
#endif
#define WORD(address) (*(volatile u32*)(address))
enum { kFault = 0, kDevice = 1, kRom = 2, kRam = 3 };
static volatile u32 faults;

static u32 call(u32 operation, const void* what) {
  register u32 number __asm__("r0") = operation;
  register const void* argument __asm__("r1") = what;
  __asm__ volatile("bkpt 0xab" : "+r"(number) : "r"(argument) : "memory");
  return number;
}
static void say(u32 value, const char* after) {
  char digits[9];
  for (u32 i = 0; i < 8; ++i) digits[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
  digits[8] = 0;
  call(4, digits);
  call(4, after);
}

// The access that faults is a short instruction: it is skipped.
__attribute__((naked)) static void fault(void) {
  __asm__ volatile(
      "ldr r0, [sp, #24]\n"
      "adds r0, #2\n"
      "str r0, [sp, #24]\n"
      "ldr r0, =faults\n"
      "ldr r1, [r0]\n"
      "adds r1, #1\n"
      "str r1, [r0]\n"
      "bx lr\n");
}
/// Whether it was done.
static u32 load(u32 address, u32* value) {
  const u32 before = faults;
  register u32 at __asm__("r2") = address;
  register u32 got __asm__("r3") = 0;
  __asm__ volatile("ldr r3, [r2]\n\tdsb\n\tisb" : "+r"(got) : "r"(at) : "memory");
  *value = got;
  return faults == before;
}
static void store(u32 address, u32 value) {
  register u32 at __asm__("r2") = address;
  register u32 word __asm__("r3") = value;
  __asm__ volatile("str r3, [r2]\n\tdsb\n\tisb" : : "r"(word), "r"(at) : "memory");
}

struct Part {
  u32 first, last, step, offset;
  u32 writes;  // whether it may be written: no registers, no aliases of bits
};
// Code, stack and variables of the program keep clear of the words that are written.
static const struct Part parts[] = {
    {0x00000000, 0x21ffffff, 0x4000, 0x3ff8, 1},   {0x22000000, 0x23ffffff, 0x10000, 0x3ff8, 0},
    {0x24000000, 0x3fffffff, 0x4000, 0x3ff8, 1},   {0x40000000, 0x5fffffff, 0x1000, 0xfe0, 0},
    {0x60000000, 0x9fffffff, 0x100000, 0x3ff8, 1}, {0xa0000000, 0xafffffff, 0x10000, 0xfe0, 0},
    {0xb0000000, 0xdfffffff, 0x100000, 0x3ff8, 1},
};

/// Writes its own address into every word of memory. What has several addresses keeps the last.
static void mark(void) {
  for (u32 n = 0; n < sizeof parts / sizeof parts[0]; ++n) {
    const struct Part* p = &parts[n];
    if (p->writes)
      for (u32 at = p->first; at < p->last; at += p->step) store(at + p->offset, at + p->offset);
  }
}
/// `where`: how far away the last address of the word is, or what a word of ROM is.
static u32 kind_of(const struct Part* p, u32 at, u32* where) {
  u32 value = 0;
  *where = 0;
  if (!load(at + p->offset, &value)) return kFault;
  if (!p->writes) return kDevice;
  const u32 change = value ^ 0x55;
  u32 now = 0;
  store(at + p->offset, change);
  load(at + p->offset, &now);
  if (now != change) return kRom;
  store(at + p->offset, value);
  *where = value - at - p->offset;
  return kRam;
}

void reset(void) {
  static const char* const kinds[] = {"fault", "there", "rom", "ram"};
  faults = 0;
  mark();
  for (u32 n = 0; n < sizeof parts / sizeof parts[0]; ++n) {
    const struct Part* p = &parts[n];
    u32 begin = p->first, where = 0, kind = kind_of(p, begin, &where);
    for (u32 at = p->first + p->step;; at += p->step) {
      u32 next_where = 0;
      const u32 end = at - 1 == p->last, next = end ? kFault : kind_of(p, at, &next_where);
      if (!end && next == kind && next_where == where) continue;
      if (kind != kFault) {
        say(begin, " ");
        say(at - 1, " ");
        call(4, kinds[kind]);
        call(4, " ");
        say(where, "\n");
      }
      if (end) break;
      begin = at;
      kind = next;
      where = next_where;
    }
  }
  call(0x18, (void*)0x20026);
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(RAM + 0x3000), reset, fault, fault, fault, fault, fault, fault};
