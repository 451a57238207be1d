// The hypervisor extension at random, in the guest itself: tables of both stages, control registers, and
// instructions in every mode that meet them. What each step brought about goes into a digest; each round prints its
// own. Two emulators that print the same have done the same.
#include "../enter.h"

extern u32 stub[], landing[];
extern void enter_guest(struct context *);
// kMpv: mstatus.MPV can be written, which QEMU 10.0 does not let.
enum { kSvadu = 1, kSvnapot = 2, kSvpbmt = 4, kMpv = 8, kSvinval = 16 };

#if __riscv_xlen == 64
typedef u64 entry;
#define INDEX_BITS 9
#define MPV ((word)1 << 39)
#define GVA ((word)1 << 38)
#else
typedef u32 entry;
#define INDEX_BITS 10
#define MPV 0
#define GVA 0
#endif
#define SD ((word)1 << (__riscv_xlen - 1))
enum { kPage = 4096, kEntries = kPage / sizeof(entry), kTables = 60, kSlots = 8, kPages = 32 };
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128, ALL = V | R | W | X | A | D };

// What guests get: the first half data, the second nothing but ecalls.
#define REGION 0x80400000ul
// Where that is in their physical memory: second-stage entries of one table.
#define WINDOW 0x80800000ul
static entry tables[kTables][kEntries] __attribute__((aligned(16384), section(".tables,\"aw\",@nobits#")));
static int tables_used, levels, second_levels, timers, alike;
static u64 features;
static entry *first_root, *second_root, *window, *identity;
static word stub_va;

static entry *new_tables(int count) {
  entry *t = tables[tables_used];
  tables_used += count;
  for (int i = 0; i < count * kEntries; ++i) t[i] = 0;
  return t;
}
static entry pointer_to(const entry *t) { return (entry)((u64)(word)t >> 12 << 10 | V); }
static entry page_at(word pa, entry flags) { return (entry)(pa >> 12) << 10 | flags; }
static entry *table_of(entry e) { return (entry *)(word)((u64)e << 10 >> 20 << 12); }
static u32 index_of(word va, int level) { return va >> (12 + level * INDEX_BITS) & (kEntries - 1); }

// The table of the last level on the way to `va`.
static entry *table_for(entry *root, int count, word va) {
  entry *t = root;
  for (int level = count - 1; level > 0; --level) {
    entry *at = &t[index_of(va, level)];
    if (!*at) *at = pointer_to(new_tables(1));
    t = table_of(*at);
  }
  return t;
}

static entry random_flags(int user) {
  entry e = chance(96) ? V : 0;
  e |= below(8) << 1;
  if ((e & (R | W)) == W && chance(80)) e |= R;
  if (!(e & (R | W | X))) e |= R | W;
  if (chance((u32)user)) e |= U;
  if (chance(10)) e |= G;
  if (chance(80)) e |= A;
  if (chance(80)) e |= D;
#if __riscv_xlen == 64
  if (chance(2)) e |= 1ull << (54 + below(7));
  if ((features & kSvpbmt) && chance(8)) e |= (u64)below(4) << 61;
#endif
  return e;
}

static word slots[kSlots];
static entry *leaves[kSlots];

static void make_slot(int i) {
  static const u32 choices[] = {0, 1, kEntries / 2, kEntries - 1};
  word va = 0;
  for (int level = levels - 1; level >= 0; --level)
    va = va << INDEX_BITS | choices[below(level == levels - 1 ? 4 : 2)];
  va <<= 12;
#if __riscv_xlen == 64
  const int bits = 12 + levels * INDEX_BITS;
  va = (word)((long)(va << (64 - bits)) >> (64 - bits));
#endif
  entry *leaf = &table_for(first_root, levels, va)[index_of(va, 0)];
  u64 page = (WINDOW >> 12) + below(kPages);
  if (chance(5)) page = 1ull << below(10 + second_levels * INDEX_BITS < 44 ? 10 + second_levels * INDEX_BITS : 44);
#if __riscv_xlen == 32
  page &= 0x3fffff;
#endif
  *leaf = random_flags(50) | (entry)page << 10;
#if __riscv_xlen == 64
  if ((features & kSvnapot) && chance(10)) *leaf = (*leaf & ~(15ull << 10)) | 1ull << 63 | 8 << 10;
#endif
  slots[i] = va;
  leaves[i] = leaf;
}

