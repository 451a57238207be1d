// The Secure world: sets up memory, calls Non-secure code, serves its calls, takes interrupts and faults of
// both.
#include <arm_cmse.h>

#include "worlds.h"

enum { kScbNs = 0xe002ed00, kSfsr = 0xe000ede4, kCfsr = 0xe000ed28, kHfsr = 0xe000ed2c };
#ifndef SEED
#define SEED 1
#endif

extern u32 stack_top[], ns_vectors[];
typedef u32 __attribute__((cmse_nonsecure_call)) NsMain(u32);
typedef u32 __attribute__((cmse_nonsecure_call)) NsFunction(u32);

// What the tests replace in the image.
__attribute__((used)) static const volatile u32 parameters[4] = {0x5eed5eed, SEED, 40, 0};
static u32 trace[1 << 14], words, random_state;
static volatile float number = 2.5f;

static u32 note(u32 word) {
  if (words < sizeof trace / sizeof trace[0]) trace[words++] = word;
  return word;
}
static u32 draw(u32 below) {
  random_state = random_state * 1664525 + 1013904223;
  return (random_state >> 8) % below;
}

u32 __attribute__((cmse_nonsecure_entry)) entry_note(u32 word) { return note(word); }
u32 __attribute__((cmse_nonsecure_entry)) entry_draw(u32 below) { return draw(below); }
u32 __attribute__((cmse_nonsecure_entry)) entry_act(u32 what, u32 argument) {
  note(0xac000000 | what << 8 | argument);
  note(read_control());
  switch (what) {
    case 0: REG(0xe000ef00) = 4 + (argument & 3); break;  // a Secure interrupt
    case 1: REG(0xe000ef00) = argument & 3; break;        // a Non-secure one, now
    case 2: number = number * 1.5f + (float)argument; break;
    default: __asm__ volatile("udf 3" : : : "memory"); break;
  }
  barrier();
  return note((u32)(number * 8.0f));
}
u32 __attribute__((cmse_nonsecure_entry)) entry_call_back(u32 (*function)(u32), u32 argument) {
  const cmse_address_info_t info = cmse_TT((void*)function);
  note(info.value);
  note(cmse_TTA((void*)kSecureSecret).value);
  if (!info.flags.secure) return ((NsFunction*)cmse_nsfptr_create(function))(argument);
  return 0;
}

u32 inside(u32 argument) { return note(argument); }

