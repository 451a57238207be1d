// Random address translation, in the guest itself: random page tables, then random instructions in user, supervisor
// and machine mode (MPRV) that meet them, with interrupts that are pending when the mode is entered, delegated or not.
// What each step brought about goes into a digest; each round prints its own. Two emulators that print the same have
// done the same. Only what the manuals define is looked at: after an entry of a table has changed comes a fence.
#include "../enter.h"

extern u8 stub[], landing[];
enum { kSvadu = 1, kSvnapot = 2, kSvpbmt = 4, kZicbo = 8, kSvinval = 16, kZawrs = 32 };

#if __riscv_xlen == 64
typedef u64 entry;
#define INDEX_BITS 9
#else
typedef u32 entry;
#define INDEX_BITS 10
#endif
enum { kPage = 4096, kEntries = kPage / sizeof(entry), kTables = 48, kSlots = 10, kDataPages = 16 };
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };

// A region that a superpage can hold: the first half data, the second nothing but ecalls.
#define REGION 0x80400000ul
static entry tables[kTables][kEntries] __attribute__((aligned(4096), section(".tables,\"aw\",@nobits#")));
static int tables_used;
static int levels, protected;
static u64 features;

static entry *new_table(void) {
  entry *t = tables[tables_used++];
  for (int i = 0; i < kEntries; ++i) t[i] = 0;
  return t;
}
static entry pointer_to(const entry *t) { return (entry)((u64)(word)t >> 12 << 10 | V); }
static entry *table_of(entry e) { return (entry *)(word)((u64)e << 10 >> 20 << 12); }
static u32 index_of(word va, int level) { return va >> (12 + level * INDEX_BITS) & (kEntries - 1); }

struct slot {
  word va;
  entry *leaf;  // where the entry that decides is
  int level;
};
static struct slot slots[kSlots];

// QEMU sets A and D before it sees that the size of a contiguous range is a reserved one.
static entry settled(entry e, int level) {
#if __riscv_xlen == 64
  if (e >> 63 && (level > 0 || (e >> 10 & 15) != 8)) e |= A | D;
#endif
  (void)level;
  return e;
}

static entry random_leaf(int level) {
  entry e = chance(96) ? V : 0;
  e |= below(8) << 1;
  if ((e & (R | W)) == W && chance(80)) e |= R;
  if (!(e & (R | W | X)) && (level > 0 || chance(90))) e |= R | W;  // never a table of what is in the data
  if (chance(50)) e |= U;
  if (chance(10)) e |= G;
  if (chance(75)) e |= A;
  if (chance(75)) e |= D;
  e |= below(4) << 8;
  word ppn = REGION >> 12;
  if (level == 0)
    ppn += chance(80) ? below(kDataPages) : 16 + below(kDataPages);
  else
    ppn &= ~(((word)1 << (level * INDEX_BITS)) - 1);
  if (level > 0 && chance(4)) ppn |= 1;  // not aligned
  if (chance(3)) ppn = 0x7000;           // nothing is there
#if __riscv_xlen == 64
  if (chance(2)) e |= 1ull << (54 + below(7));
  if ((features & kSvpbmt) && chance(10)) e |= (u64)below(4) << 61;
  if ((features & kSvnapot) && chance(15)) {
    e |= 1ull << 63;
    if (level == 0 && chance(80)) ppn = (ppn & ~15ul) | 8;
  }
#endif
  return settled(e | (entry)ppn << 10, level);
}

// The virtual address of a slot: few indices, so that paths meet; below REGION's offset in superpages.
static word random_address(void) {
  static const u32 choices[] = {0, 1, kEntries / 2, kEntries - 1};
  word va = 0;
  for (int level = levels - 1; level >= 0; --level) {
    u32 index = level == levels - 1 ? choices[below(4)] : choices[below(3)];
    va = va << INDEX_BITS | index;
  }
  va <<= 12;
#if __riscv_xlen == 64
  const int bits = 12 + levels * INDEX_BITS;
  va = (word)((long)(va << (64 - bits)) >> (64 - bits));
  if (chance(3)) va ^= 1ul << (bits + below(64 - bits));
#endif
  return va;
}

