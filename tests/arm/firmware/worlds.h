// Two worlds on one M33 or M55: what Secure and Non-secure code share. Everything that happens goes into a
// trace, which Secure code prints at the end: two machines that keep the architecture's rules print the same.
#pragma once
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
#define NAKED __attribute__((naked, used))

// Where things are: the Non-secure half of a memory for code, all of one for data, their controllers, and the
// entries of Secure code.
#ifdef SSE300
enum {
  kUart = 0x59303000,
  kNsCode = 0x01100000,
  kNsCodeEnd = 0x011fffff,
  kNsData = 0x21200000,
  kNsDataEnd = 0x213fffff,
  kGates = 0x11080000,
  kCodeGate = 0x57000000,
  kDataGate = 0x50084000,
  kSecureSecret = 0x31000100,
};
#else
enum {
  kUart = 0x50200000,
  kNsCode = 0x00200000,
  kNsCodeEnd = 0x003fffff,
  kNsData = 0x28200000,
  kNsDataEnd = 0x283fffff,
  kGates = 0x10080000,
  kCodeGate = 0x58007000,
  kDataGate = 0x58009000,
  kSecureSecret = 0x38000100,
};
#endif
enum {
  kStepsPerWorld = 12,
  kNonSecureIrqs = 0x0000000f,  // 0 to 3; 4 to 7 are Secure
};

// Entries of Secure code, by their gateways.
u32 gate_note(u32 word);               // into the trace
u32 gate_draw(u32 below);              // a random number
u32 gate_act(u32 what, u32 argument);  // does something in the Secure state
u32 gate_call_back(u32 (*function)(u32), u32 argument);
u32 inside(u32 argument);  // a Secure function that is no entry
/// `masks`: PRIMASK is one of the things that it does.
u32 ns_main(u32 masks);

#define READ(name)                                                 \
  static inline u32 read_##name(void) {                            \
    u32 value;                                                     \
    __asm__ volatile("mrs %0, " #name : "=r"(value) : : "memory"); \
    return value;                                                  \
  }
READ(control)
READ(ipsr)
READ(msp)
READ(psp)
READ(primask)
static inline void barrier(void) { __asm__ volatile("dsb\n isb" : : : "memory"); }
