// Emit functions of the system instructions that other chapters share.
#pragma once
#include "targets/riscv/emitter.h"

namespace hindcast::riscv {

/// EBREAK: a semihosting call where the magic sequence surrounds it, else a breakpoint exception.
void ebreak(Emitter& e);

}  // namespace hindcast::riscv