static void make_tables(void) {
  tables_used = 0;
  second_root = new_tables(4);
  first_root = new_tables(1);
  window = table_for(second_root, second_levels, WINDOW);
  identity = table_for(second_root, second_levels, (word)stub);
  stub_va = (word)3 << (12 + (levels - 1) * INDEX_BITS);
  entry *t = table_for(first_root, levels, stub_va);
  t[0] = page_at((word)stub, V | R | X | U | A | D);
  t[1] = page_at((word)stub, V | R | X | A | D);
  t[2] = page_at((word)landing, V | R | X | A | D);
  t[3] = page_at((word)landing, V | R | X | U | A | D);
  for (int i = 0; i < kSlots; ++i) make_slot(i);
  for (int i = 0; i < kPages; ++i) {
    word pa = REGION + below(kPages) * kPage;
    if (chance(3)) pa = 0x7000000;  // nothing is there
    window[index_of(WINDOW, 0) + (u32)i] = page_at(pa, random_flags(93));
#if __riscv_xlen == 64
    if ((features & kSvnapot) && chance(5)) window[index_of(WINDOW, 0) + (u32)i] = page_at(REGION + 0x8000, random_flags(93)) | 1ull << 63;
#endif
  }
  identity[index_of((word)stub, 0)] = page_at((word)stub, ALL | U);
  identity[index_of((word)landing, 0)] = page_at((word)landing, ALL | U);
  for (int i = 0; i < tables_used; ++i)
    identity[index_of((word)tables[i], 0)] = page_at((word)tables[i], ALL | U);
}

// Where an address leads, whatever the permissions; 0: nowhere.
static word through(entry *root, int count, word at, int second) {
#if __riscv_xlen == 64
  if (second && at >> (14 + count * INDEX_BITS)) return 0;
#endif
  entry *t = root;
  for (int level = count - 1; level >= 0; --level) {
    const word index = at >> (12 + level * INDEX_BITS) &
                       (second && level == count - 1 ? 4 * kEntries - 1 : kEntries - 1);
    const entry e = t[index];
    if (e & (R | W | X)) {
      u64 ppn = (u64)e << 10 >> 20;
#if __riscv_xlen == 64
      if (e >> 63) ppn = (ppn & ~15ull) | (at >> 12 & 15);
#endif
      return ppn >> (8 * sizeof(word) - 12) ? 0 : (word)ppn << 12 | (at & (kPage - 1));
    }
    if (!(e & V)) return 0;
    t = table_of(e);
  }
  return 0;
}
static word resolve(word va, int paged, int second) {
  const word guest = paged ? through(first_root, levels, va, 0) : va;
  return guest && second ? through(second_root, second_levels, guest, 1) : guest;
}
static int in_data(word pa) { return pa - REGION < kPages / 2 * kPage; }
static int in_landing(word pa) { return pa - REGION - kPages / 2 * kPage < kPages / 2 * kPage; }
static int is_nothing(word pa) { return pa == 0 || pa - 0x7000000 < 16 * kPage; }

// ---- instructions: a0 receives, a1 is the address, a2 the value

enum Mode { kVu, kVs, kMprv, kHs, kUser, kMachine };
enum Kind { kLoad, kStore, kJump, kCsr, kOther };
struct insn {
  u32 bits;
  enum Kind kind;
  int guest;  // HLV, HLVX, HSV
  u32 csr;
};

