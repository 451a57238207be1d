// What an interrupt controller of the RISC-V Advanced Interrupt Architecture tells a hart beside the level of
// its line (chapter 5: priorities of external interrupts and of major ones mix).
#pragma once

namespace hindcast::devices {

/// Names under which the machine has the controller of each level as an extension.
inline constexpr const char* kMachineExternal = "riscv.external.machine";
inline constexpr const char* kSupervisorExternal = "riscv.external.supervisor";

class ExternalPriorities {
 public:
  virtual ~ExternalPriorities() = default;
  /// The priority number of what the hart's line stands for now; 0: of nothing.
  virtual unsigned external_priority(unsigned hart) const = 0;
};

}  // namespace hindcast::devices
