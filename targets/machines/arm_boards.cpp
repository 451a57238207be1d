#include "targets/machines/arm_boards.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "engine/registry.h"
#include "semihost/service.h"
#include "targets/arm/arm.h"
#include "targets/arm/bit_band.h"
#include "targets/arm/security.h"
#include "targets/arm/trace_units.h"
#include "targets/devices/occupied.h"
#include "targets/devices/reset_control.h"
#include "targets/devices/stub.h"
#include "targets/loader/device_tree.h"
#include "targets/loader/svd.h"
#include "targets/machines/arm_board_table.h"
#include "targets/machines/arm_images.h"
#include "targets/machines/board.h"
#include "targets/machines/boot.h"
#include "targets/machines/tree_checks.h"

namespace hindcast::machines {
namespace {

constexpr unsigned kPhysicalBits = 32;
/// Where the ITM's first port prints: "log" (the user is told), or "serial" (the console of the first port).
constexpr const char* kItmOption = "itm";
/// Architectures are immutable and must outlive every machine that uses them; equal ones are shared.
const arm::ArmArch& shared_arch(const arm::Features& features) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<arm::ArmArch>> known;
  std::lock_guard lock(mutex);
  std::unique_ptr<arm::ArmArch>& slot = known[features.description()];
  if (!slot) slot = std::make_unique<arm::ArmArch>(features);
  return *slot;
}

/// The board that the configuration names, and its tree.
struct Source {
  loader::DeviceTree tree;
  const ArmBoard* board = nullptr;  // null: the user's
};
Source board_source(const MachineConfig& config) {
  for (const ArmBoard& board : arm_board_table())
    if (config.machine == board.name) return {tree_of(board), &board};
  for (const MachineFile& file : config.files)
    if (file.role == "board") return {loader::DeviceTree::from_file(file.name, file.data), nullptr};
  throw Fatal(fmt::format("machine '{}' is described by a device tree: --board FILE", config.machine));
}

/// How many regions the CPU's MPU has, where the tree says so (as Zephyr's do).
void note_mpu(Machine& machine, const loader::DeviceTree& tree) {
  tree.for_each([&](const loader::DtNode& node) {
    const bool mpu = node.compatible_with("arm,armv6m-mpu") || node.compatible_with("arm,armv7m-mpu") ||
                     node.compatible_with("arm,armv8m-mpu") || node.compatible_with("arm,armv8.1m-mpu");
    if (const auto regions = node.cell("arm,num-mpu-regions"); mpu && regions)
      machine.set_extension(arm::kMpuRegions, std::make_shared<u32>(*regions));
  });
}

/// The vector table of a user's board: where /chosen says that the program lies, else its first flash, else
/// its first memory.
GuestAddr find_vectors(const loader::DeviceTree& tree) {
  if (const loader::DtNode* chosen = tree.find("/chosen"); chosen != nullptr && chosen->has("zephyr,flash")) {
    const loader::DtNode* flash = tree.find(chosen->string("zephyr,flash"));
    if (flash == nullptr || flash->reg().empty())
      throw Fatal("device tree: zephyr,flash of /chosen names no node with a reg");
    return flash->reg().front().base;
  }
  std::optional<GuestAddr> first;
  tree.for_each([&](const loader::DtNode& node) {
    if (is_flash(node) && !first && !node.reg().empty()) first = node.reg().front().base;
  });
  const std::vector<loader::DtRange> memory = memory_ranges(tree);
  if (!first && memory.empty()) throw Fatal("the device tree has no memory node");
  return first ? *first : memory.front().base;
}

void add_flash(Machine& machine, const loader::DeviceTree& tree) {
  unsigned number = 0;
  tree.for_each([&](const loader::DtNode& node) {
    if (!is_flash(node)) return;
    for (const loader::DtRange& range : node.reg())
      machine.memory().add_rom(fmt::format("flash{}", number++), range.base, range.size);
  });
}

/// The largest memory outside the code region: whose free part semihosting tells of.
loader::DtRange find_ram(const loader::DeviceTree& tree) {
  constexpr GuestAddr kCodeRegionEnd = 0x20000000;
  loader::DtRange ram;
  for (const loader::DtRange& range : memory_ranges(tree))
    if (range.base >= kCodeRegionEnd && range.size > ram.size) ram = range;
  return ram;
}

void add_semihosting(Machine& machine, const MachineConfig& config, const BootPlan& plan,
                     const loader::DtRange& ram) {
  semihost::Options options;
  options.command_line = config.guest_args;
  GuestAddr used = ram.base;
  for (const Placed& p : plan.placed)
    if (p.segment.address - ram.base < ram.size)
      used = std::max(used, p.segment.address + p.segment.memory_size);
  options.heap_base = (used + 15) & ~u64{15};
  options.heap_limit = ram.base + ram.size;
  options.set_result = &arm::set_semihosting_result;
  auto& service = machine.add_device<semihost::Service>(machine, options);
  machine.set_extension("semihosting", std::shared_ptr<void>(std::shared_ptr<void>(), &service));
}

/// The part of the private peripheral bus that is the maker's (ST has its debug control there): without a
/// model it reads as 0, as everything there does in QEMU, and the user is told.
void add_vendors_peripherals(Machine& machine) {
  constexpr GuestAddr kBase = 0xe0042000, kEnd = 0xe00ff000;
  AddressSpace& memory = machine.memory();
  if (devices::is_occupied(memory, kBase, kEnd - kBase)) return;
  auto& stub = machine.add_device<devices::Stub>("vendor", machine, "vendor's private peripherals", kBase);
  memory.add_device("vendor", kBase, kEnd - kBase, &stub);
}

/// A tree names what its software knows of, and leaves out what every part of that family has (ST's AFIO): on
/// a user's board the rest of the peripheral region is a stub too, and where software for QEMU's board finds
/// that it reads as 0.
void add_unnamed_peripherals(Machine& machine) {
  constexpr GuestAddr kBase = 0x40000000, kEnd = 0x60000000;
  AddressSpace& memory = machine.memory();
  std::map<GuestAddr, GuestAddr> taken;  // begin, end
  for (const devices::Occupied& range : devices::occupied(memory))
    taken[range.base] = range.base + range.size;
  unsigned number = 0;
  const auto fill = [&](GuestAddr from, GuestAddr to) {
    if (from >= to) return;
    const std::string name = fmt::format("unnamed{}", number++);
    auto& stub = machine.add_device<devices::Stub>(name, machine, "not in the device tree", from);
    memory.add_device(name, from, to - from, &stub);
  };
  GuestAddr at = kBase;
  for (const auto& [begin, end] : taken) {
    if (begin >= kEnd) break;
    fill(at, begin);
    at = std::max(at, end);
  }
  fill(at, kEnd);
}

/// Memories that show at two addresses; images may be linked for the second.
void place_shadowed(Machine& machine, BootPlan& plan) {
  arm::SecurityMap* map = arm::security_map(machine.vcpu(0));
  if (map == nullptr) return;
  map->add_shadows();
  for (Placed& p : plan.placed) p.segment.address = map->physical(static_cast<u32>(p.segment.address));
}

void settle(MachineConfig& config) {
  if (config.smp != 1)
    throw Fatal(fmt::format("--smp: machine '{}' has 1 CPU, not {}", config.machine, config.smp));
  if (config.memory_bytes != 0)
    throw Fatal(fmt::format("--memory: machine '{}' has the memory that its tree says", config.machine));
  if (!config.drives.empty())
    throw Fatal(fmt::format("--drive: machine '{}' has no place for a drive", config.machine));
  for (const auto& [option, value] : config.machine_options) {
    if (option != kItmOption)
      throw Fatal(fmt::format("machine '{}' has no option '{}'", config.machine, option));
    if (value != "log" && value != "serial")
      throw Fatal(fmt::format("-M {},itm=: 'log' or 'serial', not '{}'", config.machine, value));
  }
}

}  // namespace