// Within a superpage the address says which page: one of the region.
static word into_region(word va, int level) {
  if (level == 0) return va;
  const word mask = ((word)1 << (12 + level * INDEX_BITS)) - 1;
  return (va & ~mask) | ((REGION + below(2 * kDataPages) * kPage) & mask);
}

static void make_slot(struct slot *s, entry *root) {
  word va = random_address();
  int leaf = below(10) < 6 ? 0 : below(levels > 2 ? 3 : 2);
  entry *t = root;
  int level = levels - 1;
  for (;; --level) {
    if (level == leaf && level > 0) va = into_region(va, level);
    entry *at = &t[index_of(va, level)];
    const int is_table = (*at & V) && !(*at & (R | W | X)) && level > 0;
    if (!is_table && (level == leaf || (*at & (R | W | X)))) {
      if (!*at) *at = random_leaf(level);
      if (level > 0) va = into_region(va, level);
      s->leaf = at;
      break;
    }
    if (level == 0) {  // a leaf was wanted where another's table is
      if (!*at) *at = random_leaf(0);
      s->leaf = at;
      break;
    }
    if (!is_table) *at = pointer_to(new_table());
    t = table_of(*at);
  }
  s->va = va;
  s->level = level;
}

// Three pages below an index that no slot has: the stub for user mode, for supervisor mode, and where delegated traps go.
static word stub_va;
static void map_stub(entry *root) {
  entry *t = root;
  stub_va = (word)2 << (12 + (levels - 1) * INDEX_BITS);
  for (int level = levels - 1; level > 0; --level) {
    entry *next = new_table();
    t[index_of(stub_va, level)] = pointer_to(next);
    t = next;
  }
  t[0] = (entry)((word)stub >> 12) << 10 | V | R | X | U | A | D;
  t[1] = (entry)((word)stub >> 12) << 10 | V | R | X | A | D;
  t[2] = (entry)((word)landing >> 12) << 10 | V | R | X | A | D;
  t[3] = (entry)((word)landing >> 12) << 10 | V | R | X | U | A | D;
}

// Where the tables lead, whatever the permissions; 0: nowhere.
static word resolve(const struct slot *s, word va) {
  const entry e = *s->leaf;
  word ppn = (word)((u64)e << 10 >> 20);
#if __riscv_xlen == 64
  if (e >> 63) ppn = (ppn & ~15ul) | (va >> 12 & 15);
#endif
  const word mask = ((word)1 << (12 + s->level * INDEX_BITS)) - 1;
  return ((ppn << 12) & ~mask) | (va & mask);
}
static int in_data(word pa) { return pa - REGION < kDataPages * kPage; }
static int in_landing(word pa) { return pa - REGION - kDataPages * kPage < kDataPages * kPage; }

enum { kFirstStore = 5, kFirstAmo = 8, kZero = 13, kFlush = 14, kInval = 15, kJump = 16, kFirstOther = 17 };
#if __riscv_xlen == 64
enum { kOps = 36 };
#else
enum { kOps = 32 };
#endif

static int writes(int op) { return (op >= kFirstStore && op <= kZero && op != kFirstAmo) || op >= 34; }
static int allowed(int op) {
  if (op >= kZero && op <= kInval) return (features & kZicbo) != 0;
  if (op == 18 || op == 19) return (features & kSvinval) != 0;
  if (op == 12) return 0;  // without a reservation: whether it may fault is open
  if (op == 27) return (features & kZawrs) != 0;
  return 1;
}
static u32 alignment(int op) {
  if (op >= 33) return 8;
  if (op >= kFirstAmo || op == 4 || op == 7) return 4;
  return op < 2 || op == 5 ? 1 : op == 2 || op == 3 || op == 6 ? 2 : 4;
}

