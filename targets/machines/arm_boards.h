// Arm M-profile boards. Each is a device tree; those with a name are in the table of arm_boards.cpp.
#pragma once
#include <string>

#include "engine/registry.h"
#include "targets/loader/device_tree.h"

namespace hindcast::machines {

/// The M-profile CPU that a tree names ("cortex-m3"); empty if it names none.
std::string cortex_m_of(const loader::DeviceTree& tree);

/// MachineKind::build of all Arm M-profile boards, the user's included (its tree has the role "board").
std::unique_ptr<Machine> build_arm_board(MachineConfig& config, const EngineOptions& engine, InputPort& port);

/// Adds the boards to the process's registry.
void register_arm_boards();

}  // namespace hindcast::machines
