// The RISC-V `virt` board (README.md): its description is virt.dts, completed for a configuration.
#pragma once
#include "engine/registry.h"
#include "targets/loader/device_tree.h"

namespace hindcast::machines {

inline constexpr unsigned kVirtMostHarts = 8;
inline constexpr u64 kVirtDefaultMemory = 128u << 20;
inline constexpr GuestAddr kVirtRamBase = 0x8000'0000;

/// The board's tree for that many harts and that much memory. `isa`: the text of each CPU's riscv,isa.
loader::DeviceTree virt_device_tree(unsigned harts, u64 memory_bytes, const std::string& isa);

/// Adds the board to the process's registry.
void register_virt();

}  // namespace hindcast::machines
