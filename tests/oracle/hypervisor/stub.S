// The way into V=1, a page for the instruction that a step draws, and a page of nothing but ecalls, where traps and jumps land.
#include "../enter.S"

    .text
    .globl enter_guest
// void enter_guest(struct context *): by sret, from supervisor mode; comes back by trap.
enter_guest:
    csrw mscratch, a0
    STORE ra, 15*WORD(a0)
    call save
    LOAD t0, PC*WORD(a0)
    csrw sepc, t0
    LOAD t0, STATUS*WORD(a0)
    csrw mstatus, t0
    LOAD a1, ADDRESS*WORD(a0)
    LOAD a2, VALUE*WORD(a0)
    li a0, 0
    la t0, 1f
    csrw mepc, t0
    mret
1:  sret

    .section .stub, "awx"
    .option norvc
    .balign 4096
    .globl stub, landing
stub:
    .space 4096
landing:
    .rept 1024
    ecall
    .endr
