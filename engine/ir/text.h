// Shared by the printer and the parser of the text form (print.cpp has the grammar).
#pragma once
#include "engine/ir/ir.h"

namespace hindcast::ir {

/// Which attributes an op has in the text, and so which of Inst's fields mean something beside type and
/// operands.
enum class Attributes : u8 {
  None,
  Constant,  // 0x10 (imm)
  Register,  // reg= (imm)
  Memory,    // offset= be align intent space= (imm)
  Rounding,  // round= (aux), neg= (flags)
  Helper,    // @name (imm), before the operands
  Insn,      // pc= (imm), len= (flags)
  Jump,      // to= (aux)
  Branch,    // then= (aux), else= (imm)
  Pc,        // pc= (imm)
  PcReason,  // pc= (imm), reason= (aux)
};
Attributes attributes_of(Op op);
const char* round_name(Round round);

}  // namespace hindcast::ir
