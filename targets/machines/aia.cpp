#include "targets/machines/aia.h"

#include <fmt/format.h>

#include "targets/devices/aplic.h"
#include "targets/devices/imsic.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtNode;

constexpr const char* kPlaces = "hindcast,aia";
constexpr u32 kMachineLine = 11, kSupervisorLine = 9;
constexpr u32 kLevelHigh = 4;  // the second cell of an interrupt: how its wire is to be read
constexpr u32 kIdentities = 255;

struct Level {
  u32 line;
  u64 aplic, imsic;
};

DtNode* find_plic(const DeviceTree& tree) {
  DtNode* plic = nullptr;
  tree.for_each([&](DtNode& node) {
    if (plic == nullptr && node.enabled() && node.has(kPlaces) && node.has("phandle")) plic = &node;
  });
  return plic;
}

/// `cells`, a list of controllers each followed by its specifier, with one more cell where it is `plic`.
/// `skip`: cells before each controller.
std::vector<u32> widened(const DeviceTree& tree, const std::vector<u32>& cells, u32 plic, std::size_t skip) {
  std::vector<u32> out;
  for (std::size_t i = 0; i + skip < cells.size();) {
    const u32 controller = cells[i + skip];
    const DtNode* node = tree.by_phandle(controller);
    std::size_t end = i + skip + 1;
    if (node != nullptr) end += node->cell("#interrupt-cells").value_or(0);
    if (node != nullptr && skip != 0) end += node->cell("#address-cells").value_or(0);
    for (; i < end && i < cells.size(); ++i) out.push_back(cells[i]);
    if (controller == plic) out.push_back(kLevelHigh);
  }
  return out;
}

/// Everything that is connected to the PLIC says one more cell.
void widen_interrupts(const DeviceTree& tree, u32 plic) {
  const auto parent_of = [](const DtNode* node) -> std::optional<u32> {
    for (; node != nullptr; node = node->parent())
      if (const std::optional<u32> parent = node->cell("interrupt-parent")) return parent;
    return std::nullopt;
  };
  tree.for_each([&](DtNode& node) {
    for (const char* name : {"interrupts-extended", "hindcast,interrupts-extended"})
      if (node.has(name)) node.set_cells(name, widened(tree, node.cells(name), plic, 0));
    if (node.has("interrupt-map")) {
      const std::size_t skip = node.address_cells() + node.cell("#interrupt-cells").value_or(1);
      node.set_cells("interrupt-map", widened(tree, node.cells("interrupt-map"), plic, skip));
    }
    if (!node.has("interrupts") || parent_of(&node) != plic) return;
    std::vector<u32> cells;
    for (const u32 source : node.cells("interrupts")) cells.insert(cells.end(), {source, kLevelHigh});
    node.set_cells("interrupts", cells);
  });
}

DtNode& add_controller(DtNode& bus, const char* kind, u64 address, u64 size) {
  DtNode& node = bus.add_child(fmt::format("interrupt-controller@{:x}", address));
  node.set_strings("compatible", {fmt::format("qemu,{}", kind), fmt::format("riscv,{}", kind)});
  node.set_cells("reg", {static_cast<u32>(address >> 32), static_cast<u32>(address),
                         static_cast<u32>(size >> 32), static_cast<u32>(size)});
  node.set_empty("interrupt-controller");
  return node;
}

DtNode& add_aplic(DeviceTree& tree, DtNode& bus, const Level& level, u32 sources, u32 hart, DtNode* imsic) {
  // Room for the direct delivery to every hart that a board may have, in whole units of the smallest region.
  DtNode& node = add_controller(bus, "aplic", level.aplic, 2 * devices::Aplic::kDeliveryControls);
  node.set_cells("#interrupt-cells", {2});
  node.set_cells("#address-cells", {0});
  node.set_cells("riscv,num-sources", {sources});
  if (imsic != nullptr)
    node.set_cells("msi-parent", {tree.phandle(*imsic)});
  else
    node.set_cells("interrupts-extended", {hart, level.line});
  return node;
}

DtNode& add_imsic(DtNode& bus, const Level& level, u32 harts, u32 hart) {
  DtNode& node = add_controller(bus, "imsics", level.imsic, devices::Imsic::kPage * harts);
  node.set_cells("#interrupt-cells", {0});
  node.set_empty("msi-controller");
  node.set_cells("riscv,num-ids", {kIdentities});
  node.set_cells("interrupts-extended", {hart, level.line});
  return node;
}

}  // namespace

riscv::Features with_aia(riscv::Features features, Aia aia) {
  namespace ext = riscv::ext;
  if (aia != Aia::None && !features.has(ext::S))
    throw Fatal("-M aia=...: its controllers are for CPUs with supervisor mode (CPU feature s)");
  if (aia == Aia::AplicImsic && features.has(ext::H))
    throw Fatal("-M aia=aplic-imsic: there are no interrupt files for guests; leave out CPU feature h");
  if (aia == Aia::AplicImsic) features.extensions |= ext::Smaia | ext::Ssaia;
  return features;
}

void replace_plic(DeviceTree& tree, Aia aia, u32 harts) {
  if (aia == Aia::None) return;
  DtNode* plic = find_plic(tree);
  const std::vector<u32> places = plic == nullptr ? std::vector<u32>() : plic->cells(kPlaces);
  const std::vector<u32> wires = plic == nullptr ? std::vector<u32>() : plic->cells("interrupts-extended");
  if (places.size() != 8 || wires.empty() || plic->parent()->address_cells() != 2 ||
      plic->parent()->size_cells() != 2)
    throw Fatal("-M aia=...: the board does not say where its controllers are");
  const auto place = [&](std::size_t n) { return u64{places[2 * n]} << 32 | places[2 * n + 1]; };
  const Level machine{kMachineLine, place(0), place(2)}, supervisor{kSupervisorLine, place(1), place(3)};
  const u32 phandle = *plic->cell("phandle"), hart = wires[0], sources = plic->cell("riscv,ndev").value_or(0);
  DtNode& bus = *plic->parent();
  widen_interrupts(tree, phandle);
  bus.remove_child(plic->name());
  DtNode *machine_files = nullptr, *supervisor_files = nullptr;
  if (aia == Aia::AplicImsic) {
    machine_files = &add_imsic(bus, machine, harts, hart);
    supervisor_files = &add_imsic(bus, supervisor, harts, hart);
    tree.for_each([&](DtNode& node) {
      if (node.compatible_with("pci-host-ecam-generic"))
        node.set_cells("msi-parent", {tree.phandle(*supervisor_files)});
    });
  }
  DtNode& root = add_aplic(tree, bus, machine, sources, hart, machine_files);
  DtNode& child = add_aplic(tree, bus, supervisor, sources, hart, supervisor_files);
  child.set_cells("phandle", {phandle});
  root.set_cells("riscv,children", {phandle});
  // What it is called now, and what it was before that.
  for (const char* name : {"riscv,delegation", "riscv,delegate"}) root.set_cells(name, {phandle, 1, sources});
}

}  // namespace hindcast::machines
