// Start, the way into other modes and back, and what traps do meanwhile.
#if __riscv_xlen == 64
#define LOAD ld
#define STORE sd
#define WORD 8
#else
#define LOAD lw
#define STORE sw
#define WORD 4
#endif

// struct trap of aia.c, in words.
#define SCRATCH 0
#define CAUSE 1
#define RESUME 2

    .section .text.start
    .globl _start
_start:
    la sp, stack_top
    la t0, bss_begin
    la t1, bss_end
1:  bgeu t0, t1, 2f
    STORE zero, 0(t0)
    addi t0, t0, WORD
    j 1b
2:  la t0, trap
    csrw mscratch, t0
    la t0, machine_trap
    csrw mtvec, t0
    la t0, supervisor_trap
    csrw stvec, t0
    call run
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
3:  j 3b

// An exception of a tested instruction skips it; what happens below enter() ends that.
    .balign 4
machine_trap:
    csrrw t6, mscratch, t6
    STORE t5, SCRATCH*WORD(t6)
    csrr t5, mcause
    STORE t5, CAUSE*WORD(t6)
    LOAD t5, RESUME*WORD(t6)
    bnez t5, 1f
    csrr t5, mepc
    addi t5, t5, 4
    csrw mepc, t5
    LOAD t5, SCRATCH*WORD(t6)
    csrrw t6, mscratch, t6
    mret
1:  csrw mepc, t5
    li t5, 0x1800
    csrs mstatus, t5
    li t5, 0x80
    csrc mstatus, t5
    csrrw t6, mscratch, t6
    mret

    .balign 4
supervisor_trap:
    ecall

    .globl enter
// void enter(word status): to `landing` by mret; comes back by whatever trap ends in machine mode.
enter:
    la t0, trap
    la t1, 1f
    STORE t1, RESUME*WORD(t0)
    la t1, landing
    csrw mepc, t1
    csrw mstatus, a0
    mret
    .balign 4
1:  la t0, trap
    STORE zero, RESUME*WORD(t0)
    ret

    .balign 4
landing:
    nop
    nop
    ecall
