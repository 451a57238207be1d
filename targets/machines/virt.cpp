#include "targets/machines/virt.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "semihost/service.h"
#include "targets/devices/htif.h"
#include "targets/devices/model_registry.h"
#include "targets/machines/board.h"
#include "targets/machines/boot.h"
#include "targets/machines/reset_vector.h"
#include "targets/machines/virt_dts.h"
#include "targets/riscv/isa_string.h"
#include "targets/riscv/riscv.h"

namespace hindcast::machines {
namespace {

constexpr unsigned kElfRiscv = 243;
constexpr u64 kLargestMemory = u64{1} << 39;
constexpr u64 kLargestMemory32 = u64{2} << 30;  // up to the end of a 32-bit address space
constexpr unsigned kPhysicalBits64 = 56;

/// Interrupts of a hart, by bit in mip.
constexpr u32 kSoftware = 3, kTimer = 7, kSupervisorExternal = 9, kMachineExternal = 11;

/// Architectures are immutable and must outlive every machine that uses them; equal ones are shared.
const riscv::RiscvArch& shared_arch(const std::string& cpu, unsigned xlen) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<riscv::RiscvArch>> known;
  std::unique_ptr<riscv::RiscvArch> arch = riscv::make_riscv_arch(cpu, xlen);
  std::lock_guard lock(mutex);
  std::unique_ptr<riscv::RiscvArch>& slot = known[arch->cpu_description()];
  if (!slot) slot = std::move(arch);
  return *slot;
}

bool claims(ByteView image) {
  auto id = loader::identify_elf(image);
  return id && id->machine == kElfRiscv && !id->big_endian;
}

void check_config(MachineConfig& config, unsigned xlen) {
  if (config.smp < 1 || config.smp > kVirtMostHarts)
    throw Fatal(fmt::format("--smp: machine 'virt' has 1 to {} CPUs, not {}", kVirtMostHarts, config.smp));
  if (config.memory_bytes == 0) config.memory_bytes = kVirtDefaultMemory;
  const u64 largest = xlen == 32 ? kLargestMemory32 : kLargestMemory;
  if (config.memory_bytes % AddressSpace::kPage != 0 || config.memory_bytes > largest)
    throw Fatal(fmt::format(
        "--memory: machine 'virt' with this CPU has 4 KiB to {} GiB, in multiples of 4 KiB, not {} bytes",
        largest >> 30, config.memory_bytes));
  if (!config.machine_options.empty())
    throw Fatal(fmt::format("machine 'virt' has no option '{}'", config.machine_options.begin()->first));
}

void complete_chosen(loader::DeviceTree& tree, const MachineConfig& config, const BootPlan& plan) {
  loader::DtNode& chosen = tree.root().add_child("chosen");
  if (!config.append.empty()) chosen.set_string("bootargs", config.append);
  if (plan.initrd_begin) {
    chosen.set_u64("linux,initrd-start", *plan.initrd_begin);
    chosen.set_u64("linux,initrd-end", *plan.initrd_end);
  }
}

/// The tree that the guest is handed: the board's, or the user's.
Bytes guest_tree(const loader::DeviceTree& board, const MachineConfig& config, const BootPlan& plan) {
  for (const MachineFile& file : config.files) {
    if (file.role != "dtb") continue;
    loader::DeviceTree own = loader::DeviceTree::from_file(file.name, file.data);
    complete_chosen(own, config, plan);
    return own.to_blob();
  }
  return board.to_blob();
}

/// The HTIF device if the image has the symbol for it; its page(s) go to `hole`.
struct HtifPlace {
  loader::DtRange hole;
  GuestAddr tohost = 0;
  std::optional<GuestAddr> fromhost;
};
std::optional<HtifPlace> find_htif(const BootPlan& plan, u64 memory_bytes) {
  auto find = [&](std::string_view name) -> std::optional<GuestAddr> {
    for (const loader::Symbol& s : plan.symbols)
      if (s.name == name && !s.function && s.address % 8 == 0 && s.address - kVirtRamBase < memory_bytes)
        return s.address;
    return std::nullopt;
  };
  std::optional<GuestAddr> tohost = find("tohost");
  if (!tohost) return std::nullopt;
  return HtifPlace{{*tohost & ~(AddressSpace::kPage - 1), AddressSpace::kPage}, *tohost, find("fromhost")};
}

std::unique_ptr<Machine> build(MachineConfig& config, const EngineOptions& engine, InputPort& port) {
  const riscv::RiscvArch& arch = shared_arch(config.cpu, image_address_bits(config));
  check_config(config, arch.xlen());
  config.cpu = arch.cpu_description();

  auto plan = std::make_shared<BootPlan>(plan_boot(config, kVirtRamBase, config.memory_bytes, kElfRiscv));
  loader::DeviceTree tree =
      virt_device_tree(config.smp, config.memory_bytes, riscv::isa_string(arch.features()));
  complete_chosen(tree, config, *plan);
  place_device_tree(*plan, guest_tree(tree, config, *plan), kVirtRamBase, config.memory_bytes);
  plan->placed.push_back(
      {"the mask ROM",
       {kResetVector, 0, reset_vector(arch.xlen(), plan->start, plan->device_tree, plan->next)}});

  MachineOptions options;
  options.smp = config.smp;
  options.icount_shift = config.icount_shift;
  options.engine = engine;
  auto machine = std::make_unique<Machine>(arch, options, arch.xlen() == 32 ? 32 : kPhysicalBits64);
  machine->set_port(&port);
  machine->memory().add_rom("maskrom", kResetVector, kMaskRomSize);

  std::optional<HtifPlace> place = find_htif(*plan, config.memory_bytes);
  std::vector<loader::DtRange> holes;
  if (place) holes.push_back(place->hole);
  add_memory(*machine, tree, holes);
  add_devices(*machine, tree);
  devices::Htif* htif = nullptr;
  if (place) {
    htif = &machine->add_device<devices::Htif>("htif", *machine, place->hole.base, place->hole.size,
                                               place->tohost, place->fromhost, devices::kSerialChannels);
    machine->memory().add_device("htif", place->hole.base, place->hole.size, htif);
  }
  if (config.semihosting) {
    semihost::Options semihosting;
    semihosting.command_line = config.guest_args;
    semihosting.heap_base = plan->free_begin;
    semihosting.heap_limit = plan->free_end;
    semihosting.set_result = &riscv::set_semihosting_result;
    auto& service = machine->add_device<semihost::Service>(*machine, semihosting);
    machine->set_extension("semihosting", std::shared_ptr<void>(std::shared_ptr<void>(), &service));
  }
  machine->set_extension("loader.symbols", std::shared_ptr<void>(plan, &plan->symbols));
  machine->finish();

  // The first call is the one below, into fresh memory.
  machine->on_reset([plan, htif, power_on = true](Machine& m) mutable {
    load_images(m, *plan, htif, power_on);
    power_on = false;
    for (unsigned i = 0; i < m.vcpu_count(); ++i) m.arch().reset(m.vcpu(i), kResetVector);
  });
  machine->reset();
  return machine;
}

}  // namespace

