// Finds where two sides differ, and the smallest Arm program that still shows it; and the sides.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "engine/machine.h"
#include "targets/arm/arm.h"
#include "tests/oracle_arm/program.h"

namespace hindcast::oracle_arm {

using Side = std::function<ProgramResult(const Program&)>;

/// In this process. Throws std::runtime_error if the program did not end as it should.
ProgramResult run_here(const Target& target, const Program& program, const EngineOptions& engine);

/// The same with non-maskable interrupts between instructions at random, whose handler changes all that a
/// frame holds. Their frames lie below the blocks' stack pointers.
ProgramResult run_interrupted(const Target& target, const Program& program, const EngineOptions& engine,
                              u64 seed);

/// Debian's qemu-system-arm. The large memory is a file that both share, so no output is needed.
class Qemu {
 public:
  static std::optional<Qemu> find();  // nothing if it is not installed
  const std::string& version() const { return version_; }
  ProgramResult run(const Target& target, const Program& program) const;

 private:
  std::string version_;
};

/// Runs both sides; on a difference shrinks the program to one block with as few instructions as possible and
/// returns the report. Empty: no difference.
std::string compare(const arm::ArmArch& arch, const Program& program, const Side& a, const Side& b,
                    const std::string& name_a, const std::string& name_b);

}  // namespace hindcast::oracle_arm
