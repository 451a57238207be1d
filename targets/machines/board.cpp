#include "targets/machines/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "targets/devices/model_registry.h"
#include "targets/devices/occupied.h"
#include "targets/devices/shared_line.h"
#include "targets/devices/stub.h"
#include "targets/devices/virtio/types.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtInterrupt;
using loader::DtNode;
using loader::DtRange;

/// An entry of interrupts-extended with this number is a place without a wire (PLIC contexts of harts without
/// S mode).
constexpr u32 kNoInterrupt = 0xffffffff;
constexpr u32 kMostVcpuLines = 64;

struct Sink {
  IrqSink* sink = nullptr;
  bool vcpu = false;
};

/// A node with a model, waiting to be built.
struct Planned {
  const DtNode* node;
  const devices::DeviceModel* model;
  std::string name;
  Channel channel;
  std::vector<DtInterrupt> interrupts;
};

/// The inputs of interrupt controllers and CPUs, and who drives each: what several drive is the OR of them.
class Wiring {
 public:
  Wiring(Machine& machine, const std::vector<Planned>& planned) : machine_(machine) {
    for (const Planned& p : planned)
      for (const DtInterrupt& interrupt : p.interrupts) ++inputs_[key(interrupt)].drivers;
  }
  IrqLine wire(const DtInterrupt& interrupt, IrqSink* sink) {
    const IrqLine line(sink, interrupt.cells[0]);
    Input& input = inputs_[key(interrupt)];
    if (input.drivers < 2) return line;
    if (input.shared == nullptr)
      input.shared = &machine_.add_device<devices::SharedLine>(fmt::format("wire{}", shared_++), line);
    return input.shared->add_wire();
  }

 private:
  struct Input {
    unsigned drivers = 0;
    devices::SharedLine* shared = nullptr;
  };
  using Key = std::pair<u32, u32>;  // controller, number
  static Key key(const DtInterrupt& interrupt) { return {interrupt.controller, interrupt.cells[0]}; }
  Machine& machine_;
  std::map<Key, Input> inputs_;
  unsigned shared_ = 0;
};

/// More than any board has; a hostile tree could keep us busy with them.
constexpr std::size_t kMostDevices = 1024;

std::map<u32, Sink> vcpu_sinks(Machine& machine, const DeviceTree& tree) {
  std::map<u32, Sink> sinks;
  DtNode* cpus = tree.find("/cpus");
  if (cpus == nullptr) return sinks;
  unsigned index = 0;
  for (const auto& cpu : cpus->children()) {
    if (cpu->string("device_type") != "cpu" || !cpu->enabled()) continue;
    if (index >= machine.vcpu_count()) break;
    for (const auto& child : cpu->children())
      if (child->has("interrupt-controller"))
        if (std::optional<u32> phandle = child->cell("phandle"))
          sinks[*phandle] = {&machine.vcpu(index), true};
    ++index;
  }
  return sinks;
}

std::vector<Planned> plan_devices(const DeviceTree& tree) {
  const std::map<u32, DtNode*> phandles = tree.phandles();
  std::vector<Planned> planned;
  std::map<std::string, unsigned> count;  // models of one kind are numbered together
  tree.for_each([&](const DtNode& node) {
    const devices::DeviceModel* model = devices::find_model(node);
    if (model == nullptr || !node.enabled()) return;
    unsigned n = count[model->stem]++;
    bool outside = model->first_channel != devices::kNoChannel;
    if (outside && n >= 0x100) throw Fatal(fmt::format("device tree: too many devices like {}", node.path()));
    if (planned.size() >= kMostDevices)
      throw Fatal(fmt::format("device tree: more than {} devices", kMostDevices));
    planned.push_back({&node, model, fmt::format("{}{}", model->stem, n),
                       static_cast<Channel>(outside ? model->first_channel + n : devices::kNoChannel),
                       tree.interrupts(node, phandles)});
  });
  return planned;
}

