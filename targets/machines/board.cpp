#include "targets/machines/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "targets/devices/model_registry.h"

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
};

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
  std::vector<Planned> planned;
  std::map<const devices::DeviceModel*, unsigned> count;
  tree.for_each([&](const DtNode& node) {
    const devices::DeviceModel* model = devices::find_model(node);
    if (model == nullptr || !node.enabled()) return;
    unsigned n = count[model]++;
    bool outside = model->first_channel != devices::kNoChannel;
    if (outside && n >= 0x100) throw Fatal(fmt::format("device tree: too many devices like {}", node.path()));
    planned.push_back({&node, model, fmt::format("{}{}", model->stem, n),
                       static_cast<Channel>(outside ? model->first_channel + n : devices::kNoChannel)});
  });
  return planned;
}

}  // namespace

std::vector<DtRange> memory_ranges(const DeviceTree& tree) {
  std::vector<DtRange> ranges;
  tree.for_each([&](const DtNode& node) {
    if (node.string("device_type") != "memory" || !node.enabled()) return;
    for (const DtRange& range : node.reg()) ranges.push_back(range);
  });
  return ranges;
}

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
}

void add_devices(Machine& machine, const DeviceTree& tree) {
  std::map<u32, Sink> sinks = vcpu_sinks(machine, tree);
  std::vector<Planned> planned = plan_devices(tree);
  // Controllers come before what is connected to them, wherever they stand in the tree.
  while (!planned.empty()) {
    std::vector<Planned> later;
    for (const Planned& p : planned) {
      std::vector<IrqLine> lines;
      bool ready = true;
      for (const DtInterrupt& interrupt : tree.interrupts(*p.node)) {
        const u32 number = interrupt.cells[0];
        auto it = sinks.find(interrupt.controller);
        if (it == sinks.end()) {
          // Not built yet, or never: a controller without a model leaves the line open.
          bool coming = std::any_of(planned.begin(), planned.end(), [&](const Planned& other) {
            return other.node->cell("phandle") == interrupt.controller;
          });
          ready = ready && !coming;
          lines.push_back({});
        } else if (number == kNoInterrupt) {
          lines.push_back({});
        } else if (it->second.vcpu && number >= kMostVcpuLines) {
          throw Fatal(fmt::format("device tree: {} is connected to line {} of a CPU, which has none",
                                  p.node->path(), number));
        } else {
          lines.push_back({it->second.sink, number});
        }
      }
      if (!ready) {
        later.push_back(p);
        continue;
      }
      devices::DeviceSite site{machine, *p.node, p.name, p.channel, p.node->reg(), std::move(lines)};
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

}  // namespace hindcast::machines
