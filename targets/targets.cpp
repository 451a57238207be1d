#include "targets/targets.h"

#include "targets/devices/model_registry.h"
#include "targets/machines/riscv_boards.h"
#include "targets/riscv/riscv.h"

namespace hindcast::targets {

void register_all() {
  static const bool done = [] {
    riscv::register_cpus();
    devices::register_models();
    machines::register_riscv_boards();
    return true;
  }();
  (void)done;
}

}  // namespace hindcast::targets
