// Functions of their operands alone that IR has no op for.
#pragma once
#include "engine/types.h"

namespace hindcast::riscv {

/// Carry-less product of two XLEN-bit values: its low half, its high half, and bits XLEN-1 to 2*XLEN-2.
u64 clmul(u64 a, u64 b, u64 xlen);
u64 clmulh(u64 a, u64 b, u64 xlen);
u64 clmulr(u64 a, u64 b, u64 xlen);

/// FCLASS's one-hot classes of a bit pattern (unprivileged manual, table 11.5).
u64 fclass16(u64 bits, u64, u64);
u64 fclass32(u64 bits, u64, u64);
u64 fclass64(u64 bits, u64, u64);

}  // namespace hindcast::riscv
