// RISC-V boards. Each is a device tree (README.md says which nodes mean something here); those with a name
// are in the table of riscv_boards.cpp.
#pragma once
#include "engine/registry.h"
#include "targets/loader/device_tree.h"
#include "targets/machines/aia.h"

namespace hindcast::machines {

/// The tree of the board that the configuration names, with as many harts and as much memory as it says; what
/// it leaves open (0 bytes of memory, no CPU) is filled in there. `image_bits`: the register width that the
/// image needs, 0 if it does not say. `aia`: its interrupt controllers. Throws Fatal for what the board
/// cannot have.
loader::DeviceTree riscv_board_tree(MachineConfig& config, unsigned image_bits, Aia aia = Aia::None);

/// Adds the boards to the process's registry.
void register_riscv_boards();

}  // namespace hindcast::machines