loader::DeviceTree virt_device_tree(unsigned harts, u64 memory_bytes, const std::string& isa) {
  loader::DeviceTree tree = loader::DeviceTree::from_source("virt", kVirtDts);
  loader::DtNode& memory = tree.root().add_child(fmt::format("memory@{:x}", kVirtRamBase));
  memory.set_string("device_type", "memory");
  memory.set_cells("reg", {kVirtRamBase >> 32, static_cast<u32>(kVirtRamBase),
                           static_cast<u32>(memory_bytes >> 32), static_cast<u32>(memory_bytes)});
  loader::DtNode& cpus = tree.root().add_child("cpus");
  std::vector<u32> clint, plic, cpu_phandles;
  for (u32 hart = 0; hart < harts; ++hart) {
    loader::DtNode& cpu = cpus.add_child(fmt::format("cpu@{:x}", hart));
    cpu.set_string("device_type", "cpu");
    cpu.set_cells("reg", {hart});
    cpu.set_string("status", "okay");
    cpu.set_string("compatible", "riscv");
    cpu.set_string("riscv,isa", isa);
    cpu_phandles.push_back(tree.phandle(cpu));
    loader::DtNode& intc = cpu.add_child("interrupt-controller");
    intc.set_cells("#interrupt-cells", {1});
    intc.set_empty("interrupt-controller");
    intc.set_string("compatible", "riscv,cpu-intc");
    u32 phandle = tree.phandle(intc);
    clint.insert(clint.end(), {phandle, kSoftware, phandle, kTimer});
    plic.insert(plic.end(), {phandle, kMachineExternal, phandle, kSupervisorExternal});
  }
  loader::DtNode& cluster = cpus.add_child("cpu-map").add_child("cluster0");
  for (u32 hart = 0; hart < harts; ++hart)
    cluster.add_child(fmt::format("core{}", hart)).set_cells("cpu", {cpu_phandles[hart]});
  tree.for_each([&](loader::DtNode& node) {
    if (node.compatible_with("riscv,clint0")) node.set_cells("interrupts-extended", clint);
    if (node.compatible_with("riscv,plic0")) node.set_cells("interrupts-extended", plic);
  });
  return tree;
}

void register_virt() {
  Registry::instance().add(
      {"virt", "RISC-V board with the address map of QEMU's virt", "riscv", build, claims});
}

}  // namespace hindcast::machines