/// Adapters on the board, and virtio's, behind whatever transport.
std::size_t count_adapters(const DeviceTree& tree) {
  std::size_t n = wired_adapters(tree);
  tree.for_each([&](const DtNode& node) {
    if (node.string(devices::virtio::kDeviceProperty) == devices::virtio::kNetworkDevice) ++n;
  });
  return n;
}

void check_networks(const DeviceTree& tree, std::size_t cables) {
  const std::size_t adapters = count_adapters(tree);
  if (cables <= adapters) return;
  if (adapters == 0) throw Fatal("--net: this board has no network adapter; leave it out");
  throw Fatal(fmt::format("--net: this board has {} network adapter{}, not {}", adapters,
                          adapters == 1 ? "" : "s", cables));
}

}  // namespace

std::size_t wired_adapters(const DeviceTree& tree) {
  std::size_t n = 0;
  tree.for_each([&](const DtNode& node) {
    const devices::DeviceModel* model = devices::find_model(node);
    if (model != nullptr && node.enabled() && model->first_channel == devices::kNetworkChannels) ++n;
  });
  return n;
}

std::vector<NodeRange> memory_nodes(const DeviceTree& tree) {
  std::vector<NodeRange> ranges;
  tree.for_each([&](const DtNode& node) {
    if (!node.enabled() || (node.string("device_type") != "memory" && !node.compatible_with("mmio-sram")))
      return;
    for (const DtRange& range : node.reg()) ranges.push_back({&node, range});
  });
  return ranges;
}

std::vector<DtRange> memory_ranges(const DeviceTree& tree) {
  std::vector<DtRange> ranges;
  for (const NodeRange& memory : memory_nodes(tree)) ranges.push_back(memory.range);
  return ranges;
}

std::vector<NodeRange> mirrors(const DtNode& node) {
  constexpr std::size_t kMostMirrors = 64;
  std::vector<NodeRange> ranges;
  const std::vector<u32> bases = node.cells("hindcast,mirrors");
  if (bases.size() > kMostMirrors)
    throw Fatal(fmt::format("device tree: hindcast,mirrors of {}: more than {}", node.path(), kMostMirrors));
  for (const u32 base : bases)
    ranges.push_back({&node, {base, node.reg().empty() ? 0 : node.reg().front().size}});
  return ranges;
}

namespace {

void add_mirrors(AddressSpace& memory, const DeviceTree& tree) {
  tree.for_each([&](const DtNode& node) {
    if (!node.enabled()) return;
    for (const auto& [of, range] : mirrors(node)) {
      check_range({of, range}, 64);
      RamBlock* block = memory.find_ram(node.reg().front().base);
      if (block == nullptr || block->base != node.reg().front().base || block->size != range.size)
        throw Fatal(fmt::format("device tree: hindcast,mirrors of {}: no memory lies there", node.path()));
      memory.add_mirror(fmt::format("{}@{:x}", block->name, range.base), range.base, *block);
    }
  });
}

}  // namespace

void add_memory(Machine& machine, const DeviceTree& tree, std::span<const DtRange> holes) {
  std::vector<DtRange> ranges = memory_ranges(tree);
  if (ranges.empty()) throw Fatal("the device tree has no memory node");
  std::vector<DtRange> sorted_holes(holes.begin(), holes.end());
  std::sort(sorted_holes.begin(), sorted_holes.end(), [](auto& a, auto& b) { return a.base < b.base; });
  unsigned number = 0;
  auto add = [&](GuestAddr base, u64 size) {
    if (size == 0) return;
    machine.memory().add_ram(number == 0 ? "ram" : fmt::format("ram.{}", number), base, size);
    ++number;
  };
  for (const DtRange& range : ranges) {
    GuestAddr at = range.base;
    for (const DtRange& hole : sorted_holes) {
      if (hole.base < at || hole.base - range.base >= range.size) continue;
      add(at, hole.base - at);
      at = hole.base + hole.size;
    }
    add(at, range.size - std::min(range.size, at - range.base));
  }
  add_mirrors(machine.memory(), tree);
}

