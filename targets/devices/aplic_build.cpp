// APLICs from device trees: whom a domain delivers to, and which are its children, in whatever order they
// stand.
#include <fmt/format.h>

#include "targets/devices/aplic.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr const char* kExtension = "riscv.aplic.domains";
constexpr u32 kMachineLine = 11, kSupervisorLine = 9;

/// The domains of a machine that is being built.
struct Domains {
  struct Child {
    Aplic* parent;
    unsigned index;
    u32 phandle;
  };
  std::map<u32, Aplic*> built;  // by phandle
  std::vector<Child> children;
};

const loader::DtNode* by_phandle(const loader::DtNode& node, u32 phandle) {
  if (node.cell("phandle") == phandle) return &node;
  for (const auto& child : node.children())
    if (const loader::DtNode* found = by_phandle(*child, phandle)) return found;
  return nullptr;
}

/// The line of a CPU that interrupts of the domain end up at: its own wires', or those of where its MSIs go.
u32 level_of(const DeviceSite& site) {
  const loader::DtNode* node = &site.node;
  if (const std::optional<u32> parent = site.node.cell("msi-parent")) {
    const loader::DtNode* root = &site.node;
    while (root->parent() != nullptr) root = root->parent();
    node = by_phandle(*root, *parent);
  }
  const std::vector<u32> wires = node == nullptr ? std::vector<u32>() : node->cells("interrupts-extended");
  return wires.size() < 2 ? 0 : wires[1];
}

void link(Domains& domains, const DeviceSite& site, Aplic& aplic) {
  if (const std::optional<u32> phandle = site.node.cell("phandle")) domains.built[*phandle] = &aplic;
  unsigned index = 0;
  for (const u32 child : site.node.cells("riscv,children"))
    domains.children.push_back({&aplic, index++, child});
  for (const Domains::Child& child : domains.children) {
    const auto it = domains.built.find(child.phandle);
    if (it == domains.built.end()) continue;
    // One parent, and no circle.
    Aplic& below = *it->second;
    if (&below.root() == &below && &child.parent->root() != &below)
      child.parent->set_child(child.index, below);
  }
}

}  // namespace

IrqSink* build_aplic(const DeviceSite& site) {
  Aplic::Shape shape;
  shape.sources = site.cell("riscv,num-sources", 0);
  if (shape.sources == 0 || shape.sources > Aplic::kMostSources)
    site.fail("needs a riscv,num-sources of 1 to 1023");
  const u32 level = level_of(site);
  if (level != kMachineLine && level != kSupervisorLine)
    site.fail("needs the external interrupt of each CPU, or an msi-parent that has them");
  shape.machine_level = level == kMachineLine;
  if (!site.node.has("msi-parent")) shape.harts = site.interrupts;
  if (shape.harts.size() > Aplic::kMostHarts) site.fail("has too many CPUs");
  const loader::DtRange& reg =
      site.reg(0, Aplic::kDeliveryControls + Aplic::kDeliveryControlSize * shape.harts.size());
  const bool direct = !shape.harts.empty();
  auto& aplic = site.machine.add_device<Aplic>(site.name, site.machine, std::move(shape));
  site.machine.memory().add_device(site.name, reg.base, reg.size, &aplic);
  if (direct) {
    ExternalPriorities* priorities = &aplic;
    site.machine.set_extension(level == kMachineLine ? kMachineExternal : kSupervisorExternal,
                               std::shared_ptr<void>(std::shared_ptr<void>(), priorities));
  }
  if (site.machine.extension<Domains>(kExtension) == nullptr)
    site.machine.set_extension(kExtension, std::make_shared<Domains>());
  link(*site.machine.extension<Domains>(kExtension), site, aplic);
  return &aplic;
}

}  // namespace hindcast::devices
