// Finds where two sides differ, and the smallest program that still shows it.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "targets/riscv/riscv.h"
#include "tests/oracle/program.h"

namespace hindcast::oracle {

using Side = std::function<ProgramResult(const Program&)>;

struct CompareOptions {
  /// The other side is QEMU, whose choices differ where the manual leaves one or where it is known to be
  /// wrong: causes of faulting atomics are loads' there, a breakpoint's trap value is 0, and that of a
  /// misaligned access which faults is an aligned address.
  bool tolerate_qemu = false;
};

/// Indices of the blocks that differ; blocks.size() stands for the scratch memory.
std::vector<std::size_t> differing_blocks(const Program& program, const ProgramResult& a,
                                          const ProgramResult& b, const CompareOptions& options);

/// Runs both sides on the program; on a difference shrinks it to one block with as few instructions as
/// possible and returns the report: instructions, their inputs, what each side got. Empty: no difference.
/// `name_a` and `name_b` head the columns.
std::string compare(const riscv::RiscvArch& arch, const Program& program, const Side& a, const Side& b,
                    const std::string& name_a, const std::string& name_b, const CompareOptions& options);

}  // namespace hindcast::oracle
