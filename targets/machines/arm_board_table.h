// The Arm M-profile boards that have a name.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "targets/loader/device_tree.h"
#include "targets/machines/board.h"

namespace hindcast::machines {

inline constexpr unsigned kElfArmMachine = 40;

struct ArmBoard {
  const char* name;
  const char* description;
  std::string_view tree;
  const char* cpu;                      // null: the one that the tree names
  GuestAddr vectors;                    // the vector table at reset
  void (*adjust)(loader::DeviceTree&);  // what makes the tree this board's; may be null
  bool reads_0 = false;                 // where its peripheral region is empty, instead of a bus fault
};

std::span<const ArmBoard> arm_board_table();

loader::DeviceTree tree_of(const ArmBoard& board);

/// Flash that images are loaded into, and that no controller's model has.
bool is_flash(const loader::DtNode& node);

/// The ranges of memories, then of flash, in tree order, then where they show again.
std::vector<NodeRange> flash_and_memory(const loader::DeviceTree& tree);

}  // namespace hindcast::machines