static void change_entry(void) {
  struct slot *s = &slots[below(kSlots)];
  const entry was = *s->leaf;
  if ((was & (R | W | X)) == 0 && (was & V)) return;  // now a table
  *s->leaf = chance(50) ? settled(was ^ (entry)1 << below(8), s->level) : random_leaf(s->level);
  if ((*s->leaf & (R | W | X)) == 0) *s->leaf = was & ~(entry)V;  // never a table that is none
  if (chance(50))
    __asm__ volatile("sfence.vma" ::: "memory");
  else
    __asm__ volatile("sfence.vma %0, zero" ::"r"(s->va) : "memory");
  field("change", s->va);
  field("to", *s->leaf);
  if (loud) put('\n');
}

static void step(void) {
  static struct context c;
  const struct slot *s = &slots[below(kSlots)];
  int op;
  do op = chance(75) ? below(kJump + 1) : below(kOps);
  while (!allowed(op));
  word va = s->level > 0 ? into_region(s->va, s->level) : s->va;
  va += below(kPage - 16) & ~(alignment(op) - 1);
  if (op == kJump) va &= ~(word)3;
  const word pa = resolve(s, va);
  if (op == kJump && !in_landing(pa) && pa - 0x7000000 >= kPage * 16) return;
  if (writes(op) && !in_data(pa) && pa - 0x7000000 >= kPage * 16) return;
  const int mode = below(5);  // 0, 1: user; 2, 3: supervisor; 4: machine, as mstatus.MPRV says
  // Of an atomic whose store is refused QEMU has made the load: it may have set A, or found nothing there, or
  // that physical memory protection refuses it.
  if (writes(op) && op > 7 && op != kZero) {
    if (!in_data(pa) || protected) return;
    if (*s->leaf & V) *s->leaf |= A;
    __asm__ volatile("sfence.vma" ::: "memory");
  }
  // Of a block that physical memory protection refuses QEMU has asked as a store does: it has set D.
  if ((op == kFlush || op == kInval) && protected && (*s->leaf & V)) {
    *s->leaf |= A | D;
    __asm__ volatile("sfence.vma" ::: "memory");
  }
  if (mode < 2 && op == 19) return;  // QEMU lets user mode execute it
  if (mode == 4 && (op == kJump || op >= kFirstOther)) return;
  word status = (word)(random() & (1 << 18 | 1 << 19 | 1 << 1 | 1 << 5 | 1 << 8 | 1 << 7));
  if (chance(20)) status |= (word)(random() & (7 << 20));  // TVM, TW, TSR
  word pc = stub_va + (word)op * 16;
  if (mode == 4) {
    status = (status & ~(word)0x80) | 1 << 17 | (word)below(2) << 11;
    pc = (word)stub + (word)op * 16;
  } else if (mode >= 2) {
    status |= 1 << 11;
    pc += kPage;
  }
  c.pc = pc;
  c.address = va;
  c.value = (word)random();
  if (op >= 28 && op <= 30) c.value &= 0x222 | 1 << 18 | 1 << 19;
  c.status = status;
  csr_write("sepc", stub_va + (chance(50) ? 3 : 2) * kPage);
  csr_write("scause", 0);
  csr_write("stval", 0);
  csr_write("sscratch", va);
  csr_write("medeleg", random() & 0xb1ff & ~(1u << 9));
  csr_write("mideleg", random() & 0x222);
  // One pending at most: QEMU without AIA takes the lowest number of several.
  csr_write("mie", chance(30) ? random() & 0x222 : 0);
  csr_write("mip", chance(70) ? 2 << 4 * below(3) : 0);
  field("op", (u64)op);
  field("mode", (u64)mode);
  field("va", va);
  field("leaf", *s->leaf);
  field("status", status);
  if (mode == 4)
    enter_in_machine_mode(&c);
  else
    enter(&c);
  csr_write("mie", 0);
  note("cause", c.cause);
  note("epc", c.epc);
  // Of ebreak and wrs.nto, QEMU says 0; the address of a block is what was given, or where it begins.
  word tval = c.tval;
  const word stval = csr_read("stval");
  if (op != 26 && op != 27 && !(op >= kZero && op <= kInval)) {
    note("tval", tval);
    note("stval", stval);
  }
  note("result", c.result);
  note("status", c.status_after);
  note("scause", csr_read("scause"));
  note("sepc", csr_read("sepc"));
  note("sstatus", csr_read("sstatus"));
  note("entry", *s->leaf);
  if (loud) put('\n');
}

