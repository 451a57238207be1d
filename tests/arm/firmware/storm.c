// A storm of exceptions: random priorities, masks, pending interrupts and faults of every kind, in Thread
// mode and in the handlers of those before. Each handler entry, with its frame and every status register,
// goes into a trace that is printed at the end. The program depends on nothing but its seed, so two machines
// that keep the architecture's rules print the same text: any difference in when or in what order an
// exception is taken makes all that follows another story.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
#define NAKED __attribute__((naked, used))

enum {
  kUart = 0x40004000,
  kIcsr = 0xe000ed04,
  kAircr = 0xe000ed0c,
  kScr = 0xe000ed10,
  kCcr = 0xe000ed14,
  kShcsr = 0xe000ed24,
  kCfsr = 0xe000ed28,
  kHfsr = 0xe000ed2c,
  kMmfar = 0xe000ed34,
  kBfar = 0xe000ed38,
  kCpacr = 0xe000ed88,
  kMpuCtrl = 0xe000ed94,
  kStir = 0xe000ef00,
  kFpccr = 0xe000ef34,
  kFpcar = 0xe000ef38,
  kIrqs = 8,
  kDeepest = 6,
};
// What the tests replace in the image.
__attribute__((used)) static const volatile u32 parameters[4] = {0x5eed5eed, 1, 400, 0};

static u32 forbidden[64] __attribute__((aligned(256)));     // an MPU region that nobody may touch
static u32 private_data[64] __attribute__((aligned(256)));  // one for privileged code alone
static u32 thread_stack[2048] __attribute__((aligned(8)));
static u32 trace[1 << 18];
static u32 trace_words, random_state, depth, budget;
static u32 unmaskable;  // HardFault and NMI handlers that run
static u32 good_psp, resume_at, psp_broken, saved_psp, good_return, return_broken;

static void finish(void);

#ifdef __ARM_FEATURE_DSP
#define HAS_FP 1
#else
#define HAS_FP 0
#endif

static void put(u32 word) {
  if (trace_words < sizeof trace / sizeof trace[0]) trace[trace_words++] = word;
}
static u32 draw(void) {
  random_state = random_state * 1664525 + 1013904223;
  return random_state >> 8;
}
static u32 below(u32 n) { return draw() % n; }

#define READ(name)                                                   \
  static inline u32 read_##name(void) {                              \
    u32 value;                                                       \
    __asm__ volatile("mrs %0, " #name : "=r"(value) : : "memory");   \
    return value;                                                    \
  }                                                                  \
  static inline void write_##name(u32 value) {                       \
    __asm__ volatile("msr " #name ", %0" : : "r"(value) : "memory"); \
  }
READ(msp)
READ(psp)
READ(control)
READ(primask)
READ(basepri)
READ(faultmask)
static inline u32 read_ipsr(void) {
  u32 value;
  __asm__ volatile("mrs %0, ipsr" : "=r"(value));
  return value;
}

// ---- things that happen

static void set_priority(u32 exception, u32 priority) {
  if (exception >= 16)
    ((volatile unsigned char*)0xe000e400)[exception - 16] = (unsigned char)priority;
  else
    ((volatile unsigned char*)0xe000ed14)[exception] = (unsigned char)priority;
}
static u32 some_priority(void) { return below(6) * 0x28 + (below(4) == 0 ? below(8) : 0); }

static void new_priorities(void) {
  static const unsigned char kSystem[] = {4, 5, 6, 11, 14};
  if (below(4) == 0) REG(kAircr) = 0x05fa0000 | below(8) << 8;
  for (u32 i = 0; i < 3; ++i) set_priority(16 + below(kIrqs), some_priority());
  set_priority(kSystem[below(5)], some_priority());
  if (below(3) == 0) REG(kShcsr) = (REG(kShcsr) & ~(7u << 16)) | below(8) << 16;
}

