// Runs a program on the two sides of a comparison.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/machine.h"
#include "tests/oracle/program.h"

namespace hindcast::oracle {

/// Features of the CPU under test beside its model's: all that have instructions.
inline constexpr const char* kBesides = "svinval=on,zacas=on,zabha=on,zkn=on,zks=on";

/// On the `virt` board in this process. Throws std::runtime_error if the program did not end as it should.
ProgramResult run_here(const Program& program, const EngineOptions& engine, const std::string& cpu);

/// Debian's qemu-system-riscv32/64. RAM is a file that both share, so no output is needed.
class Qemu {
 public:
  /// Empty if the emulator is not installed. `off`: extensions to switch off ("c", "zbb").
  static std::optional<Qemu> find(unsigned xlen, const std::vector<std::string>& off = {});
  /// Extensions (riscv::ext bits) that this version does not know.
  u64 missing() const { return missing_; }
  const std::string& version() const { return version_; }
  ProgramResult run(const Program& program) const;

 private:
  bool knows(const char* feature) const;

  std::string command_, version_, cpu_;
  u64 missing_ = 0;
};

}  // namespace hindcast::oracle