void add_devices(Machine& machine, const DeviceTree& tree, std::span<const NetworkAdapter> networks,
                 unsigned bits) {
  std::map<u32, Sink> sinks = vcpu_sinks(machine, tree);
  std::vector<Planned> planned = plan_devices(tree);
  for (const Planned& p : planned) check_registers(*p.node, bits);
  check_networks(tree, networks.size());
  Wiring wiring(machine, planned);
  // Controllers come before what is connected to them, wherever they stand in the tree.
  while (!planned.empty()) {
    std::vector<Planned> later;
    std::set<u32> waiting;  // controllers that are not built yet
    for (const Planned& p : planned)
      if (std::optional<u32> phandle = p.node->cell("phandle")) waiting.insert(*phandle);
    for (const Planned& p : planned) {
      // A controller that is not built yet; one without a model leaves its lines open.
      const bool ready = std::none_of(p.interrupts.begin(), p.interrupts.end(), [&](const DtInterrupt& i) {
        return !sinks.contains(i.controller) && waiting.contains(i.controller);
      });
      if (!ready) {
        later.push_back(p);
        continue;
      }
      std::vector<IrqLine> lines;
      for (const DtInterrupt& interrupt : p.interrupts) {
        const u32 number = interrupt.cells[0];
        auto it = sinks.find(interrupt.controller);
        if (it == sinks.end()) {
          lines.push_back({});
        } else if (number == kNoInterrupt) {
          lines.push_back({});
        } else if (it->second.vcpu && number >= kMostVcpuLines) {
          throw Fatal(fmt::format("device tree: {} is connected to line {} of a CPU, which has none",
                                  p.node->path(), number));
        } else {
          lines.push_back(wiring.wire(interrupt, it->second.sink));
        }
      }
      devices::DeviceSite site{machine, *p.node, p.name, p.channel, p.node->reg(), std::move(lines)};
      site.networks = networks;
      if (p.model->first_channel == devices::kNetworkChannels)
        if (const std::size_t cable = p.channel - devices::kNetworkChannels; cable < networks.size())
          site.network = &networks[cable];
      IrqSink* sink = p.model->build(site);
      if (std::optional<u32> phandle = p.node->cell("phandle"); sink != nullptr && phandle)
        sinks[*phandle] = {sink, false};
    }
    if (later.size() == planned.size())
      throw Fatal(
          fmt::format("device tree: the interrupts of {} go round in a circle", later.front().node->path()));
    planned = std::move(later);
  }
}

void add_stubs(Machine& machine, const DeviceTree& tree) {
  AddressSpace& memory = machine.memory();
  std::size_t count = 0;
  // A device's registers can be reached if every bus above it passes addresses on.
  auto reachable = [](const DtNode& node) {
    for (const DtNode* bus = node.parent(); bus != nullptr && bus->parent() != nullptr; bus = bus->parent())
      if (!bus->has("ranges")) return false;
    return node.parent() != nullptr && node.parent()->size_cells() != 0;
  };
  tree.for_each([&](const DtNode& node) {
    if (!node.has("reg") || !node.has("compatible") || !node.enabled()) return;
    if (devices::find_model(node) != nullptr || !reachable(node)) return;
    for (const DtRange& range : node.reg()) {
      if (range.size == 0 || range.base + (range.size - 1) < range.base ||
          devices::is_occupied(memory, range.base, range.size))
        continue;
      if (++count > kMostDevices) throw Fatal(fmt::format("device tree: more than {} devices", kMostDevices));
      std::string name = fmt::format("stub{}", count - 1);
      auto& stub = machine.add_device<devices::Stub>(
          name, machine, fmt::format("{} ({})", node.path(), node.string("compatible")), range.base);
      memory.add_device(std::move(name), range.base, range.size, &stub);
    }
  });
}

}  // namespace hindcast::machines
