// Start, and the way into other modes and back: what guests that draw modes at random share.
#if __riscv_xlen == 64
#define LOAD ld
#define STORE sd
#define WORD 8
#else
#define LOAD lw
#define STORE sw
#define WORD 4
#endif

// struct context of guest.h, in words.
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
