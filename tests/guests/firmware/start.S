// Start-up and trap entry: every hart gets a stack and calls main(hart); traps call trap(cause, epc, tval).
#include "asm.h"

  .section .text.start
  .globl _start
_start:
  .option push
  .option norelax
  la gp, __global_pointer$
  .option pop
  la t0, trap_entry
  csrw mtvec, t0
#ifdef __riscv_flen
  li t0, 0x2000                 // mstatus.FS = initial
  csrs mstatus, t0
#endif
  csrr a0, mhartid
  la sp, __stacks_end
  slli t0, a0, 13
  sub sp, sp, t0
  bnez a0, secondary
  la t0, __bss_start
  la t1, __bss_end
1:
  bgeu t0, t1, 2f
  SREG zero, 0(t0)
  addi t0, t0, WORD
  j 1b
2:
  la t0, boot_done
  li t1, 1
  fence rw, w
  sw t1, 0(t0)
  j 4f
secondary:                      // the bss must not be cleared under the others' feet
  la t0, boot_done
3:
  lw t1, 0(t0)
  beqz t1, 3b
  fence r, rw
4:
  call main
  call power_off                // with main's result

  .section .data
  .balign 4
boot_done:
  .word 0

  .text
  .balign 4
  .globl trap_entry
  .weak trap_entry
trap_entry:
  addi sp, sp, -32 * WORD
  .irp r, 1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31
  SREG x\r, (\r * WORD)(sp)
  .endr
  csrr a0, mcause
  csrr a1, mepc
  csrr a2, mtval
  call trap                     // returns where to go on
  csrw mepc, a0
  .irp r, 1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31
  LREG x\r, (\r * WORD)(sp)
  .endr
  addi sp, sp, 32 * WORD
  mret
