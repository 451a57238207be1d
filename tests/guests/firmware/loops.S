// Guests that never end by themselves, one entry each (-DKIND=n): the emulator must stop at --max-icount.
  .section .text.start
  .globl _start
_start:
#if KIND == 0                   // the trap handler faults at once, for ever
  la t0, handler
  csrw mtvec, t0
  .word 0
  .balign 4
handler:
  .word 0xffffffff
#elif KIND == 1                 // the trap vector itself is nowhere
  li t0, 0x40000000
  csrw mtvec, t0
  jr t0
#elif KIND == 2                 // waits with every interrupt off: no input can end it
  csrw mie, zero
1:
  wfi
  j 1b
#else                           // the smallest loop
1:
  j 1b
#endif