struct csr {
  u32 number;
  u64 mask;  // what both emulators know of it
};
#if __riscv_xlen == 64
#define HENVCFG 0x20000000000000c1ull
#else
#define HENVCFG 0  // read only: writes of the low half clear the high one in QEMU 10
#endif
static const struct csr csrs[] = {
    {0x100, 0xc6122},    {0x104, 0x222},       {0x105, ~0xffeull & ~2},
    {0x106, 7},  {0x140, ~0ull},      {0x141, ~3ull},       {0x142, ~0ull},
    {0x143, ~0ull},       {0x144, 2},          {0x180, 0},           {0x200, 0xc6122},
    {0x204, 0x222},       {0x205, ~0xffeull & ~2}, {0x240, ~0ull},   {0x241, ~3ull},
    {0x242, ~0ull},       {0x243, ~0ull},      {0x244, 2},           {0x280, 0},
    {0x300, 0},           {0x302, 0xb1ff},     {0x34a, ~0ull},       {0x34b, ~0ull},
    {0x600, 0x700380},    {0x602, 0xb1fe},     {0x603, 0x444},       {0x604, 0x444},
    {0x606, 7},  {0x60a, HENVCFG}, {0x643, ~0ull}, {0x644, 4},
    {0x645, 0x404},      {0x680, 0},           {0xe12, 0},
    {0xc00, 0},           {0xc01, 0},          {0xc02, 0},           {0x14d, 0},
    {0x24d, 0},           {0x10a, 0xc1},       {0x607, 0},           {0x605, 0},
#if __riscv_xlen == 32
    {0x615, 0},           {0x61a, 0},          {0xc80, 0},           {0x25d, 0},
    {0x15d, 0},
#endif
};

static u32 r_type(u32 funct7, u32 rs2, u32 funct3, u32 rd, u32 opcode) {
  return funct7 << 25 | rs2 << 20 | 11 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static struct insn some_load(void) {
  static const u32 compressed[] = {0x4188 /* c.lw a0,0(a1) */, 0xc190 /* c.sw a2,0(a1) */
#if __riscv_xlen == 64
                                   , 0x6188 /* c.ld */, 0xe190 /* c.sd */
#endif
  };
  if (chance(20)) {
    const u32 n = below(sizeof compressed / sizeof *compressed);
    return (struct insn){compressed[n] | 1u << 16, n & 1 ? kStore : kLoad, 0, 0};
  }
#if __riscv_xlen == 64
  const u32 widths = 4;
#else
  const u32 widths = 3;
#endif
  const u32 offset = below(16);
  if (chance(35)) return (struct insn){r_type(0, 12, below(widths), offset, 0x23), kStore, 0, 0};
  u32 funct3 = below(2 * widths - 1);
  if (funct3 >= widths) funct3 += 4 - widths;
  return (struct insn){r_type(0, offset, funct3, 10, 0x03), kLoad, 0, 0};
}

static struct insn some_guest_access(enum Mode mode) {
  // Of HLVX, the last two, QEMU makes faults of fetches.
  static const u32 loads[] = {0x60000000, 0x60100000, 0x64000000, 0x64100000, 0x68000000,
#if __riscv_xlen == 64
                              0x68100000, 0x6c000000,
#endif
                              0x64300000, 0x68300000};
  const u32 count = sizeof loads / sizeof *loads - (mode > kVs ? 2 : 0);
  const u32 form = 11 << 15 | 4 << 12 | 0x73;
#if __riscv_xlen == 64
  const u32 widths = 4;
#else
  const u32 widths = 3;
#endif
  if (chance(35)) return (struct insn){(0x31 + 2 * below(widths)) << 25 | 12 << 20 | form, kStore, 1, 0};
  return (struct insn){loads[below(count)] | 10 << 7 | form, kLoad, 1, 0};
}

static struct insn some_csr(word *value) {
  const struct csr *c = &csrs[below(sizeof csrs / sizeof *csrs)];
  *value &= (word)c->mask;
  const u32 op = c->mask ? 1 + below(3) : 2, rs1 = c->mask && chance(80) ? 12 : 0;
  return (struct insn){c->number << 20 | (op == 1 ? 12 : rs1) << 15 | op << 12 | 10 << 7 | 0x73, kCsr, 0, c->number};
}

static struct insn some_other(enum Mode mode, int waits) {
  static const u32 others[] = {0x12b00073 /* sfence.vma zero, a1 */, 0x22000073, 0x62000073, 0x00000073 /* ecall */,
                               0x10200073 /* sret */, 0x00000000, 0xfff5b073 /* no such CSR */,
                               0x10500073 /* wfi */, 0x16058073 /* sinval.vma */, 0x26058073, 0x66058073,
                               0x18000073 /* sfence.w.inval */, 0x30200073 /* mret */};
  u32 n;
  do n = below(13);
  while ((n == 7 && !waits) || (n >= 8 && n <= 11 && !(features & kSvinval)) || (n == 12 && mode == kMachine) ||
         (n == 11 && (mode == kVu || mode == kUser)));
  return (struct insn){others[n], kOther, 0, 0};
}

#define FOR_DUMP(f)                                                                                             \
  f(0x100) f(0x140) f(0x141) f(0x142) f(0x143) f(0x144) f(0x104) f(0x106) f(0x200) f(0x204) f(0x205) f(0x240)   \
  f(0x241) f(0x242) f(0x243) f(0x244) f(0x280) f(0x34a) f(0x34b) f(0x600) f(0x602) f(0x603) f(0x604) f(0x606)   \
  f(0x643) f(0x644) f(0x645) f(0x680) f(0x344) f(0x304) f(0x60a)
#define DUMP(number) note(#number, csr_read(#number) & ~(word)((number) == 0x344 || (number) == 0x304 || \
                                                  (number) == 0x604 || (number) == 0x644 ? 0x1080 : (number) == 0x645 ? ~(word)0x444 : (number) == 0x200 ? SD : 0));

