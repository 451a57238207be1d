#include "targets/machines/users_board.h"

#include "targets/machines/arm_boards.h"
#include "targets/machines/riscv_build.h"
#include "targets/machines/tree_checks.h"

namespace hindcast::machines {
namespace {

std::unique_ptr<Machine> build(MachineConfig& config, const EngineOptions& engine, InputPort& port) {
  for (const MachineFile& file : config.files) {
    if (file.role != "board") continue;
    const loader::DeviceTree tree = loader::DeviceTree::from_file(file.name, file.data);
    if (!cortex_m_of(tree).empty()) return build_arm_board(config, engine, port);
    check_architecture(tree);
  }
  return build_riscv_board(config, engine, port);
}

}  // namespace

void register_users_board() {
  Registry::instance().add({"board", "Board described by a device tree: --board FILE", "any", build,
                            [](ByteView) { return false; }});
}

}  // namespace hindcast::machines
