// From a device tree to a machine: memory nodes become RAM, nodes with a known `compatible` become devices,
// and the interrupt lines between them and the vCPUs are connected. Knows no particular board.
#pragma once
#include <span>

#include "engine/machine.h"
#include "engine/registry.h"
#include "targets/loader/device_tree.h"
#include "targets/machines/tree_checks.h"

namespace hindcast::machines {

/// Adds a RAM block for each memory node, leaving out the pages in `holes` (page-aligned, disjoint), which
/// something else takes; and the other addresses of memories and of what is there already. Throws Fatal if
/// the tree has no memory.
void add_memory(Machine& machine, const loader::DeviceTree& tree, std::span<const loader::DtRange> holes);

/// How many network adapters the tree itself has, virtio's not counted.
std::size_t wired_adapters(const loader::DeviceTree& tree);

/// Adds every enabled device that has a model; nodes without one are left alone. Names and channels follow
/// tree order; network adapters get the cables of `networks`: the board's own
/// the first ones, in tree order, virtio's the ones that their nodes name. CPU nodes' interrupt controllers
/// stand for the vCPUs, by the order of the CPU nodes. Addresses have `bits` bits. Throws Fatal for a tree
/// that contradicts itself, and for more cables than adapters.
void add_devices(Machine& machine, const loader::DeviceTree& tree, std::span<const NetworkAdapter> networks,
                 unsigned bits);

/// Puts something in the place of each enabled device that has registers and no model, so that software that
/// touches it goes on: reads give 0, writes change nothing, and the user is told of the first of each. Nodes
/// whose registers are on a bus that passes no addresses on, and ranges where something is already, are left
/// alone.
void add_stubs(Machine& machine, const loader::DeviceTree& tree);

/// The memory nodes' ranges, in tree order.
std::vector<NodeRange> memory_nodes(const loader::DeviceTree& tree);
std::vector<loader::DtRange> memory_ranges(const loader::DeviceTree& tree);
/// Where else the node's (first) memory shows, with its size: `hindcast,mirrors`.
std::vector<NodeRange> mirrors(const loader::DtNode& node);

}  // namespace hindcast::machines
