// A bytecode interpreter dispatched by computed goto: one hard-to-predict indirect jump every few
// instructions.
#include "kernels.h"

enum { kPush, kLoad, kStore, kAdd, kSub, kMul, kXor, kLess, kJumpIfZero, kJump, kDup, kHalt };

static uint32_t run(const uint8_t* code, uint32_t* locals) {
  static const void* const dispatch[] = {&&push, &&load, &&store,        &&add,  &&sub, &&mul,
                                         &&xor_, &&less, &&jump_if_zero, &&jump, &&dup, &&halt};
  uint32_t stack[16];
  uint32_t* top = stack;
  const uint8_t* ip = code;
#define NEXT goto* dispatch[*ip++]
  NEXT;
push:
  *top++ = *ip++;
  NEXT;
load:
  *top++ = locals[*ip++];
  NEXT;
store:
  locals[*ip++] = *--top;
  NEXT;
add:
  top--, top[-1] += top[0];
  NEXT;
sub:
  top--, top[-1] -= top[0];
  NEXT;
mul:
  top--, top[-1] *= top[0];
  NEXT;
xor_:
  top--, top[-1] ^= top[0];
  NEXT;
less:
  top--, top[-1] = top[-1] < top[0];
  NEXT;
jump_if_zero:
  ip = *--top == 0 ? code + *ip : ip + 1;
  NEXT;
jump:
  ip = code + *ip;
  NEXT;
dup:
  top[0] = top[-1], top++;
  NEXT;
halt:
  return top[-1];
#undef NEXT
}

uint32_t kernel_bytecode(uint32_t scale) {
  // for (i = 0; i < limit; i++) { a = a * 31 + (i ^ b); if (a < b) b = b + 3; else b = b - i; } result a ^ b
  static const uint8_t program[] = {
      /* 0 */ kLoad,
      0,
      kLoad,
      3,
      kLess,
      kJumpIfZero,
      51,
      /* 7 */ kLoad,
      1,
      kPush,
      31,
      kMul,
      kLoad,
      0,
      kLoad,
      2,
      kXor,
      kAdd,
      kDup,
      kStore,
      1,
      /* 21 */ kLoad,
      2,
      kLess,
      kJumpIfZero,
      34,
      /* 26 */ kLoad,
      2,
      kPush,
      3,
      kAdd,
      kStore,
      2,
      kJump,
      /* 34 is reached by the branch; the jump's operand is patched in below */ 0,
      kLoad,
      2,
      kLoad,
      0,
      kSub,
      kStore,
      2,
      /* 42 */ kLoad,
      0,
      kPush,
      1,
      kAdd,
      kStore,
      0,
      kJump,
      0,
      /* 51 */ kLoad,
      1,
      kLoad,
      2,
      kXor,
      kHalt};
  uint8_t code[sizeof program];
  for (size_t i = 0; i < sizeof program; i++) code[i] = program[i];
  code[25] = 35;  // else branch
  code[34] = 42;  // end of the then branch
  uint32_t locals[4] = {0, 1, 12345, 0}, sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    locals[0] = 0;
    locals[3] = 5000;
    sum = mix(sum, run(code, locals));
  }
  return sum;
}
