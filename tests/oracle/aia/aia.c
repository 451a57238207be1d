// Advanced interrupts at random, in machine mode: registers of the APLIC's domains, messages to interrupt
// files, control registers of Smaia and Ssaia, and the interrupts that come of them. After each step
// everything that can be seen goes into a digest; each round prints its own. Two emulators that print the
// same have done the same.
#include "../guest.h"

// Must be as in stub.S.
struct trap {
  word scratch, cause, resume;
} trap;
extern void enter(word status);

enum { kFiles = 1 };  // of the options: interrupt files, and so MSIs; else direct delivery

enum { kRoot = 0xc000000, kChild = 0xd000000, kMachineFile = 0x24000000, kSupervisorFile = 0x28000000 };
// Sources that nothing is connected to.
enum { kStandard = 0xaaa };  // interrupts of the base architecture
enum { kFirstSource = 41, kSources = 8 };

static u32 get(u32 at) { return *(volatile u32*)(word)at; }
static void set(u32 at, u32 value) { *(volatile u32*)(word)at = value; }

// ---- control registers

enum Csr {
  Mip,
  Mie,
  Mideleg,
  Mvien,
  Mvip,
  Sip,
  Sie,
  Miselect,
  Mireg,
  Mtopei,
  Mtopi,
  Siselect,
  Sireg,
  Stopei,
  Stopi,
#if __riscv_xlen == 32
  Mieh,
  Midelegh,
  Mvienh,
  Mviph,
  Miph,
  Sieh,
  Siph,
#endif
  kCsrs
};
#if __riscv_xlen == 32
#define kMvienHigh Mvienh
#else
#define kMvienHigh Mvien
#endif
static const char* const csr_names[kCsrs] = {
    "mip",   "mie",      "mideleg", "mvien",    "mvip",  "sip",    "sie",   "miselect",
    "mireg", "mtopei",   "mtopi",   "siselect", "sireg", "stopei", "stopi",
#if __riscv_xlen == 32
    "mieh",  "midelegh", "mvienh",  "mviph",    "miph",  "sieh",   "siph",
#endif
};
// op: 0 read, 1 write, 2 set, 3 clear
#define ACCESS(number)                                                                       \
  switch (op) {                                                                              \
    case 0: __asm__ volatile("csrr %0, " #number : "+r"(old)); break;                        \
    case 1: __asm__ volatile("csrrw %0, " #number ", %1" : "+&r"(old) : "r"(value)); break;  \
    case 2: __asm__ volatile("csrrs %0, " #number ", %1" : "+&r"(old) : "r"(value)); break;  \
    default: __asm__ volatile("csrrc %0, " #number ", %1" : "+&r"(old) : "r"(value)); break; \
  }                                                                                          \
  break;
/// The old value; trap.cause: what it raised, or 99.
static word access(enum Csr csr, int op, word value) {
  word old = 0;
  trap.cause = 99;
  switch (csr) {
    case Mip: ACCESS(0x344)
    case Mie: ACCESS(0x304)
    case Mideleg: ACCESS(0x303)
    case Mvien: ACCESS(0x308)
    case Mvip: ACCESS(0x309)
    case Sip: ACCESS(0x144)
    case Sie: ACCESS(0x104)
    case Miselect: ACCESS(0x350)
    case Mireg: ACCESS(0x351)
    case Mtopei: ACCESS(0x35c)
    case Mtopi: ACCESS(0xfb0)
    case Siselect: ACCESS(0x150)
    case Sireg: ACCESS(0x151)
    case Stopei: ACCESS(0x15c)
    case Stopi: ACCESS(0xdb0)
#if __riscv_xlen == 32
    case Mieh: ACCESS(0x314)
    case Midelegh: ACCESS(0x313)
    case Mvienh: ACCESS(0x318)
    case Mviph: ACCESS(0x319)
    case Miph: ACCESS(0x354)
    case Sieh: ACCESS(0x114)
    case Siph: ACCESS(0x154)
#endif
    default: break;
  }
  __asm__ volatile("" ::: "memory");
  return old;
}
static word csr(enum Csr which) { return access(which, 0, 0); }
static void csr_set(enum Csr which, word value) { access(which, 1, value); }

static void select(enum Csr which, word number, word value) {
  csr_set(which, number);
  csr_set(which + 1, value);
}

/// A register of the window that both know, and a value for it.
static word some_indirect(int machine, word* value) {
  const word all = ~(word)0;
  word number;
  *value = (word)random();
  switch (below(5)) {
    case 0:  // priorities: of interrupts that there are
      number = 0x30 + below(16);
#if __riscv_xlen == 64
      if (!chance(5)) number &= ~1ul;
#endif
      {
        word bytes = 0;
        for (u32 i = 0; i < sizeof(word); ++i) {
          const u32 interrupt = (u32)(number - 0x30) * 4 + i;
          const int there = interrupt < 13 ? (machine ? 0x2aa : 0x22) >> interrupt & 1 : !machine;
          if (there && !(interrupt == 9 && !machine)) bytes |= (word)0xff << (8 * i);
        }
        *value &= bytes;
      }
      break;
    case 1:
      number = 0x70;
      *value = below(3) != 0;
      break;
    case 2:
      number = 0x72;
      *value = chance(40) ? 0 : below(256);
      break;
    default: number = (chance(50) ? 0x80 : 0xc0) + below(8);
#if __riscv_xlen == 64
      if (!chance(5)) number &= ~1ul;
#endif
      if (chance(50)) *value &= (word)random() & (word)random();
      if (chance(20)) *value = all;
  }
  return number;
}

/// What software has written of an interrupt that a file raises too is hard to tell apart.
static word shown(enum Csr which, word value) {
  return which == Mvip && (csr(Mvien) & 0x200) == 0 ? value & ~(word)0x200 : value;
}

static void empty_mvip(void) {
  access(Mvip, 3, ~(word)0x20);
#if __riscv_xlen == 32
  access(Mviph, 3, ~(word)0);
#endif
}

static void step_csr(void) {
  const enum Csr which = below(kCsrs);
  int op = (int)below(4);
  word value = (word)random();
  if (chance(50)) value &= (word)random();
  if (which == Miselect || which == Siselect) {
    // Only numbers that stand for something.
    word unused;
    value = some_indirect(which == Miselect, &unused);
    note(csr_names[which], access(which, 1, value));
    return;
  }
  if (which == Mireg || which == Sireg) {
    word new_value;
    const word number = some_indirect(which == Mireg, &new_value);
    csr_set(which - 1, number);
    note("select", number);
    // Setting and clearing bits of what a register cannot hold is nobody's business.
    note(csr_names[which],
         access(which, number == 0x70 || number == 0x72 || number < 0x40 ? 1 : op, new_value));
    note("cause", trap.cause);
    return;
  }
  // Which bits there are beyond the standard ones is not everybody's choice.
  // Local interrupts are only machine mode's to make.
  if (which == Mip || which == Mie || which == Mideleg) value &= kStandard;
#if __riscv_xlen == 32
  if (which == Miph || which == Mieh || which == Midelegh) value = 0;
#endif
  // Of what mvien does not show, mvip is left alone.
  if (which == Mvip) op = op == 1 ? 2 : op, value &= csr(Mvien) | 0x222;
#if __riscv_xlen == 32
  if (which == Mviph) op = op == 1 ? 2 : op, value &= csr(Mvienh);
#endif
  if (which == Mvien) value &= ~(word)0xe000;
  // Bits 1 and 9 of mvip are one thing or the other.
  if (which == Mvien) value &= ~(csr(Mideleg) & 0x202);
  if (which == Mideleg) value &= ~(csr(Mvien) & 0x202);
  // What the bits of mvip stand for changes: nothing is in them then.
  const int empties = which == Mvien || which == kMvienHigh;
  if (empties) empty_mvip();
  const int number_only = which == Mtopi || which == Stopi;
  const word old = access(which, op, value), cause = trap.cause;
  if (empties) empty_mvip();
  note("op", (u64)op);
  note(csr_names[which], number_only ? old != 0 : shown(which, old));
  note("cause", cause);
}

// ---- the APLIC

static u32 some_source(void) { return chance(90) ? kFirstSource + below(kSources) : below(1024); }

static void step_aplic(int files) {
  const u32 domain = chance(40) ? kRoot : kChild, source = some_source();
  const u32 word_at = source / 32 * 4, bit = 1u << source % 32;
  static const u8 modes[] = {0, 1, 4, 5, 6, 7};
  u32 at, value;
  switch (below(12)) {
    case 0:
    case 1:
    case 2:
      at = domain + 4 * source;
      value = modes[below(6)];
      if (chance(30)) value = 0x400;
      if (source == 0 || source > 96) return;
      // Of a source that is not the child's, the child has nothing.
      if (domain == kChild && get(kRoot + 4 * source) != 0x400) return;
      if (domain == kRoot) set(kChild + 4 * source, 0);
      // What was pending in another mode is forgotten.
      set(at, 0);
      set(at, value);
      if (get(at) != 0 && get(at) < 0x400)
        set(domain + 0x3000 + 4 * source, files ? below(256) : 1 + below(7));
      note("source", source << 16 | get(at));
      return;
    case 3:
      at = domain + 0x3000 + 4 * source;
      if (source == 0 || source > 96 || get(domain + 4 * source) == 0 || get(domain + 4 * source) >= 0x400)
        return;
      value = files ? below(256) : below(8);
      break;
    case 4: at = domain, value = chance(80) ? 0x100 : 0; break;
    case 5: at = domain + 0x1c00 + word_at, value = bit | (u32)random(); break;
    case 6: at = domain + 0x1d00 + word_at, value = bit | (u32)random(); break;
    case 7: at = domain + (chance(80) ? 0x1e00 : 0x1f00) + word_at, value = bit | (u32)random(); break;
    case 8: {
      static const u32 numbers[] = {0x1cdc, 0x1ddc, 0x1edc, 0x1fdc, 0x2000, 0x2004};
      const u32 offset = numbers[below(6)];
      at = domain + offset;
      value = offset == 0x2004 ? source << 24 | (source >> 8 & 0xff) << 16 : source;
      break;
    }
    case 9:
      if (!files) {
        static const u32 controls[] = {0x4000, 0x4004, 0x4008};
        at = domain + controls[below(3)];
        value = below(at % 16 == 8 ? 8 : 2);
        break;
      }
      at = domain + 0x3000;
      value = below(256);
      break;
    default:
      if (files) return;
      note("claim", get(domain + 0x401c));
      return;
  }
  set(at, value);
  note("at", at);
  note("value", value);
}

static void step_message(void) {
  const u32 file = chance(50) ? kMachineFile : kSupervisorFile;
  const u32 id = chance(90) ? below(256) : (u32)random();
  set(file, id);
  note("message", file | id);
}

// ---- what there is to see

static void look_at_domain(u32 domain, int files) {
  note("domain", get(domain));
  for (u32 i = 0; i < kSources; ++i) {
    const u32 source = kFirstSource + i;
    note("s", get(domain + 4 * source));
    // An inactive source's target is nobody's business.
    if (get(domain + 4 * source) != 0 && get(domain + 4 * source) < 0x400)
      note("t", get(domain + 0x3000 + 4 * source));
  }
  for (u32 i = 0; i < 4; ++i) {
    note("ip", get(domain + 0x1c00 + 4 * i));
    note("in", get(domain + 0x1d00 + 4 * i));
    note("ie", get(domain + 0x1e00 + 4 * i));
  }
  if (files) return;
  note("delivery", get(domain + 0x4000));
  note("force", get(domain + 0x4004));
  note("threshold", get(domain + 0x4008));
  note("top", get(domain + 0x4018));
}

static void look_at_csrs(void) {
  for (int i = 0; i < kCsrs; ++i) {
    if (i == Mtopi || i == Stopi || i == Mireg || i == Sireg) continue;
    note(csr_names[i], shown(i, csr(i)));
  }
  for (int machine = 0; machine < 2; ++machine) {
    const enum Csr window = machine ? Miselect : Siselect;
    const word before = csr(window);
    for (word number = 0x30; number < 0x40; number += sizeof(word) / 4) {
      csr_set(window, number);
      note("iprio", csr(window + 1));
    }
    csr_set(window, 0x70), note("delivery", csr(window + 1));
    csr_set(window, 0x72), note("threshold", csr(window + 1));
    for (word number = 0; number < 8; number += sizeof(word) / 4) {
      csr_set(window, 0x80 + number), note("eip", csr(window + 1));
      csr_set(window, 0xc0 + number), note("eie", csr(window + 1));
    }
    csr_set(window, before);
  }
}

static u32 count(u64 bits) {
  u32 n = 0;
  for (; bits; bits &= bits - 1) ++n;
  return n;
}
static u64 both(enum Csr low, int high) {
#if __riscv_xlen == 32
  return csr(low) | (u64)csr(high) << 32;
#else
  (void)high;
  return csr(low);
#endif
}
#if __riscv_xlen == 64
enum { Sieh, Siph };
#endif

/// Which interrupt comes, from the mode that `mpp` says. Where several could, only that one does.
static void step_enter(int files) {
  static const word modes[] = {0, 1, 3};
  const word mpp = modes[below(3)];
  word status = mpp << 11;
  if (chance(50)) status |= 0x80;  // MPIE
  if (chance(50)) status |= 2;     // SIE
  const word machine = csr(Mip) & csr(Mie) & ~csr(Mideleg);
  const u64 supervisor = both(Sip, Siph) & both(Sie, Sieh);
  // Interrupts of mvip alone are not always taken elsewhere.
  if (supervisor != 0 && csr(Mip) == 0) return;
  __asm__ volatile("csrw scause, zero");
  trap.cause = 99;
  enter(status);
  word machine_cause = trap.cause, supervisor_cause;
  __asm__ volatile("csrr %0, scause" : "=r"(supervisor_cause));
  const word top = (word)1 << (sizeof(word) * 8 - 1);
  if (count(machine) > 1) machine_cause &= top;
  if (count(supervisor) > 1) supervisor_cause &= top;
  note("mode", status);
  note("mcause", machine_cause);
  note("scause", supervisor_cause);
  if (!files) return;
  // The top interrupt, where there is no choice. Priorities of external interrupts are not told there.
  if (count(machine) == 1) {
    const word value = csr(Mtopi);
    note("mtopi", value >> 16 == 11 ? value >> 16 : value);
  }
  if (count(supervisor) == 1) {
    const word value = csr(Stopi);
    note("stopi", value >> 16 == 9 ? value >> 16 : value);
  }
}

static void clear_domain(u32 domain) {
  set(domain, 0);
  for (u32 source = 1; source <= 96; ++source) set(domain + 4 * source, 0);
  for (u32 at = 0x4000; at < 0x400c; at += 4) set(domain + at, 0);
}

static void clear(int files) {
  clear_domain(kChild);
  clear_domain(kRoot);
  csr_set(Mideleg, 0), csr_set(Mie, 0);
  if (files) {
    csr_set(Mvien, ~(word)0xe000), csr_set(Mvip, 0), csr_set(Sie, 0);
#if __riscv_xlen == 32
    csr_set(Mvienh, ~(word)0), csr_set(Mviph, 0), csr_set(Sieh, 0), csr_set(Mvienh, 0);
#endif
    csr_set(Mvien, 0);
    for (int machine = 0; machine < 2; ++machine) {
      const enum Csr window = machine ? Miselect : Siselect;
      for (word number = 0x30; number < 0x40; ++number) select(window, number, 0);
      select(window, 0x70, 0), select(window, 0x72, 0);
      for (word number = 0; number < 8; ++number)
        select(window, 0x80 + number, 0), select(window, 0xc0 + number, 0);
      csr_set(window, 0x30);
    }
  }
  csr_set(Mip, 0);
}

void run(void) {
  const u64 rounds = OPTIONS->rounds;
  const int files = (OPTIONS->features & kFiles) != 0;
  state = OPTIONS->seed;
  // Nothing from the timer; all of memory for everybody.
  set(0x2004000, ~0u), set(0x2004004, ~0u);
  __asm__ volatile("csrw pmpaddr0, %0; csrw pmpcfg0, %1" ::"r"(~(word)0), "r"((word)0x1f));
  if (files) {
    set(kRoot + 0x1bc0, kMachineFile >> 12), set(kRoot + 0x1bc4, 0);
    set(kRoot + 0x1bc8, kSupervisorFile >> 12), set(kRoot + 0x1bcc, 0);
  }
  for (u64 round = 0; round < rounds; ++round) {
    clear(files);
    digest = round;
    for (u32 step = 0; step < 40; ++step) {
      loud = round == OPTIONS->loud;
      if (loud) text("\nstep "), hex(step), put(':');
      const u32 what = below(10);
      if (what < 3)
        step_aplic(files);
      else if (what < 5 && files)
        step_message();
      else if (what < 8 && files)
        step_csr();
      else if (what < 8)
        csr_set(chance(50) ? Mie : Mideleg, (word)random() & kStandard);
      else
        step_enter(files);
      if (loud) text("\n   ");
      look_at_domain(kRoot, files);
      look_at_domain(kChild, files);
      if (files)
        look_at_csrs();
      else
        note("mip", csr(Mip)), note("mie", csr(Mie)), note("sip", csr(Sip)), note("sie", csr(Sie));
    }
    if (loud) put('\n');
    hex(round), put(' '), hex(digest), put('\n');
  }
}
