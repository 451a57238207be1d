#include "targets/machines/riscv_build.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "semihost/service.h"
#include "targets/devices/htif.h"
#include "targets/devices/model_registry.h"
#include "targets/loader/svd.h"
#include "targets/machines/board.h"
#include "targets/machines/boot.h"
#include "targets/machines/chosen.h"
#include "targets/machines/options.h"
#include "targets/machines/reset_vector.h"
#include "targets/machines/riscv_boards.h"
#include "targets/machines/virtio_places.h"
#include "targets/riscv/riscv.h"
#include "targets/riscv/supervisor_timer.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtNode;
using loader::DtRange;

constexpr unsigned kPhysicalBits64 = 56;

/// Architectures are immutable and must outlive every machine that uses them; equal ones are shared.
const riscv::RiscvArch& shared_arch(const std::string& cpu) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<riscv::RiscvArch>> known;
  std::lock_guard lock(mutex);
  std::unique_ptr<riscv::RiscvArch>& slot = known[cpu];
  if (!slot) slot = riscv::make_riscv_arch(cpu);
  return *slot;
}

const DtNode* find_compatible(const DeviceTree& tree, std::initializer_list<const char*> names) {
  const DtNode* found = nullptr;
  tree.for_each([&](const DtNode& node) {
    for (const char* name : names)
      if (found == nullptr && node.enabled() && node.compatible_with(name)) found = &node;
  });
  return found;
}

/// Where the reset vector goes; nothing: harts begin where the images say.
std::optional<DtRange> find_mask_rom(const DeviceTree& tree) {
  const DtNode* node = find_compatible(tree, {"hindcast,mask-rom"});
  if (node == nullptr) return std::nullopt;
  const std::vector<DtRange> regs = node->reg();
  if (regs.size() != 1 || regs[0].size < AddressSpace::kPage)
    throw Fatal(fmt::format("device tree: {} needs one range of at least 4 KiB", node->path()));
  return regs[0];
}

/// The HTIF device, if the board has one and an image the symbol for it; its page goes to `hole`.
struct HtifPlace {
  DtRange hole;
  GuestAddr tohost = 0;
  std::optional<GuestAddr> fromhost;
};
std::optional<HtifPlace> find_htif(const DeviceTree& tree, const BootPlan& plan) {
  if (find_compatible(tree, {"ucb,htif0", "hindcast,htif"}) == nullptr) return std::nullopt;
  const std::vector<DtRange> memory = memory_ranges(tree);
  auto find = [&](std::string_view name) -> std::optional<GuestAddr> {
    for (const loader::Symbol& s : plan.symbols)
      for (const DtRange& range : memory)
        if (s.name == name && !s.function && s.address % 8 == 0 && s.address - range.base < range.size)
          return s.address;
    return std::nullopt;
  };
  std::optional<GuestAddr> tohost = find("tohost");
  if (!tohost) return std::nullopt;
  return HtifPlace{{*tohost & ~(AddressSpace::kPage - 1), AddressSpace::kPage}, *tohost, find("fromhost")};
}

void add_semihosting(Machine& machine, const MachineConfig& config, const BootPlan& plan) {
  semihost::Options semihosting;
  semihosting.command_line = config.guest_args;
  semihosting.heap_base = plan.free_begin;
  semihosting.heap_limit = plan.free_end;
  semihosting.set_result = &riscv::set_semihosting_result;
  auto& service = machine.add_device<semihost::Service>(machine, semihosting);
  machine.set_extension("semihosting", std::shared_ptr<void>(std::shared_ptr<void>(), &service));
}

}  // namespace

std::unique_ptr<Machine> build_riscv_board(MachineConfig& config, const EngineOptions& engine,
                                           InputPort& port) {
  const BoardOptions board = take_options(config);
  DeviceTree tree = riscv_board_tree(config, image_address_bits(config), board.aia);
  place_virtio_devices(tree, config, board);
  place_fw_cfg_files(tree, config);
  const riscv::RiscvArch& arch = shared_arch(config.cpu);
  const DtRange ram = memory_ranges(tree).front();

  auto plan = std::make_shared<BootPlan>(plan_boot(config, ram.base, ram.size, kElfRiscv));
  auto handed = std::make_shared<GuestTree>(tree, config, *plan, board.rng_seed);
  place_device_tree(*plan, handed->blob(), ram.base, ram.size);
  const std::optional<DtRange> mask_rom = find_mask_rom(tree);
  if (mask_rom)
    plan->placed.push_back(
        {"the mask ROM",
         {mask_rom->base, 0, reset_vector(arch.xlen(), plan->start, plan->device_tree, plan->next)}});

  MachineOptions options;
  options.smp = config.smp;
  options.icount_shift = config.icount_shift;
  options.engine = engine;
  const unsigned bits = arch.xlen() == 32 ? 32 : kPhysicalBits64;
  auto machine = std::make_unique<Machine>(arch, options, bits);
  machine->set_port(&port);
  if (mask_rom) machine->memory().add_rom("maskrom", mask_rom->base, mask_rom->size);
  const std::optional<HtifPlace> place = find_htif(tree, *plan);
  std::vector<DtRange> holes;
  if (place) holes.push_back(place->hole);
  check_memories(memory_nodes(tree), bits);
  add_memory(*machine, tree, holes);
  add_devices(*machine, tree, config.networks, bits);
  riscv::add_supervisor_timers(*machine);
  devices::Htif* htif = nullptr;
  if (place) {
    htif = &machine->add_device<devices::Htif>("htif", *machine, place->hole.base, place->hole.size,
                                               place->tohost, place->fromhost, devices::kSerialChannels);
    machine->memory().add_device("htif", place->hole.base, place->hole.size, htif);
  }
  add_stubs(*machine, tree);
  if (config.semihosting) add_semihosting(*machine, config, *plan);
  machine->set_extension("loader.symbols", std::shared_ptr<void>(plan, &plan->symbols));
  loader::add_register_names(*machine, config);
  machine->finish();

  const GuestAddr entry = mask_rom ? mask_rom->base : plan->start;
  // The first call is the one below, into fresh memory.
  machine->on_reset([plan, handed, htif, entry, power_on = true](Machine& m) mutable {
    if (handed->seeded()) replace_device_tree(*plan, handed->with_seed(m.port()));
    load_images(m, *plan, htif, power_on);
    power_on = false;
    for (unsigned i = 0; i < m.vcpu_count(); ++i) m.arch().reset(m.vcpu(i), entry);
  });
  machine->reset();
  return machine;
}

}  // namespace hindcast::machines
