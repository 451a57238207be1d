// One-line instruction cases (tests/insns/*.ins), for any architecture:
//   CPU  BYTES | TEXT | INPUT=VALUE ... => OUTPUT=VALUE ...
// CPU is a word that the test maps to an architecture; BYTES are the instruction in memory order, in
// hexadecimal; TEXT is its disassembly. Inputs and outputs are register names (either name of the row) or
// memory, written m8:ADDRESS, m16:, m32:, m64:. What is not an output must keep its value. Outputs may also
// be "pc" (default: the next instruction) and "trap" (the exception code; nothing else is checked then but
// what is named).
// '#' begins a comment.
#pragma once
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast::test {

struct Assignment {
  std::string place;  // register name; empty for memory
  unsigned memory_bits = 0;
  GuestAddr address = 0;
  u64 value = 0;
};

struct InsnCase {
  unsigned line = 0;
  std::string cpu;
  Bytes code;
  std::string text;
  std::vector<Assignment> inputs, outputs;
};

/// Throws std::runtime_error with file and line for what it cannot read.
std::vector<InsnCase> read_insn_cases(const std::string& path);

}  // namespace hindcast::test
