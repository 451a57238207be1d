#include "targets/machines/harts.h"

#include <fmt/format.h>

#include "targets/riscv/isa_string.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtInterrupt;
using loader::DtNode;

/// More than any interrupt controller takes.
constexpr u32 kMostHarts = 4095;

std::vector<DtNode*> cpu_nodes(const DeviceTree& tree) {
  std::vector<DtNode*> cpus;
  if (const DtNode* parent = tree.root().child("cpus"))
    for (const auto& node : parent->children())
      if (node->string("device_type") == "cpu" && node->enabled()) cpus.push_back(node.get());
  return cpus;
}

/// A copy of `from` without its phandles, which name the original.
void copy_into(const DtNode& from, DtNode& to) {
  for (const loader::DtProperty& property : from.properties())
    if (property.name != "phandle" && property.name != "linux,phandle") to.set(property.name, property.value);
  for (const auto& child : from.children()) copy_into(*child, to.add_child(child->name()));
}

DtNode* interrupt_controller(const DtNode& cpu) {
  for (const auto& child : cpu.children())
    if (child->has("interrupt-controller")) return child.get();
  return nullptr;
}

/// For each entry that goes to `first`, one to each of `others`, hart by hart behind what is there.
void repeat_wires(DeviceTree& tree, u32 first, const std::vector<u32>& others) {
  const std::map<u32, DtNode*> phandles = tree.phandles();
  tree.for_each([&](DtNode& node) {
    if (!node.has("interrupts-extended")) return;
    const std::vector<DtInterrupt> entries = tree.interrupts(node, phandles);
    std::vector<u32> cells = node.cells("interrupts-extended");
    for (u32 other : others) {
      for (const DtInterrupt& entry : entries) {
        if (entry.controller != first) continue;
        cells.push_back(other);
        cells.insert(cells.end(), entry.cells.begin(), entry.cells.end());
      }
    }
    node.set_cells("interrupts-extended", cells);
  });
}

}  // namespace

HartCounts hart_counts(const DeviceTree& tree) {
  const std::vector<DtNode*> cpus = cpu_nodes(tree);
  if (cpus.empty() || cpus.size() > kMostHarts)
    throw Fatal(fmt::format("device tree: /cpus has {} CPUs; 1 to {} are possible", cpus.size(), kMostHarts));
  const unsigned count = static_cast<unsigned>(cpus.size());
  const u32 most = tree.root().child("cpus")->cell("hindcast,most-harts").value_or(count);
  if (most == count) return {count, count};
  if (count != 1 || most < 1 || most > kMostHarts)
    throw Fatal("device tree: hindcast,most-harts of /cpus is for boards with one CPU, and at most 4095");
  return {1, most};
}

void repeat_hart(DeviceTree& tree, unsigned count) {
  DtNode& first = *cpu_nodes(tree).at(0);
  DtNode& cpus = *first.parent();
  std::vector<DtNode*> copies;
  for (u32 hart = 1; hart < count; ++hart) {
    DtNode& copy = cpus.add_child(fmt::format("cpu@{:x}", hart));
    copy_into(first, copy);
    copy.set_cells("reg", {hart});
    copies.push_back(&copy);
  }
  if (DtNode* cluster = tree.find("/cpus/cpu-map/cluster0"); cluster != nullptr && cluster->child("core0"))
    for (std::size_t i = 0; i < copies.size(); ++i)
      cluster->add_child(fmt::format("core{}", i + 1)).set_cells("cpu", {tree.phandle(*copies[i])});
  if (DtNode* controller = interrupt_controller(first)) {
    const u32 phandle = tree.phandle(*controller);
    std::vector<u32> others;
    for (DtNode* copy : copies) others.push_back(tree.phandle(*interrupt_controller(*copy)));
    repeat_wires(tree, phandle, others);
  }
}

void describe_cpu(DeviceTree& tree, const riscv::Features& features) {
  namespace ext = riscv::ext;
  for (DtNode* cpu : cpu_nodes(tree)) {
    cpu->set_string("riscv,isa", riscv::isa_string(features));
    cpu->set_string("riscv,isa-base", features.xlen == 32 ? "rv32i" : "rv64i");
    cpu->set_strings("riscv,isa-extensions", riscv::isa_extensions(features));
    cpu->set_string("mmu-type", riscv::mmu_type(features));
    const std::pair<const char*, u64> blocks[] = {{"riscv,cbom-block-size", ext::Zicbom},
                                                  {"riscv,cbop-block-size", ext::Zicbop},
                                                  {"riscv,cboz-block-size", ext::Zicboz}};
    for (const auto& [name, extension] : blocks)
      if (features.has(extension)) cpu->set_cells(name, {riscv::kCacheBlock});
  }
}

std::string mmu_type_of(const DeviceTree& tree) {
  const std::vector<DtNode*> cpus = cpu_nodes(tree);
  return cpus.empty() ? std::string() : cpus.front()->string("mmu-type");
}

std::string isa_of(const DeviceTree& tree) {
  const std::vector<DtNode*> cpus = cpu_nodes(tree);
  return cpus.empty() ? std::string() : cpus.front()->string("riscv,isa");
}

}  // namespace hindcast::machines