// The gateways. (The linker would make them too, but not for callers that it links together with the entries.)
#define GATE(name)                                                                            \
  __asm__(".pushsection .gates, \"ax\"\n.thumb_func\n.global gate_" #name "\ngate_" #name \
          ": sg\n b.w entry_" #name "\n.popsection\n");
GATE(note)
GATE(draw)
GATE(act)
GATE(call_back)

/// What Secure handlers find.
void __attribute__((used)) handler_body(u32* frame, u32 exc_return) {
  const u32 ipsr = read_ipsr();
  note(0x5e000000 | ipsr);
  note(exc_return);
  note(read_control());
  if (ipsr == 3 || (ipsr >= 5 && ipsr <= 7)) {
    note(REG(kSfsr) & ~0x40u);  // QEMU sets SFAR for stacking only
    note(REG(kCfsr));
    note(REG(kHfsr));
    const u32 invalid_entry = REG(kSfsr) & 1;
    REG(kSfsr) = REG(kSfsr);
    REG(kCfsr) = REG(kCfsr);
    REG(kHfsr) = REG(kHfsr);
    u32* at = frame;
    // Non-secure code's frame is on its own stack.
    if ((exc_return & 0x40) == 0) __asm__ volatile("mrs %0, msp_ns" : "=r"(at));
    note(at[6]);
    at[6] = invalid_entry ? at[5] & ~1u : at[6] + (*(volatile unsigned short*)at[6] >> 11 < 0x1d ? 2 : 4);
  }
  if (ipsr == 20) REG(0xe000ef00) = 0;  // Non-secure interrupts wait or chain
  if (ipsr == 21) number = number + 1.0f;
}
NAKED void handler(void) {
  __asm__ volatile(
      "tst lr, #4\n ite eq\n mrseq r0, msp\n mrsne r0, psp\n"
      "tst lr, #0x20\n it eq\n addeq r0, r0, #40\n"
      "mov r1, lr\n push {r1, r2}\n bl handler_body\n pop {r1, r2}\n bx r1\n");
}

static void put(u32 character) {
  while ((REG(kUart + 4) & 1) != 0) {
  }
  REG(kUart) = character;
}
static void print(void) {
  REG(kUart + 0x10) = 16;
  REG(kUart + 8) = 1;
  for (u32 i = 0; i < words; ++i) {
    for (u32 n = 0; n < 8; ++n) put("0123456789abcdef"[trace[i] >> (28 - 4 * n) & 15]);
    put('\n');
  }
}
static void finish(void) {
  print();
  register u32 r0 __asm__("r0") = 0x18;
  register u32 r1 __asm__("r1") = 0x20026;
  __asm__ volatile("bkpt 0xab" : : "r"(r0), "r"(r1) : "memory");
  for (;;) {
  }
}

static void sau(u32 n, u32 base, u32 limit, u32 callable) {
  REG(0xe000edd8) = n;
  REG(0xe000eddc) = base;
  REG(0xe000ede0) = (limit & ~31u) | callable << 1 | 1;
}
/// The upper half of a memory, or all of it, becomes the Non-secure state's. What is kept back ends in a bus fault,
/// as it does under QEMU in any case.
static void mpc(u32 base, u32 half) {
  REG(base) |= 1 << 4;
  const u32 count = REG(base + 0x10) + 1;
  for (u32 i = half ? count / 2 : 0; i < count; ++i) {
    REG(base + 0x18) = i;
    REG(base + 0x1c) = ~0u;
  }
}

static void set_up(void) {
  sau(0, kNsCode, kNsCodeEnd, 0);
  sau(1, kNsData, kNsDataEnd, 0);
  sau(2, kGates, kGates + 0x1ffff, 1);
  REG(0x50080014) = 1;  // the code region may be Non-secure callable
  mpc(kCodeGate, 1);
  mpc(kDataGate, 0);
  REG(0xe000edd0) = 1;
  REG(0xe000ed24) = 0xf << 16;          // faults
  REG(kScbNs + 0x24) = 4 << 16;
  REG(0xe000e380) = kNonSecureIrqs;     // ITNS
  REG(0xe000e100) = 0xff;
  for (u32 i = 0; i < 2; ++i) REG(0xe000e400 + 4 * i) = draw(256) << 4 ^ random_state;
  REG(0xe000ed20) = random_state & 0xe0e00000;
  REG(kScbNs + 0x08) = (u32)ns_vectors;
  REG(kScbNs + 0x18) = 0x00200000;
  REG(kScbNs + 0x1c) = 0x40u << 24;
  REG(kScbNs + 0x20) = 0x00e00000;
  REG(0xe000ed18) = random_state << 3 & 0x00400000;
  REG(0xe000ed88) = REG(kScbNs + 0x88) = 0xf << 20;
  REG(0xe000ed8c) = 0xc00;              // NSACR
  barrier();
}

__attribute__((used)) void start(void) {
  random_state = parameters[1];
  for (u32 round = 0; round < parameters[2]; ++round) {
    const u32 mode = draw(8);
    REG(0xe000ed0c) = 0x05fa0000 | (mode & 1) << 14 | (draw(4) << 8);  // PRIS
    // TS, CLRONRET, LSPEN
    REG(0xe000ef34) = (REG(0xe000ef34) & ~(1u << 26 | 1u << 28 | 1u << 30)) | draw(2) << 26 | draw(2) << 28 |
                      draw(2) << 30;
    set_up();
    __asm__ volatile("msr msp_ns, %0\n msr primask_ns, %1" : : "r"(ns_vectors[0]), "r"(0));
    note(0x12000000 | round << 4 | mode);
    if ((mode & 2) != 0) number = number * 0.5f + 3.0f;  // floating-point state before the call
    // QEMU takes SecureFault and BusFault for Non-secure ones when it compares priorities under PRIS.
    note(((NsMain*)cmse_nsfptr_create((NsMain*)(u32)ns_main))((mode & 1) == 0));
    note((u32)(number * 4.0f));
  }
  finish();
}

/// Odd seeds use the process stack.
NAKED void reset(void) {
  __asm__ volatile(
      "ldr r0, =parameters\n ldr r0, [r0, #4]\n lsls r0, r0, #31\n beq 1f\n"
      "ldr r0, =process_stack_top\n msr psp, r0\n movs r0, #2\n msr control, r0\n isb\n1: b start\n");
}

__attribute__((used, section(".vectors"))) void* const vectors[48] = {
    stack_top, reset,   handler, handler, handler, handler, handler, handler, 0,       0,
    0,         handler, handler, 0,       handler, handler, handler, handler, handler, handler,
    handler,   handler, handler, handler};
