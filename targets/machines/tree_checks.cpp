#include "targets/machines/tree_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/address_space.h"
#include "targets/arm/arm.h"
#include "targets/devices/model_registry.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtInterrupt;
using loader::DtNode;

/// More than any device's registers take; buses and flash are no registers.
constexpr u64 kMostRegisters = u64{64} << 20;
constexpr u32 kLinesOfV6m = 32;

[[noreturn]] void refuse(const DtNode& node, std::string_view property, const std::string& what) {
  throw Fatal(fmt::format("device tree: {} of {} {}", property, node.path(), what));
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all.empty() ? "nothing" : all;
}

bool is_nvic(const DtNode& node) {
  const devices::DeviceModel* model = devices::find_model(node);
  return model != nullptr && std::string_view(model->stem) == "nvic";
}

std::vector<const DtNode*> enabled_cpus(const DeviceTree& tree) {
  std::vector<const DtNode*> found;
  const DtNode* cpus = tree.find("/cpus");
  if (cpus == nullptr) return found;
  for (const auto& cpu : cpus->children())
    if (cpu->has("compatible") && cpu->enabled() &&
        (cpu->string("device_type") == "cpu" || cpu->name() == "cpu" || cpu->name().starts_with("cpu@")))
      found.push_back(cpu.get());
  return found;
}

}  // namespace

void check_range(const NodeRange& range, unsigned bits) {
  const auto& [base, size] = range.range;
  if (size == 0) refuse(*range.node, "reg", fmt::format("has 0 bytes at 0x{:x}", base));
  const GuestAddr last = base + (size - 1);
  if (last < base || (bits < 64 && last >> bits != 0))
    refuse(*range.node, "reg",
           fmt::format("(0x{:x} bytes at 0x{:x}) goes beyond the CPU's addresses, which have {} bits", size,
                       base, bits));
}

void check_memories(const std::vector<NodeRange>& memories, unsigned bits) {
  std::vector<const NodeRange*> sorted;
  for (const NodeRange& memory : memories) {
    check_range(memory, bits);
    if ((memory.range.base | memory.range.size) % AddressSpace::kUnit != 0)
      refuse(*memory.node, "reg",
             fmt::format("(0x{:x} bytes at 0x{:x}) does not begin and end at multiples of {}",
                         memory.range.size, memory.range.base, AddressSpace::kUnit));
    sorted.push_back(&memory);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](auto* a, auto* b) { return a->range.base < b->range.base; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const NodeRange &a = *sorted[i - 1], &b = *sorted[i];
    if (b.range.base - a.range.base < a.range.size)
      refuse(*b.node, "reg",
             fmt::format("(0x{:x} bytes at 0x{:x}) overlaps the memory {} (0x{:x} bytes at 0x{:x})",
                         b.range.size, b.range.base, a.node->path(), a.range.size, a.range.base));
  }
}

void check_registers(const DtNode& node, unsigned bits) {
  const devices::DeviceModel* model = devices::find_model(node);
  const std::string_view stem = model != nullptr ? model->stem : "";
  for (const loader::DtRange& range : node.reg()) {
    check_range({&node, range}, bits);
    if (stem != "flash" && stem != "pci" && range.size > kMostRegisters)
      refuse(node, "reg", fmt::format("has 0x{:x} bytes: no device has registers of that size", range.size));
  }
}

void check_cortex_m(const DeviceTree& tree, bool chosen,
                    const std::function<void(const std::string&)>& note) {
  constexpr std::string_view kVendor = "arm,";
  std::vector<const DtNode*> cpus = enabled_cpus(tree);
  for (std::size_t i = 1; i < cpus.size() && note; ++i)
    note(fmt::format("device tree: {} ({}) is left out: the first CPU of an Arm board runs alone",
                     cpus[i]->path(), cpus[i]->string("compatible")));
  if (cpus.empty() || chosen) return;
  std::string known;
  for (const arm::Model& model : arm::models()) {
    if (arm::cpu_of_compatible(cpus[0]->string("compatible")) == model.name) return;
    known += fmt::format("{}{}{}", known.empty() ? "" : ", ", kVendor, model.name);
  }
  refuse(*cpus[0], "compatible",
         fmt::format("is {}: known are {}; --cpu says which to take instead",
                     joined(cpus[0]->strings("compatible")), known));
}

void check_arm_devices(const DeviceTree& tree, const arm::Features& cpu) {
  const DtNode* nvic = nullptr;
  const auto check = [&](const DtNode& node) {
    if (!node.enabled()) return;
    if (is_nvic(node)) {
      if (nvic != nullptr)
        refuse(node, "compatible",
               fmt::format("is {}, and so is that of {}: a CPU has one", node.string("compatible"),
                           nvic->path()));
      nvic = &node;
    }
    const bool secure = node.compatible_with("arm,sse-security") || node.compatible_with("arm,tz-mpc");
    if (secure && !cpu.has(arm::ext::Sec))
      refuse(node, "compatible",
             fmt::format("is {}: it needs a CPU with the security extension, which {} has not",
                         node.string("compatible"), cpu.description()));
  };
  tree.for_each(check);
  if (nvic == nullptr)
    throw Fatal(
        "device tree: no node has the compatible of an NVIC (arm,v6m-nvic, arm,v7m-nvic, arm,v8m-nvic)");
  const u32 of_cpu =
      cpu.baseline() && !cpu.has(arm::ext::V8) ? kLinesOfV6m : arm::kExceptions - arm::exc::kFirstIrq;
  const u32 lines = std::min(nvic->cell("hindcast,interrupts").value_or(of_cpu), of_cpu);
  const std::map<u32, DtNode*> phandles = tree.phandles();
  tree.for_each([&](const DtNode& node) {
    if (devices::find_model(node) == nullptr || !node.enabled()) return;
    for (const DtInterrupt& interrupt : tree.interrupts(node, phandles)) {
      const auto to = phandles.find(interrupt.controller);
      const u32 number = interrupt.cells[0];
      if (to == phandles.end() || to->second != nvic || number < lines || number == arm::ArmArch::kNmiLine)
        continue;
      refuse(node, node.has("interrupts-extended") ? "interrupts-extended" : "interrupts",
             fmt::format("names interrupt {}: the NVIC has 0 to {}", number, lines - 1));
    }
  });
}

void check_architecture(const DeviceTree& tree) {
  for (const DtNode* cpu : enabled_cpus(tree)) {
    const std::vector<std::string> names = cpu->strings("compatible");
    if (cpu->has("riscv,isa") || cpu->has("riscv,isa-base") || names.empty() ||
        std::any_of(names.begin(), names.end(), [](const std::string& name) {
          return name == "riscv" || name.starts_with("arm,cortex-m");
        }))
      return;
    refuse(*cpu, "compatible", fmt::format("is {}: known are riscv and arm,cortex-m<N>", joined(names)));
  }
}

}  // namespace hindcast::machines
