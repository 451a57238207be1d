// What runs below page tables, and the way there and back. One page of operations, each of at most three
// instructions and an ecall; a page of nothing but ecalls is where jumps land.
#if __riscv_xlen == 64
#define LOAD ld
#define STORE sd
#define WORD 8
#else
#define LOAD lw
#define STORE sw
#define WORD 4
#endif

// struct context of paging.c, in words.
#define SAVED 0
#define PC 16
#define ADDRESS 17
#define VALUE 18
#define STATUS 19
#define RESULT 20
#define CAUSE 21
#define EPC 22
#define TVAL 23
#define STATUS_AFTER 24

    .section .text.start
    .globl _start
_start:
    la sp, stack_top
    la t0, trap
    csrw mtvec, t0
    la t0, bss_begin
    la t1, bss_end
1:  bgeu t0, t1, 2f
    STORE zero, 0(t0)
    addi t0, t0, WORD
    j 1b
2:  call run
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
3:  j 3b

    .text
    .globl enter, enter_in_machine_mode
// void enter(struct context *): by mret; comes back by trap.
enter:
    csrw mscratch, a0
    STORE ra, 15*WORD(a0)
    call save
    LOAD t0, PC*WORD(a0)
    csrw mepc, t0
    LOAD t0, STATUS*WORD(a0)
    csrw mstatus, t0
    LOAD a1, ADDRESS*WORD(a0)
    LOAD a2, VALUE*WORD(a0)
    li a0, 0
    mret

// void enter_in_machine_mode(struct context *): by a jump, for what mstatus.MPRV changes.
enter_in_machine_mode:
    csrw mscratch, a0
    STORE ra, 15*WORD(a0)
    call save
    LOAD a1, ADDRESS*WORD(a0)
    LOAD a2, VALUE*WORD(a0)
    LOAD t1, PC*WORD(a0)
    LOAD t0, STATUS*WORD(a0)
    li a0, 0
    csrw mstatus, t0
    jr t1

save:
    STORE s0, 0*WORD(a0)
    STORE s1, 1*WORD(a0)
    STORE s2, 2*WORD(a0)
    STORE s3, 3*WORD(a0)
    STORE s4, 4*WORD(a0)
    STORE s5, 5*WORD(a0)
    STORE s6, 6*WORD(a0)
    STORE s7, 7*WORD(a0)
    STORE s8, 8*WORD(a0)
    STORE s9, 9*WORD(a0)
    STORE s10, 10*WORD(a0)
    STORE s11, 11*WORD(a0)
    STORE sp, 12*WORD(a0)
    STORE gp, 13*WORD(a0)
    STORE tp, 14*WORD(a0)
    ret

    .balign 4
trap:
    csrr t0, mscratch
    STORE a0, RESULT*WORD(t0)
    csrr t1, mcause
    STORE t1, CAUSE*WORD(t0)
    csrr t1, mepc
    STORE t1, EPC*WORD(t0)
    csrr t1, mtval
    STORE t1, TVAL*WORD(t0)
    csrr t1, mstatus
    STORE t1, STATUS_AFTER*WORD(t0)
    LOAD s0, 0*WORD(t0)
    LOAD s1, 1*WORD(t0)
    LOAD s2, 2*WORD(t0)
    LOAD s3, 3*WORD(t0)
    LOAD s4, 4*WORD(t0)
    LOAD s5, 5*WORD(t0)
    LOAD s6, 6*WORD(t0)
    LOAD s7, 7*WORD(t0)
    LOAD s8, 8*WORD(t0)
    LOAD s9, 9*WORD(t0)
    LOAD s10, 10*WORD(t0)
    LOAD s11, 11*WORD(t0)
    LOAD sp, 12*WORD(t0)
    LOAD gp, 13*WORD(t0)
    LOAD tp, 14*WORD(t0)
    LOAD ra, 15*WORD(t0)
    csrw mstatus, zero
    ret

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
