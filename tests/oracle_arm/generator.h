// Draws random Arm programs from the instruction rows.
#pragma once
#include <map>
#include <optional>
#include <vector>

#include "targets/arm/arm.h"
#include "tests/oracle/operands.h"
#include "tests/oracle_arm/program.h"

namespace hindcast::oracle_arm {

using oracle::Random;

class Generator {
 public:
  /// `arch` decodes and says which rows exist.
  Generator(const arm::ArmArch& arch, const Target& target, u64 seed);

  /// Rows that can be drawn.
  const std::vector<u16>& rows() const { return rows_; }
  /// A program of `blocks` blocks. Rows are dealt like cards, so that all come up equally often.
  Program program(unsigned blocks, unsigned loops);
  /// How often each row (by index into all_rows()) has been drawn so far.
  const std::map<u16, u64>& drawn() const { return drawn_; }

  static constexpr unsigned kItems = 12;  // per block

 private:
  Block block();
  u16 next_row();
  /// False: this row does not go into this block.
  Item::Piece before_store_exclusive(const arm::InsnRow& row, const Item::Piece& store);
  bool add(Block& block, u16 row);
  bool add_branch(Item& item, const arm::InsnRow& row);
  bool add_if_then(Item& item, const arm::InsnRow& row);
  bool encode(const arm::InsnRow& row, bool in_it, Item::Piece& piece);
  bool try_encode(const arm::InsnRow& row, bool in_it, Item::Piece& piece);
  bool suits(const arm::InsnRow& row, const arm::Operands& o, bool in_it) const;
  Item::Piece filler() { return {0x3000u | 6u << 8 | random_.below(256), 2}; }  // adds r6, #n

  const arm::ArmArch& arch_;
  Target target_;
  Random random_;
  std::vector<u16> rows_, deck_;
  std::map<u16, u64> drawn_;
  unsigned base_ = 4, index_ = 5;  // registers that hold an address, and a small number, in this block
};

}  // namespace hindcast::oracle_arm
