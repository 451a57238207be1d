#include "targets/machines/riscv_boards.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/loader/image.h"
#include "targets/machines/harts.h"
#include "targets/machines/riscv_build.h"
#include "targets/machines/virt_dts.h"
#include "targets/machines/virtio_places.h"
#include "targets/riscv/isa_string.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtNode;

struct RiscvBoard {
  const char* name;
  const char* description;
  std::string_view tree;
  bool takes_unnamed;  // images that name no machine
};
const RiscvBoard kBoards[] = {
    {"virt", "RISC-V board with the address map of QEMU's virt", kVirtDts, true},
};

constexpr u64 kLargestMemory = u64{1} << 39;

DeviceTree board_source(const MachineConfig& config) {
  for (const RiscvBoard& board : kBoards)
    if (config.machine == board.name) return DeviceTree::from_source(board.name, board.tree);
  for (const MachineFile& file : config.files)
    if (file.role == "board") return DeviceTree::from_file(file.name, file.data);
  throw Fatal(fmt::format("machine '{}' is described by a device tree: --board FILE", config.machine));
}

void settle_harts(DeviceTree& tree, MachineConfig& config) {
  const HartCounts counts = hart_counts(tree);
  if (config.smp == 1) config.smp = counts.least;  // what is said where nothing is said
  if (config.smp < counts.least || config.smp > counts.most)
    throw Fatal(
        counts.least == counts.most
            ? fmt::format("--smp: machine '{}' has {} CPUs, not {}", config.machine, counts.most, config.smp)
            : fmt::format("--smp: machine '{}' has {} to {} CPUs, not {}", config.machine, counts.least,
                          counts.most, config.smp));
  if (config.smp > counts.least) repeat_hart(tree, config.smp);
}

/// The first memory node's size.
void settle_memory(DeviceTree& tree, MachineConfig& config, unsigned xlen) {
  DtNode* memory = nullptr;
  tree.for_each([&](DtNode& node) {
    if (memory == nullptr && node.string("device_type") == "memory" && node.enabled()) memory = &node;
  });
  if (memory == nullptr || memory->reg().empty()) throw Fatal("the device tree has no memory node");
  const loader::DtRange range = memory->reg().front();
  if (config.memory_bytes == 0) config.memory_bytes = range.size;
  const u64 space = u64{1} << 32;
  const u64 largest = xlen == 32 ? space - std::min(space, range.base) : kLargestMemory;
  if (config.memory_bytes == 0)
    throw Fatal(fmt::format("device tree: reg of {} has 0 bytes at 0x{:x}", memory->path(), range.base));
  if ((config.memory_bytes % AddressSpace::kPage != 0 && config.memory_bytes != range.size) ||
      config.memory_bytes > largest)
    throw Fatal(fmt::format(
        "--memory: machine '{}' with this CPU has 4 KiB to {} GiB, in multiples of 4 KiB, not {} bytes",
        config.machine, largest >> 30, config.memory_bytes));
  if (config.memory_bytes == range.size) return;
  std::vector<u32> cells = memory->cells("reg");
  const u32 address = memory->parent()->address_cells(), size = memory->parent()->size_cells();
  if (size == 0) throw Fatal(fmt::format("device tree: {} has no size", memory->path()));
  if (size == 1 && config.memory_bytes >= space)
    throw Fatal(fmt::format("--memory: the tree of machine '{}' cannot say {} bytes", config.machine,
                            config.memory_bytes));
  if (size == 2) cells.at(address) = static_cast<u32>(config.memory_bytes >> 32);
  cells.at(address + size - 1) = static_cast<u32>(config.memory_bytes);
  memory->set_cells("reg", cells);
}

bool claims(ByteView image) {
  auto id = loader::identify_elf(image);
  return id && id->machine == kElfRiscv && !id->big_endian;
}
bool claims_nothing(ByteView) { return false; }

}  // namespace

DeviceTree riscv_board_tree(MachineConfig& config, unsigned image_bits, Aia aia) {
  DeviceTree tree = board_source(config);
  const std::string isa = isa_of(tree);
  if (config.cpu.empty() && !isa.empty()) config.cpu = riscv::cpu_of_isa(isa, mmu_type_of(tree));
  const riscv::Features features = with_aia(riscv::parse_cpu(config.cpu, image_bits), aia);
  config.cpu = features.description();
  replace_plic(tree, aia, std::max(config.smp, 1u));
  settle_harts(tree, config);
  settle_memory(tree, config, features.xlen);
  describe_cpu(tree, features);
  settle_pci_windows(tree, features.xlen);
  return tree;
}

void register_riscv_boards() {
  for (const RiscvBoard& board : kBoards)
    Registry::instance().add({board.name, board.description, "riscv", build_riscv_board,
                              board.takes_unnamed ? claims : claims_nothing});
}

}  // namespace hindcast::machines
