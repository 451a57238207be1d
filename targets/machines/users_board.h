// The board that the user describes with a device tree (--board FILE): its CPUs say whose it is.
#pragma once

namespace hindcast::machines {

/// Adds the board to the process's registry.
void register_users_board();

}  // namespace hindcast::machines