static word below_address(void) { return stub_va + (chance(60) ? 2 : 3) * kPage; }

// Makes mstatus.MPV 0 by what does that everywhere.
static void forget_guest(void) {
  __asm__ volatile(
      "la t0, 1f\n\tcsrw mepc, t0\n\tli t0, 0x1800\n\tcsrw mstatus, t0\n\tmret\n1:\tcsrw mstatus, zero" ::: "t0", "memory");
}

static void step(void) {
  static struct context c;
  enum Mode mode;
  do mode = (enum Mode)(chance(60) ? below(2) : below(6));
  while (mode == kMprv && !(features & kMpv));
  const int i = (int)below(kSlots), paged = chance(85), second = chance(90);
  const word hstatus = ((word)random() & 0x700380) | (mode <= kVs ? 0x80 : 0);
  const int tw = chance(15);
  word status = (word)random() & (1 << 18 | 1 << 19 | 1 << 1 | 1 << 5 | 1 << 8 | 3 << 13);
  if (chance(20)) status |= 1 << 20 | (word)below(2) << 22;
  if (tw) status |= 1 << 21;
  c.value = (word)random();
  // WFI: only where it cannot wait. Of mstatus.TW in a guest's user mode QEMU does not know.
  const int waits = (mode == kVu && !tw) || mode == kUser || ((tw || (hstatus >> 21 & 1)) && mode == kVs) || (tw && mode == kHs);
  struct insn insn;
  if (mode == kMprv || chance(45))
    insn = some_load();
  else if (chance(30))
    insn = some_guest_access(mode);
  else if (chance(60))
    insn = some_csr(&c.value);
  else if (chance(30) && mode <= kVs)
    insn = (struct insn){0x00058567, kJump, 0, 0};
  else
    insn = some_other(mode, waits);
  word va = chance(85) || !second ? slots[i] : WINDOW + below(kPages) * kPage;
  va += insn.kind == kJump ? below(1000) * 4 : chance(5) ? kPage - 3 : below(kPage / 8 - 8) * 8;
  const int physical = mode >= kHs && !insn.guest;  // no tables
  if ((insn.kind == kLoad || insn.kind == kStore) && physical) va = REGION + (va & (kPage - 1)) + 64;
  const word pa = physical ? va : resolve(va, paged, second);
  const word last = physical ? va : resolve(va + 8 + 16, paged, second);
  // QEMU has henvcfg decide only while V is 1.
  if (insn.guest && mode > kVs && !alike) return;
  if (insn.kind == kJump && !in_landing(pa) && !is_nothing(pa)) return;
  if (insn.kind == kStore && is_nothing(pa) != is_nothing(last)) return;  // QEMU then makes half of it
  if (insn.kind == kStore && ((!in_data(pa) && !is_nothing(pa)) || (!in_data(last) && !is_nothing(last)))) return;
  if (insn.kind == kLoad && ((pa && pa < REGION && !is_nothing(pa)) || (last && last < REGION && !is_nothing(last)))) return;
  stub[0] = insn.bits;
  stub[1] = 0x73;
  __asm__ volatile("fence.i" ::: "memory");
  c.address = va;
  word high = 0;
  c.pc = (word)stub;
  switch (mode) {
    case kVu:
    case kVs:
      c.pc = stub_va + mode * kPage;
      status = (status & ~(word)(1 << 1 | 1 << 8 | 1 << 22)) | 1 << 11 | (word)mode << 8;
      break;
    case kMprv: status |= 1 << 17 | (word)below(2) << 11; high = 1; break;
    case kHs: status |= 1 << 11; break;
    case kMachine: break;
    case kUser: break;
  }
  if (mode <= kVs && !paged) c.pc = (word)stub;
  c.status = status | (high ? MPV : 0);
  csr_write("0x600", hstatus);
  csr_write("0x200", random() & 0xc6122);
#if __riscv_xlen == 64
  csr_write("0x280", paged ? (u64)(5 + levels) << 60 | (word)first_root >> 12 : 0);
  csr_write("0x680", second ? (u64)(5 + second_levels) << 60 | (word)second_root >> 12 : 0);
#else
  csr_write("0x280", paged ? 1u << 31 | (word)first_root >> 12 : 0);
  csr_write("0x680", second ? 1u << 31 | (word)second_root >> 12 : 0);
  csr_write("0x310", high << 7);
#endif
  csr_write("stvec", landing);
  csr_write("0x205", paged ? stub_va + 2 * kPage : (word)landing);
  csr_write("sepc", (hstatus >> 7 & 1) && mode >= kHs && paged ? below_address() : (word)landing);
  csr_write("0x241", paged ? below_address() : (word)landing);
  csr_write("scause", 0);
  csr_write("stval", 0);
  csr_write("0x242", 0);
  csr_write("0x243", 0);
  csr_write("0x643", 0);
  csr_write("0x64a", 0);
  csr_write("0x34a", 0);
  csr_write("0x34b", 0);
  csr_write("sscratch", va);
  csr_write("0x240", ~va);
  csr_write("medeleg", random() & 0xf0b5ff & ~(1u << 9));
  csr_write("0x602", random() & 0xb1fe);
  csr_write("mideleg", random() & 0x222);
  csr_write("0x603", random() & 0x444);
  csr_write("mcounteren", random() & 7);
  csr_write("0x606", random() & 7);
  csr_write("scounteren", random() & 7);
  // One pending at most: QEMU without AIA takes the lowest number of several.
  u32 pending = chance(60) ? 0 : 1 + below(6);
  if (pending == 5 && timers) pending = 0;  // QEMU then has no writes of hvip's timer bit
  csr_write("mip", pending && pending <= 3 ? 2u << 4 * (pending - 1) : 0);
  csr_write("0x645", pending > 3 ? 4u << 4 * (pending - 4) : 0);
  csr_write("mie", chance(40) ? random() & 0x666 : 0);
  __asm__ volatile("sfence.vma\n\t.word 0x22000073\n\t.word 0x62000073" ::: "memory");
  field("mode", mode);
  field("insn", insn.bits);
  field("va", va);
  field("value", c.value);
  field("status", c.status);
  field("leaf", *leaves[i]);
  if (mode >= kMachine || mode == kMprv)
    enter_in_machine_mode(&c);
  else if (mode <= kVs)
    enter_guest(&c);
  else
    enter(&c);
  forget_guest();
#if __riscv_xlen == 32
  note("mstatush", csr_read("0x310") & 0x80);
  csr_write("0x310", 0);
#endif
  const word mie = csr_read("mie") & ~(word)0x1000;
  csr_write("mie", 0);
  note("mie", mie);
  note("cause", c.cause);
  note("epc", c.epc);
  note("tval", c.tval);
  const int status_read = insn.kind == kCsr && (insn.csr == 0x100 || insn.csr == 0x200);
  const int odd = mode <= kVs && (insn.csr == 0x104 || insn.csr == 0x144);  // QEMU sometimes reads 0
  if (insn.kind != kCsr || (!odd && (insn.csr & 0xf60) != 0xc00)) note("result", c.result & ~(status_read ? SD : insn.csr == 0x645 ? ~(word)0x444 : insn.csr == 0x300 ? GVA : 0));
  note("status", c.status_after & ~GVA);
  FOR_DUMP(DUMP)
  // QEMU has no writes of it.
  if (csr_read("scause") && insn.csr != 0x142) note("htinst", csr_read("0x64a"));
  note("entry", *leaves[i]);
  if (loud) put('\n');
}