std::string cortex_m_of(const loader::DeviceTree& tree) {
  std::string model;
  tree.for_each([&](const loader::DtNode& node) {
    for (const std::string& text : node.strings("compatible"))
      if (model.empty() && !node.has("interrupt-controller")) model = arm::cpu_of_compatible(text);
  });
  return model;
}

std::unique_ptr<Machine> build_arm_board(MachineConfig& config, const EngineOptions& engine,
                                         InputPort& port) {
  const auto [tree, board] = board_source(config);
  settle(config);
  if (config.cpu.empty() && board != nullptr && board->cpu != nullptr) config.cpu = board->cpu;
  if (board == nullptr) check_cortex_m(tree, !config.cpu.empty(), engine.note);
  const arm::ArmArch& arch = shared_arch(arm::parse_cpu(config.cpu, cortex_m_of(tree)));
  config.cpu = arch.cpu_description();
  if (board == nullptr) check_arm_devices(tree, arch.features());
  check_memories(flash_and_memory(tree), kPhysicalBits);

  const GuestAddr vectors = board != nullptr ? board->vectors : find_vectors(tree);
  const loader::DtRange ram = find_ram(tree);
  auto plan = std::make_shared<BootPlan>(plan_boot(config, vectors, ram.size, kElfArmMachine));

  MachineOptions options;
  options.icount_shift = config.icount_shift;
  options.engine = engine;
  auto machine = std::make_unique<Machine>(arch, options, kPhysicalBits);
  machine->set_port(&port);
  if (auto itm = config.machine_options.find(kItmOption);
      itm != config.machine_options.end() && itm->second == "serial")
    machine->set_extension(arm::kItmToSerial, std::make_shared<bool>(true));
  add_flash(*machine, tree);
  add_memory(*machine, tree, {});
  note_mpu(*machine, tree);
  add_devices(*machine, tree, config.networks, kPhysicalBits);
  add_stubs(*machine, tree);
  if (arch.has(arm::ext::BitBand)) arm::add_bit_bands(*machine);
  if (arch.has(arm::ext::Main)) add_vendors_peripherals(*machine);
  if (board == nullptr || board->reads_0) add_unnamed_peripherals(*machine);
  place_shadowed(*machine, *plan);
  if (config.semihosting) add_semihosting(*machine, config, *plan, ram);
  machine->set_extension("loader.symbols", std::shared_ptr<void>(plan, &plan->symbols));
  loader::add_register_names(*machine, config);
  machine->finish();

  // The first call is the one below, into fresh memory.
  machine->on_reset([plan, vectors, power_on = true](Machine& m) mutable {
    load_images(m, *plan, nullptr, power_on);
    power_on = false;
    const auto* control = m.extension<devices::ResetControl>(devices::ResetControl::kExtension);
    m.arch().reset(m.vcpu(0), control != nullptr ? control->vectors().value_or(vectors) : vectors);
  });
  try {
    machine->reset();
  } catch (const DoesNotFit& why) {
    throw Fatal(why.what() + (board == nullptr ? std::string() : other_boards(*plan, board->name)));
  }
  return machine;
}

void register_arm_boards() {
  for (const ArmBoard& board : arm_board_table())
    Registry::instance().add(
        {board.name, board.description, "arm", build_arm_board,
         [name = board.name](ByteView image) { return board_for_image(image) == name; }});
  Registry::instance().add_explanation(why_no_board);
}

}  // namespace hindcast::machines
