#include "targets/targets.h"

#include "targets/arm/arm.h"
#include "targets/devices/model_registry.h"
#include "targets/machines/arm_boards.h"
#include "targets/machines/riscv_boards.h"
#include "targets/machines/users_board.h"
#include "targets/riscv/riscv.h"

namespace hindcast::targets {

void register_all() {
  static const bool done = [] {
    riscv::register_cpus();
    arm::register_cpus();
    devices::register_models();
    machines::register_riscv_boards();
    machines::register_arm_boards();
    machines::register_users_board();
    return true;
  }();
  (void)done;
}

}  // namespace hindcast::targets
