// Starts a program in supervisor mode below Sv39 page tables, at the addresses where it is: linked before its own start
// code (-e supervisor_start). What its start code asks of machine mode is passed over.
  .section .text.supervisor, "ax"
  .globl supervisor_start
supervisor_start:
  li t0, -1
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
  la t0, pass_over
  csrw mtvec, t0
  la t0, root_table
  srli t0, t0, 12
  li t1, 8 << 60
  or t0, t0, t1
  csrw satp, t0
  sfence.vma
  li t0, 3 << 11
  csrc mstatus, t0
  li t0, 1 << 11 | 3 << 13  // MPP: supervisor; FS
  csrs mstatus, t0
  la t0, _start
  csrw mepc, t0
  mret

  .balign 4
pass_over:
  csrw mscratch, t0
  csrr t0, mepc
  addi t0, t0, 4
  csrw mepc, t0
  csrr t0, mscratch
  mret

  // Pages of a gigabyte, valid, readable, writable, executable, accessed and dirty.
  .section .rodata.root_table, "a"
  .balign 4096
root_table:
  .dword 0 << 28 | 0xcf, 1 << 28 | 0xcf, 2 << 28 | 0xcf, 3 << 28 | 0xcf
  .zero 4096 - 4 * 8
