// What runs below page tables, and the way there and back. One page of operations, each of at most three
// instructions and an ecall; a page of nothing but ecalls is where jumps land.
#include "../enter.S"

    .macro op code:vararg
    .balign 16
    \code
    ecall
    .endm

    .section .stub, "ax"
    .option norvc
    .balign 4096
    .globl stub, landing
stub:
    op lb a0, 0(a1)
    op lbu a0, 0(a1)
    op lh a0, 0(a1)
    op lhu a0, 0(a1)
    op lw a0, 0(a1)
    op sb a2, 0(a1)
    op sh a2, 0(a1)
    op sw a2, 0(a1)
    op lr.w a0, (a1)
    op amoadd.w a0, a2, (a1)
    op amomaxu.w a0, a2, (a1)
    .balign 16
    lr.w a0, (a1)
    sc.w a0, a2, (a1)
    ecall
    op sc.w a0, a2, (a1)
    op .word 0x0045a00f  // cbo.zero (a1)
    op .word 0x0025a00f  // cbo.flush (a1)
    op .word 0x0005a00f  // cbo.inval (a1)
    op jalr a0, 0(a1)
    op sfence.vma a1, zero
    op .word 0x16058073  // sinval.vma a1, zero
    op .word 0x18000073  // sfence.w.inval
    op csrr a0, satp
    op csrr a0, sstatus
    op csrr a0, sip
    op csrr a0, scounteren
    op sret
    op mret
    op ebreak
    op .word 0x00d00073  // wrs.nto
    op csrrw a0, sscratch, a2
    op csrrs a0, sie, a2
    op csrrc a0, sstatus, a2
    op .word 0
#if __riscv_xlen == 64
    op lwu a0, 0(a1)
    op ld a0, 0(a1)
    op sd a2, 0(a1)
    op amoswap.d a0, a2, (a1)
#endif
    .balign 4096
landing:
    .rept 1024
    ecall
    .endr