static void set_modes(void) {
  // Physical memory protection: everything, but sometimes for one page of the region.
  const word page = REGION + below(2 * kDataPages) * kPage;
  const word rights = below(8);
  csr_write("pmpcfg0", 0);
  csr_write("pmpaddr0", page >> 2 | 0x1ff);
  csr_write("pmpaddr1", ~(word)0);
  const word first = chance(30) ? 0x18 | ((rights & 3) == 2 ? rights | 1 : rights) : 0;
  csr_write("pmpcfg0", first | 0x1f00);
  protected = first != 0;
  word low = 0, high = 0;
  if ((features & kSvadu) && chance(60)) high |= 1u << 29;
  if ((features & kSvpbmt) && chance(70)) high |= 1u << 30;
  if (features & kZicbo) {
    low |= below(4) << 4;
    low |= below(4) << 6;
    if ((low >> 4 & 3) == 2) low ^= 0x10;
    word also = below(4) << 4;
    also |= below(4) << 6;
    if ((also >> 4 & 3) == 2) also ^= 0x10;
    csr_write("senvcfg", also);
  }
  if (features) {
#if __riscv_xlen == 64
    csr_write("menvcfg", (u64)high << 32 | low);
#else
    csr_write("menvcfg", low);
    csr_write("0x31a", high);
#endif
  }
}

static void round(u64 number) {
  digest = 0xcbf29ce484222325;
  loud = number == OPTIONS->loud;
  tables_used = 0;
#if __riscv_xlen == 64
  levels = 3 + (int)below(3);
#else
  levels = 2;
#endif
  entry *root = new_table();
  map_stub(root);
  for (int i = 0; i < kSlots; ++i) make_slot(&slots[i], root);
  // Sometimes an entry above a leaf says what such an entry must not.
  static const entry bad[] = {U, A, D, V, W};
  for (int i = 0; i < kSlots; ++i)
    if (slots[i].level < levels - 1 && chance(2)) root[index_of(slots[i].va, levels - 1)] ^= bad[below(5)];
  u32 *data = (u32 *)REGION;
  for (int i = 0; i < kDataPages * kPage / 4; i += 61) data[i] = (u32)random();
  for (int i = 0; i < kDataPages * kPage / 4; ++i) data[kDataPages * kPage / 4 + i] = 0x73;
  set_modes();
#if __riscv_xlen == 64
  csr_write("satp", (u64)(5 + levels) << 60 | (u64)below(0x10000) << 44 | (word)root >> 12);
  // The bits that choose an address space may be fewer: not compared.
#else
  csr_write("satp", 1u << 31 | (word)root >> 12);
#endif
  csr_write("stvec", stub_va + 2 * kPage);
  __asm__ volatile("sfence.vma\n\tfence.i" ::: "memory");
  for (int i = 0; i < 60; ++i) {
    step();
    if (chance(20)) change_entry();
  }
  csr_write("satp", 0);
  for (int i = 0; i < tables_used; ++i)
    for (int j = 0; j < kEntries; ++j)
      if (tables[i][j]) note("", tables[i][j]);
  for (int i = 0; i < kDataPages * kPage / 4; ++i) digest = (digest ^ data[i]) * 0x100000001b3;
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
