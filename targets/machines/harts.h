// How large a RISC-V board is: a board whose tree leaves it open is completed for the configuration.
#pragma once
#include <string>

#include "targets/loader/device_tree.h"
#include "targets/riscv/features.h"

namespace hindcast::machines {

/// A range of counts that a board can have.
struct HartCounts {
  unsigned least = 1, most = 1;
};
/// The enabled CPU nodes; with `hindcast,most-harts` in /cpus, where there is one of them, up to that many.
/// Fatal if the tree has no CPU.
HartCounts hart_counts(const loader::DeviceTree& tree);

/// Gives a board of one hart `count` of them: CPU nodes like the first, their places in cpu-map, and for each
/// wire to the first hart's interrupt controller one to each of the others'.
void repeat_hart(loader::DeviceTree& tree, unsigned count);

/// Every CPU node's `riscv,isa` (and its newer forms), `mmu-type` and sizes of cache blocks.
void describe_cpu(loader::DeviceTree& tree, const riscv::Features& features);
/// `riscv,isa` and `mmu-type` of the first CPU; empty if it has none.
std::string isa_of(const loader::DeviceTree& tree);
std::string mmu_type_of(const loader::DeviceTree& tree);

}  // namespace hindcast::machines
