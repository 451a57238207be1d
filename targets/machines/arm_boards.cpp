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
#include "targets/machines/board.h"
#include "targets/machines/boot.h"
#include "targets/machines/lm3s6965evb_dts.h"
#include "targets/machines/microbit_dts.h"
#include "targets/machines/mps2_an385_dts.h"
#include "targets/machines/mps2_an505_dts.h"
#include "targets/machines/mps3_an547_dts.h"
#include "targets/machines/stm32f405_dts.h"
#include "targets/machines/tree_checks.h"

namespace hindcast::machines {
namespace {

constexpr unsigned kElfArm = 40;
constexpr unsigned kPhysicalBits = 32;
/// Where the ITM's first port prints: "log" (the user is told), or "serial" (the console of the first port).
constexpr const char* kItmOption = "itm";
constexpr GuestAddr kStm32Flash = 0x08000000;
constexpr GuestAddr kSecureCode = 0x10000000;

struct ArmBoard {
  const char* name;
  const char* description;
  std::string_view tree;
  const char* cpu;                      // null: the one that the tree names
  GuestAddr vectors;                    // the vector table at reset
  void (*adjust)(loader::DeviceTree&);  // what makes the tree this board's; may be null
  bool takes_unnamed;                   // images that name no machine
  bool reads_0 = false;                 // where its peripheral region is empty, instead of a bus fault
};

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
    {"mps2-an385", "Arm MPS2 board, Cortex-M3 (AN385)", kMps2An385Dts, nullptr, 0, nullptr, true},
    {"mps2-an386", "Arm MPS2 board, Cortex-M4 (AN386)", kMps2An385Dts, "cortex-m4", 0, adjust_an386, false},
    {"mps2-an500", "Arm MPS2 board, Cortex-M7 (AN500)", kMps2An385Dts, "cortex-m7", 0, adjust_an500, false},
    {"mps2-an505", "Arm MPS2 board, Cortex-M33 (AN505)", kMps2An505Dts, nullptr, kSecureCode, nullptr, false},
    {"mps2-an521", "Arm MPS2 board, Cortex-M33 (AN521), the first of its two CPUs", kMps2An505Dts,
     "cortex-m33,dsp=off,vfp=off", kSecureCode, adjust_an521, false},
    {"mps3-an547", "Arm MPS3 board, Cortex-M55 (AN547)", kMps3An547Dts, nullptr, 0, nullptr, false},
    {"lm3s6965evb", "Stellaris LM3S6965 evaluation board, Cortex-M3", kLm3s6965evbDts, nullptr, 0, nullptr,
     false},
    {"netduinoplus2", "Netduino Plus 2, Cortex-M4 (STM32F405)", kStm32F405Dts, nullptr, kStm32Flash, nullptr,
     false},
    {"olimex-stm32-h405", "Olimex STM32-H405, Cortex-M4 (STM32F405)", kStm32F405Dts, nullptr, kStm32Flash,
     nullptr, false},
    {"microbit", "BBC micro:bit, Cortex-M0 (nRF51822)", kMicrobitDts, nullptr, 0, nullptr, false, true},
};

/// Architectures are immutable and must outlive every machine that uses them; equal ones are shared.
const arm::ArmArch& shared_arch(const arm::Features& features) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<arm::ArmArch>> known;
  std::lock_guard lock(mutex);
  std::unique_ptr<arm::ArmArch>& slot = known[features.description()];
  if (!slot) slot = std::make_unique<arm::ArmArch>(features);
  return *slot;
}

/// M-profile images enter in Thumb state.
bool claims(ByteView image) {
  constexpr std::size_t kEntryAt = 24;
  const auto id = loader::identify_elf(image);
  return id && id->machine == kElfArm && !id->big_endian && image.size() > kEntryAt &&
         (image[kEntryAt] & 1) != 0;
}
bool claims_nothing(ByteView) { return false; }

/// The board that the configuration names, and its tree.
struct Source {
  loader::DeviceTree tree;
  const ArmBoard* board = nullptr;  // null: the user's
};
Source board_source(const MachineConfig& config) {
  for (const ArmBoard& board : kBoards) {
    if (config.machine != board.name) continue;
    Source source{loader::DeviceTree::from_source(board.name, board.tree), &board};
    if (board.adjust != nullptr) board.adjust(source.tree);
    return source;
  }
  for (const MachineFile& file : config.files)
    if (file.role == "board") return {loader::DeviceTree::from_file(file.name, file.data), nullptr};
  throw Fatal(fmt::format("machine '{}' is described by a device tree: --board FILE", config.machine));
}

bool is_flash(const loader::DtNode& node) { return node.compatible_with("soc-nv-flash") && node.enabled(); }

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

std::vector<NodeRange> flash_and_memory(const loader::DeviceTree& tree) {
  std::vector<NodeRange> ranges = memory_nodes(tree);
  tree.for_each([&](const loader::DtNode& node) {
    if (!is_flash(node)) return;
    for (const loader::DtRange& range : node.reg()) ranges.push_back({&node, range});
  });
  return ranges;
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
  auto plan = std::make_shared<BootPlan>(plan_boot(config, vectors, ram.size, kElfArm));

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
  machine->reset();
  return machine;
}

void register_arm_boards() {
  for (const ArmBoard& board : kBoards)
    Registry::instance().add({board.name, board.description, "arm", build_arm_board,
                              board.takes_unnamed ? claims : claims_nothing});
}

}  // namespace hindcast::machines
