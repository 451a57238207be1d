// The Non-secure world: calls Secure functions, takes interrupts and faults, and tries what it must not.
#include "worlds.h"

extern u32 ns_stack_top[];
static volatile float number = 1.5f;
static u32 may_mask;

static u32 called_back(u32 argument) {
  gate_note(0xcb000000 | argument);
  number = number * 1.25f + (float)argument;
  REG(0xe000ef00) = argument & 3;  // one of its own interrupts, while Secure code waits
  barrier();
  return argument * 3 + read_ipsr();
}

/// A handler of Non-secure interrupts and faults: what it finds.
void __attribute__((used)) ns_handler_body(u32* frame, u32 exc_return, const u32* callee) {
  gate_note(0x15000000 | read_ipsr());
  gate_note(exc_return);
  gate_note(read_control());
  u32 sum = 0;
  for (u32 i = 0; i < 8; ++i) sum = sum * 31 + callee[i];
  gate_note(sum);
  const u32 ipsr = read_ipsr();
  if (ipsr == 6 || ipsr == 3) {
    gate_note(REG(0xe000ed28));
    gate_note(frame[6]);
    REG(0xe000ed28) = REG(0xe000ed28);
    frame[6] += *(volatile unsigned short*)frame[6] >> 11 < 0x1d ? 2 : 4;
  }
  if (ipsr == 17) gate_act(0, 4);  // a Secure interrupt from within
  if (ipsr == 18) number = number + 2.0f;
}

NAKED void ns_handler(void) {
  __asm__ volatile(
      "push {r4-r11}\n mov r2, sp\n"
      "tst lr, #4\n ite eq\n addeq r0, sp, #32\n mrsne r0, psp\n"
      "mov r1, lr\n push {r1, r2}\n bl ns_handler_body\n pop {r1, r2}\n mov lr, r1\n pop {r4-r11}\n bx lr\n");
}

__attribute__((used, section(".ns_vectors"))) void* const ns_vectors[48] = {
    ns_stack_top, 0,          0,          ns_handler, ns_handler, ns_handler, ns_handler, 0,
    0,            0,          0,          ns_handler, 0,          0,          ns_handler, 0,
    ns_handler,   ns_handler, ns_handler, ns_handler, ns_handler, ns_handler, ns_handler, ns_handler};

static void step(void) {
  switch (gate_draw(11)) {
    case 0: gate_act(gate_draw(4), gate_draw(8)); break;
    case 1: gate_note(gate_call_back(called_back, gate_draw(100))); break;
    // (QEMU lets Non-secure code trigger Secure interrupts too.)
    case 2: REG(0xe000ef00) = gate_draw(4); break;
    case 3: REG(0xe000ed04) = 1 << 28; break;        // PendSV
    case 4: __asm__ volatile("svc 1" : : : "memory"); break;
    case 5: gate_note(REG(kSecureSecret)); break;   // AUVIOL
    case 6: gate_note(inside(1)); break;      // INVEP
    case 7: __asm__ volatile("udf 7" : : : "memory"); break;
    case 8:
      if (may_mask) __asm__ volatile("cpsid i");
      break;
    case 9: __asm__ volatile("cpsie i"); break;
    default:
      number = number * 0.75f;
      gate_note((u32)(number * 16.0f));
      break;
  }
  barrier();
}

u32 ns_main(u32 masks) {
  may_mask = masks;
  gate_note(read_control());
  for (u32 i = 0; i < kStepsPerWorld; ++i) step();
  gate_note(0xe0000000 | read_primask());
  return 0x600d;
}