static void pend_something(void) {
  const u32 irq = below(kIrqs);
  switch (below(9)) {
    case 0: REG(kStir) = irq; break;
    case 1: REG(kIcsr) = 1 << 28; break;
    case 2: REG(kIcsr) = below(4) == 0 ? 1u << 31 : 1u << 28; break;
    case 3: REG(kIcsr) = 1 << 27; break;
    case 4: REG(0xe000e280) = below(1 << kIrqs); break;  // no longer pending
    case 5: REG(0xe000e200) = below(1 << kIrqs); break;
    case 6: REG(0xe000e180) = 1u << irq; break;  // disabled
    case 7: REG(0xe000e100) = below(1 << kIrqs); break;
    default: REG(0xe000e200) = 1u << irq; break;
  }
}

static void new_masks(void) {
  switch (below(8)) {
    case 0: write_primask(1); break;
    case 1: write_basepri(some_priority()); break;
    case 2: __asm__ volatile("msr basepri_max, %0" : : "r"(some_priority()) : "memory"); break;
    case 3:
      // Not where it could not be set; QEMU sets it all the same.
      if (below(4) == 0 && unmaskable == 0) write_faultmask(1);
      break;
    case 4: __asm__ volatile("cpsid i" : : : "memory"); break;
    case 5: write_faultmask(0); break;
    default:
      write_primask(0);
      write_basepri(0);
      __asm__ volatile("cpsie f" : : : "memory");
      break;
  }
}

