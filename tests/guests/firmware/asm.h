// Names that make the assembly the same for both register widths.
#pragma once
#if __riscv_xlen == 64
#define LREG ld
#define SREG sd
#define WORD 8
#else
#define LREG lw
#define SREG sw
#define WORD 4
#endif
