// From a RISC-V board's tree and the configuration to a machine that is ready to start.
#pragma once
#include "engine/registry.h"

namespace hindcast::machines {

inline constexpr unsigned kElfRiscv = 243;  // e_machine

/// MachineKind::build of all RISC-V boards.
std::unique_ptr<Machine> build_riscv_board(MachineConfig& config, const EngineOptions& engine,
                                           InputPort& port);

}  // namespace hindcast::machines