// Every instruction that faults has, in r12, where the handler is to go on.
#define AT_RISK(text, in)                                                                               \
  __asm__ volatile("adr r12, 1f\n\t orr r12, r12, #1\n\t .syntax unified\n\t" text "\n\t .balign 4\n1:" \
                   :                                                                                    \
                   : "r"(in)                                                                            \
                   : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory")

static void fault(u32 kind) {
  switch (kind) {
    case 0: AT_RISK("udf #1", 0); break;
    case 1: AT_RISK("ldr r0, [%0]", forbidden + 8); break;
    case 2: AT_RISK("str r0, [%0]", forbidden + 12); break;
    case 3: AT_RISK("ldrd r0, r1, [%0]", (u32)private_data + 2); break;
    case 4: AT_RISK("ldr r0, [%0]", (u32)private_data + 1); break;  // a fault if CCR says so
    case 5: AT_RISK("mov r1, #0\n\t udiv r0, %0, r1", 77); break;
    case 6: AT_RISK("bx %0", (u32)private_data); break;  // not to Thumb
    case 7: AT_RISK("bx %0", (u32)forbidden | 1); break;
    case 8: AT_RISK("ldr r0, [%0]", 0x90000000); break;
    case 9: AT_RISK("mcr p1, 0, r0, c0, c0, 0", 0); break;
    case 10: AT_RISK("bx %0", 0xe0100001); break;
    case 11: AT_RISK("ldm %0, {r0, r1}", (u32)private_data + 1); break;
    case 12: AT_RISK("ldm %0, {r0, r1, r2, r3}", forbidden); break;
    default: AT_RISK("strb r0, [%0]", 0x90001003); break;
  }
}

#if HAS_FP
/// Without bit 10, which is reserved in Armv7-M; QEMU has Armv8-M's UFRDY there.
static u32 read_fpccr(void) {
  u32 value;
  __asm__ volatile("ldr %0, [%1]\n\t bic %0, #0x400" : "=&r"(value) : "r"(kFpccr) : "memory");
  return value;
}
#endif

static void use_fp(void) {
#if HAS_FP
  const u32 value = draw();
  // A fault of lazy stacking that is masked: QEMU forgets to look at it when the mask goes.
  if ((read_fpccr() & 1) != 0 && (read_primask() | read_basepri()) != 0) return;
  if (below(8) == 0) REG(kCpacr) = below(2) == 0 ? 0 : 0xf00000;
  if (below(8) == 0) REG(kFpccr) = (read_fpccr() & 0x3fffffff) | (below(4) == 0 ? below(4) : 3) << 30;
  AT_RISK(".fpu fpv4-sp-d16\n\t vmov s0, %0", value);
  AT_RISK(".fpu fpv4-sp-d16\n\t vmov s15, %0", value >> 1);
  AT_RISK(".fpu fpv4-sp-d16\n\t vmsr fpscr, %0", value & 0xf7c0009f);
#endif
}

static u32 fp_word(void) {
  u32 value = 0;
#if HAS_FP
  if (REG(kCpacr) == 0xf00000 && (REG(kFpccr) & 1) == 0 && (read_control() & 4) != 0)
    __asm__ volatile(
        ".fpu fpv4-sp-d16\n\t vmov %0, s0\n\t vmov r1, s15\n\t add %0, r1\n\t vmrs r1, fpscr\n\t eor %0, r1"
        : "=r"(value)
        :
        : "r1", "memory");
#endif
  return value;
}

// Whether a fault now is one that can be taken: at priority -1 and above it would lock up.
static u32 may_fault(void) { return read_faultmask() == 0 && unmaskable == 0 && depth < kDeepest; }

static void call(void) { AT_RISK("svc #3", 0); }

static void settings(void) {
  switch (below(4)) {
    case 0: REG(kCcr) = (REG(kCcr) & ~0x18u) | below(4) << 3; break;
    case 1:  // QEMU unstacks by the frame alone, and aligns no frame for its floating-point state
      if (!HAS_FP && read_ipsr() == 0) REG(kCcr) = (REG(kCcr) & ~0x200u) | below(2) << 9;
      break;
    case 2: REG(kMpuCtrl) = 5 | below(2) << 1; break;
    default: REG(kCcr) = (REG(kCcr) & ~1u) | (below(4) == 0); break;
  }
}

static void something(void) {
  if (budget == 0) return;
  --budget;
  switch (below(12)) {
    case 0: new_priorities(); break;
    case 1:
    case 2:
    case 3: pend_something(); break;
    case 4:
    case 5: new_masks(); break;
    case 6:
    case 7: {
      const u32 kind = below(14);
      if (may_fault()) fault(kind);
      break;
    }
    case 8:
      if (may_fault()) call();
      break;
    case 9:
      if (may_fault()) use_fp();
      break;
    case 10: settings(); break;
    default: __asm__ volatile("sev\n\t wfe\n\t clrex" : : : "memory"); break;
  }
}

// ---- handlers

static u32 is_stack(u32 address) {
  return address >= 0x20000000 && address < 0x20400000 && (address & 3) == 0 &&
         (address + 32 <= (u32)forbidden || address >= (u32)(forbidden + 64));
}

/// What the return from here is made with, if nothing else comes in between: sometimes something that cannot
/// be.
static u32 spoil(u32 number, u32 exc_return) {
  // Not a return to Handler mode where there is none to return to: QEMU unstacks before it looks.
  static const u32 kBad[] = {0xfffffff9, 0xfffffff0, 0xfffffff5, 0xfffffff3};
  if (read_faultmask() != 0 || unmaskable != 0 || below(24) != 0) return exc_return;
  if ((exc_return & 0x14) == 0x14 && below(2) == 0) {
    if (!is_stack(read_psp())) return exc_return;
    put(0xbad1bad1);
    saved_psp = read_psp();
    write_psp((u32)(forbidden + 32));
    return exc_return;
  }
  const u32 bad = kBad[below(4)], alone = (REG(kIcsr) & 1 << 11) != 0;
  if (number < 11 || (bad == 0xfffffff9 && alone)) return exc_return;
  put(0xbad2bad2);
  put(bad);
  good_return = exc_return;
  return_broken = 1;
  return bad;
}

static void log_entry(u32 number, u32 exc_return, u32* frame, u32 readable) {
  const u32 cfsr = REG(kCfsr);
  put(0xe0000000 | number);
  put(exc_return);
  put((u32)frame);
  if (readable) {
    put(frame[0] ^ frame[1] ^ frame[2] ^ frame[3] ^ frame[4] ^ frame[5]);
    put(frame[6]);
    put(frame[7]);
  }
  put(REG(kIcsr));
  put(REG(kShcsr));
  put(cfsr);
  put(REG(kHfsr));
  if ((cfsr & 0x80) != 0) put(REG(kMmfar));
  if ((cfsr & 0x8000) != 0) put(REG(kBfar));
  put(REG(0xe000e200));
  put(REG(0xe000e300));
  put(read_control() | read_primask() << 4 | read_faultmask() << 5 | read_basepri() << 8);
#if HAS_FP
  put(read_fpccr());
  put(REG(kFpcar));
#endif
}

/// Takes the EXC_RETURN value and the main stack pointer at entry; gives the value to return with.
__attribute__((used)) static u32 handle(u32 exc_return, u32* main_frame) {
  if (trace_words > sizeof trace / sizeof trace[0] - 64) finish();
  if (return_broken) {
    return_broken = 0;
    put(exc_return);
    exc_return = good_return;
  }
  const u32 process = exc_return & 4, number = read_ipsr();
  u32* frame = process ? (u32*)read_psp() : main_frame;
  const u32 cfsr = REG(kCfsr);
  if ((cfsr & 0x1010) != 0) psp_broken = 1;
  const u32 readable = is_stack((u32)frame) && !(process && psp_broken);
  log_entry(number, exc_return, frame, readable);
  REG(kCfsr) = cfsr;
  REG(kHfsr) = REG(kHfsr);
  REG(0xe000ed30) = 31;
  write_control(read_control() & ~1u);
#if HAS_FP
  if ((cfsr & 0x2020) != 0) REG(kFpccr) = read_fpccr() & ~1u;
  const u32 fp_was_off = (cfsr & 1 << 19) != 0 && REG(kCpacr) == 0;
  if (fp_was_off) REG(kCpacr) = 0xf00000;
#else
  const u32 fp_was_off = 0;
#endif
  if ((cfsr & 0x0808) != 0) {
    write_psp(saved_psp);
  } else if (!fp_was_off && number >= 3 && number <= 6 && readable && (cfsr & 0x030b0303) != 0) {
    frame[6] = frame[4] & ~1u;
    frame[7] = (frame[7] & ~0x0600fc00u) | 1 << 24;
  }
  const u32 hard = number == 2 || number == 3;
  unmaskable += hard;
  ++depth;
  for (u32 actions = depth < kDeepest ? below(4) : 0; actions > 0; --actions) something();
  --depth;
  if (below(2) == 0) {
    write_primask(0);
    write_basepri(0);
  }
  if (psp_broken && process) {
    // The frame was lost with the stack: one is made up.
    u32* made = (u32*)(good_psp - 32);
    for (u32 i = 0; i < 6; ++i) made[i] = i;
    made[6] = resume_at & ~1u;
    made[7] = 1 << 24;
    write_psp((u32)made);
    psp_broken = 0;
    exc_return |= 0x10;
  } else {
    exc_return = spoil(number, exc_return);
  }
  unmaskable -= hard;
  return exc_return;
}

NAKED static void handler(void) {
  __asm__ volatile(
      "mov r1, sp\n\t mov r0, lr\n\t push {r4, lr}\n\t bl handle\n\t pop {r4, lr}\n\t mov lr, r0\n\t bx lr");
}

// ---- Thread mode

/// An exception while the stack pointer is not aligned to eight bytes.
static void trigger_misaligned(void) {
  __asm__ volatile("sub sp, #4\n\t str %0, [%1]\n\t nop\n\t add sp, #4"
                   :
                   : "r"(1u << below(kIrqs)), "r"(0xe000e200)
                   : "memory");
}

/// An exception that finds no stack to store its frame on.
#define WITHOUT_STACK(text)                                                                         \
  __asm__ volatile("adr r0, 1f\n\t str r0, [%0]\n\t adr r12, 1f\n\t msr psp, %2\n\t" text           \
                   "\n\t nop\n\t .balign 4\n1:\t msr psp, %1"                                       \
                   :                                                                                \
                   : "r"(&resume_at), "r"(good_psp), "r"(forbidden + 32), "r"(irq), "r"(0xe000e200) \
                   : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory")
static void trigger_without_stack(void) {
  const u32 irq = 1u << below(kIrqs), kind = below(3);
  if (!may_fault()) return;
  good_psp = read_psp();
  switch (kind) {
    case 0: WITHOUT_STACK("str %3, [%4]"); break;
    case 1: WITHOUT_STACK("svc #5"); break;
    default: WITHOUT_STACK("udf #3"); break;
  }
}

/// A program without privileges that tries something, and calls; every handler makes it privileged again.
#define UNPRIVILEGED(text, in)                                                        \
  AT_RISK("mrs r0, control\n\t orr r0, #1\n\t msr control, r0\n\t isb\n\t" text, in); \
  AT_RISK("svc #9", 0)
static void without_privileges(void) {
  const u32 kind = below(7);
  if (!may_fault()) return;
  switch (kind) {
    case 0: UNPRIVILEGED("ldr r0, [%0]", private_data + 3); break;
    case 1: UNPRIVILEGED("ldr r0, [%0]", 0xe000ed00); break;
    case 2: UNPRIVILEGED("mov r0, #1\n\t str r0, [%0]", kStir); break;
    case 3: UNPRIVILEGED("cpsid i", 0); break;
    case 4: UNPRIVILEGED("msr basepri, %0", 0x20); break;
    case 5: UNPRIVILEGED("ldr r0, [%0]", 0xf0000000); break;
    default: UNPRIVILEGED("mov r0, #3\n\t msr control, r0\n\t udf #1", 0); break;
  }
}

static void storm(void) {
  for (u32 i = 0; i < parameters[2]; ++i) {
    budget = 24;
    switch (below(8)) {
      case 0: trigger_misaligned(); break;
      case 1: trigger_without_stack(); break;
      case 2: without_privileges(); break;
      default: something(); break;
    }
    put(0x70000000 | i);
    put(read_control() | read_primask() << 4 | read_faultmask() << 5 | read_basepri() << 8);
    put(REG(kIcsr));
    put(fp_word());
    if (below(4) == 0) {
      write_faultmask(0);
      write_primask(0);
      write_basepri(0);
    }
  }
  finish();
}

static void say(char c) {
  while ((REG(kUart + 4) & 1) != 0) {
  }
  REG(kUart) = (u32)c;
}

static void finish(void) {
  write_primask(1);
  write_faultmask(1);
  for (u32 i = 0; i < trace_words; ++i) {
    const u32 word = trace[i];
    if (i != 0) say(word >> 28 == 0xe || word >> 28 == 7 ? '\n' : ' ');
    for (int shift = 28; shift >= 0; shift -= 4) say("0123456789abcdef"[word >> shift & 15]);
  }
  say('\n');
  register u32 call_number __asm__("r0") = 0x18;
  register u32 reason __asm__("r1") = 0x20026;
  __asm__ volatile("bkpt 0xab" : "+r"(call_number) : "r"(reason) : "memory");
  for (;;) {
  }
}

static void mpu_region(u32 n, u32 base, u32 attributes) {
  REG(0xe000ed98) = n;
  REG(0xe000ed9c) = base;
  REG(0xe000eda0) = attributes;
}

void reset(void) {
  random_state = parameters[1];
  REG(kUart + 0x10) = 16;
  REG(kUart + 0x08) = 1;
  REG(kShcsr) = 7 << 16;
  REG(0xe000e100) = (1 << kIrqs) - 1;
  mpu_region(0, 0, 3 << 24 | 29 << 1 | 1);
  mpu_region(5, (u32)private_data, 1 << 24 | 7 << 1 | 1);
  mpu_region(7, (u32)forbidden, 7 << 1 | 1);
  REG(kMpuCtrl) = 5;
#if HAS_FP
  REG(kCpacr) = 0xf00000;
#endif
  write_psp((u32)(thread_stack + sizeof thread_stack / sizeof thread_stack[0]));
  __asm__ volatile("msr control, %0\n\t isb" : : "r"(2) : "memory");
  storm();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16 + kIrqs])(void) = {
    (void (*)(void))0x20400000,
    reset,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
    handler,
};
