// What no board can be: trees that contradict themselves or the CPU are refused, each with one line that
// names the node and the property.
#pragma once
#include <functional>
#include <string>

#include "targets/arm/features.h"
#include "targets/loader/device_tree.h"

namespace hindcast::machines {

/// A node whose registers or bytes are addresses of the guest, and one of its ranges.
struct NodeRange {
  const loader::DtNode* node = nullptr;
  loader::DtRange range;
};

/// Throws Fatal for a range that is empty or ends beyond the addresses of `bits` bits.
void check_range(const NodeRange& range, unsigned bits);

/// Memories: neither empty, nor beyond the addresses of `bits` bits, nor in each other's place (Fatal).
void check_memories(const std::vector<NodeRange>& memories, unsigned bits);

/// Registers of a device that has a model: some, at addresses that there are, of a size that devices have
/// (Fatal).
void check_registers(const loader::DtNode& node, unsigned bits);

/// The CPU of an M-profile board: one of those that there are, unless `chosen` (--cpu) goes before it.
/// Further ones are left out, of which `note` is told. Throws Fatal.
void check_cortex_m(const loader::DeviceTree& tree, bool chosen,
                    const std::function<void(const std::string&)>& note);

/// What an M-profile board needs and what its CPU allows: one NVIC, interrupts that it has, and nothing that
/// needs a security extension which is not there. Throws Fatal.
void check_arm_devices(const loader::DeviceTree& tree, const arm::Features& cpu);

/// The CPUs of a tree that are neither RISC-V nor Cortex-M (Fatal).
void check_architecture(const loader::DeviceTree& tree);

}  // namespace hindcast::machines
