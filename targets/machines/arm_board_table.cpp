#include "targets/machines/arm_board_table.h"

#include <fmt/format.h>

#include "targets/machines/lm3s6965evb_dts.h"
#include "targets/machines/microbit_dts.h"
#include "targets/machines/mps2_an385_dts.h"
#include "targets/machines/mps2_an505_dts.h"
#include "targets/machines/mps3_an547_dts.h"
#include "targets/machines/stm32f405_dts.h"

namespace hindcast::machines {
namespace {

constexpr GuestAddr kSecureCode = 0x10000000;

void identify(loader::DeviceTree& tree, const char* scc, u32 identification) {
  tree.find(scc)->set_cells("hindcast,identification", {identification});
}
void adjust_an386(loader::DeviceTree& tree) { identify(tree, "/soc/scc@4002f000", 0x41043860); }
/// The MPS2 image for the Cortex-M7 has its large memory elsewhere.
void adjust_an500(loader::DeviceTree& tree) {
  tree.root().remove_child("memory@21000000");
  tree.root().remove_child("memory@1000000");
  loader::DtNode& memory = tree.root().add_child("memory@60000000");
  memory.set_string("device_type", "memory");
  memory.set_cells("reg", {0x60000000, 0x1000000});
  tree.find("/soc/ethernet@40200000")->set_cells("reg", {0xa0000000, 0x10000});
  identify(tree, "/soc/scc@4002f000", 0x41045000);
}
/// An SSE-200: four banks of memory, each behind a controller; CPUs that know who they are.
void adjust_an521(loader::DeviceTree& tree) {
  constexpr u32 kBank = 0x8000, kPage = 0x1000, kMemory = 0x30000000, kGates = 0x50083000;
  tree.root().remove_child("memory@30000000");
  loader::DtNode& memory = tree.root().add_child("memory@30000000");
  memory.set_string("device_type", "memory");
  memory.set_cells("reg", {kMemory, 4 * kBank});
  loader::DtNode& soc = *tree.find("/soc");
  for (u32 i = 1; i < 4; ++i) {
    loader::DtNode& gate = soc.add_child(fmt::format("memory-protection@{:x}", kGates + i * kPage));
    gate.set_string("compatible", "arm,tz-mpc");
    gate.set_cells("reg", {kGates + i * kPage, kPage});
    gate.set_cells("hindcast,gates", {kMemory + i * kBank, kBank});
    gate.set_cells("hindcast,status-bit", {i});
  }
  // Without a model: mailboxes between the CPUs, power policies, cache and CPU control.
  for (const u32 base : {0x40003000u, 0x40004000u, 0x50010000u, 0x50011000u, 0x50022000u, 0x50023000u,
                         0x50025000u, 0x50029000u, 0x5002a000u, 0x5002b000u, 0x5002c000u, 0x5002d000u}) {
    loader::DtNode& stub = soc.add_child(fmt::format("subsystem@{:x}", base));
    stub.set_string("compatible", "arm,sse200-subsystem");
    stub.set_cells("reg", {base, kPage});
  }
  loader::DtNode& identity = soc.add_child("cpu-identity@4001f000");
  identity.set_string("compatible", "arm,sse-information");
  identity.set_cells("reg", {0x4001f000, kPage});
  identity.set_cells("hindcast,values", {0});
  identity.set_cells("hindcast,part", {0x855});
  for (const char* path : {"/soc/system-information@40020000", "/soc/system-information@50020000"})
    tree.find(path)->set_cells("hindcast,values", {0x22041743, 0x223004f4});
  loader::DtNode& control = *tree.find("/soc/system-control@50021000");
  control.set_cells("hindcast,generation", {200});
  control.set_cells("hindcast,resets", {0x110, kSecureCode, 0x114, kSecureCode, 0x118, 2, 0x200, 0x7f});
  identify(tree, "/soc/scc@40300000", 0x41045210);
}

const ArmBoard kBoards[] = {
    {"mps2-an385", "Arm MPS2 board, Cortex-M3 (AN385)", kMps2An385Dts, nullptr, 0, nullptr},
    {"mps2-an386", "Arm MPS2 board, Cortex-M4 (AN386)", kMps2An385Dts, "cortex-m4", 0, adjust_an386},
    {"mps2-an500", "Arm MPS2 board, Cortex-M7 (AN500)", kMps2An385Dts, "cortex-m7", 0, adjust_an500},
    {"mps2-an505", "Arm MPS2 board, Cortex-M33 (AN505)", kMps2An505Dts, nullptr, kSecureCode, nullptr},
    {"mps2-an521", "Arm MPS2 board, Cortex-M33 (AN521), the first of its two CPUs", kMps2An505Dts,
     "cortex-m33,dsp=off,vfp=off", kSecureCode, adjust_an521},
    {"mps3-an547", "Arm MPS3 board, Cortex-M55 (AN547)", kMps3An547Dts, nullptr, 0, nullptr},
    {"lm3s6965evb", "Stellaris LM3S6965 evaluation board, Cortex-M3", kLm3s6965evbDts, nullptr, 0, nullptr},
    {"netduinoplus2", "Netduino Plus 2, Cortex-M4 (STM32F405)", kStm32F405Dts, nullptr, 0, nullptr},
    {"olimex-stm32-h405", "Olimex STM32-H405, Cortex-M4 (STM32F405)", kStm32F405Dts, nullptr, 0, nullptr},
    {"microbit", "BBC micro:bit, Cortex-M0 (nRF51822)", kMicrobitDts, nullptr, 0, nullptr, true},
};

}  // namespace

std::span<const ArmBoard> arm_board_table() { return kBoards; }

loader::DeviceTree tree_of(const ArmBoard& board) {
  loader::DeviceTree tree = loader::DeviceTree::from_source(board.name, board.tree);
  if (board.adjust != nullptr) board.adjust(tree);
  return tree;
}

bool is_flash(const loader::DtNode& node) { return node.compatible_with("soc-nv-flash") && node.enabled(); }

std::vector<NodeRange> flash_and_memory(const loader::DeviceTree& tree) {
  std::vector<NodeRange> ranges = memory_nodes(tree);
  tree.for_each([&](const loader::DtNode& node) {
    if (!is_flash(node)) return;
    for (const loader::DtRange& range : node.reg()) ranges.push_back({&node, range});
  });
  tree.for_each([&](const loader::DtNode& node) {
    if (!node.enabled()) return;
    for (const NodeRange& mirror : mirrors(node)) ranges.push_back(mirror);
  });
  return ranges;
}

}  // namespace hindcast::machines
