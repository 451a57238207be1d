// The text by which device trees name a CPU's extensions ("The RISC-V Instruction Set Manual", volume I,
// chapter 27).
#pragma once
#include <string>

#include "targets/riscv/features.h"

namespace hindcast::riscv {

/// "rv64imafdc_zicntr_zicsr_...": single letters in canonical order, then the Z extensions by category.
std::string isa_string(const Features& features);

}  // namespace hindcast::riscv