static void change(void) {
  if (chance(50))
    *leaves[below(kSlots)] ^= (entry)1 << below(8);
  else
    window[index_of(WINDOW, 0) + below(kPages)] ^= (entry)1 << below(8);
  // Sometimes a table of the first stage is not to be had.
  entry *e = &identity[index_of((word)tables[4 + below((u32)tables_used - 4)], 0)];
  if (chance(15)) *e ^= V;
  if (chance(15)) *e |= V;
}

static void round(u64 number) {
  digest = 0xcbf29ce484222325;
  loud = number == OPTIONS->loud;
#if __riscv_xlen == 64
  levels = 3 + (int)below(3);
  second_levels = 3 + (int)below(3);
#else
  levels = second_levels = 2;
#endif
  make_tables();
  u32 *data = (u32 *)REGION;
  for (int i = 0; i < kPages / 2 * kPage / 4; i += 61) data[i] = (u32)random();
  for (int i = 0; i < kPages / 2 * kPage / 4; ++i) data[kPages / 2 * kPage / 4 + i] = 0x73;
  csr_write("pmpaddr0", ~(word)0);
  csr_write("pmpcfg0", 0x1f);
  u32 high = 0, guest_high = 0;
  if ((features & kSvadu) && chance(60)) high |= 1u << 29;
  if ((features & kSvpbmt) && chance(70)) high |= 1u << 30;
  timers = chance(50);
  if (timers) high |= 1u << 31;
  alike = chance(70);
  if (alike) guest_high = high;
#if __riscv_xlen == 32
  csr_write("0x31a", 0);
#endif
  csr_write("menvcfg", 0);
  csr_write("0x645", 0);
#if __riscv_xlen == 64
  csr_write("menvcfg", (u64)high << 32);
  csr_write("0x60a", (u64)guest_high << 32);
  csr_write("0x14d", -1);
  csr_write("0x24d", -1);
#else
  csr_write("0x31a", high);
  csr_write("0x61a", guest_high);
  csr_write("0x14d", -1);
  csr_write("0x15d", -1);
  csr_write("0x24d", -1);
  csr_write("0x25d", -1);
#endif
  csr_write("satp", 0);
  for (int i = 0; i < 80; ++i) {
    step();
    if (chance(30)) change();
  }
  for (int i = 0; i < tables_used; ++i)
    for (int j = 0; j < kEntries; ++j)
      if (tables[i][j]) note("", tables[i][j]);
  for (int i = 0; i < kPages / 2 * kPage / 4; ++i) digest = (digest ^ data[i]) * 0x100000001b3;
  loud = 0;
  text("round ");
  hex(number);
  put(' ');
  hex(digest);
  put('\n');
}

void run(void) {
  features = OPTIONS->features;
  for (u64 i = 0; i < OPTIONS->rounds; ++i) {
    state = OPTIONS->seed + i * 0x1234567;
    round(i);
  }
  text("done\n");
}
