// Draws random programs from the instruction rows.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "targets/riscv/riscv.h"
#include "tests/oracle/operands.h"
#include "tests/oracle/program.h"

namespace hindcast::oracle {

struct GeneratorOptions {
  /// Rows that need one of these extensions are left out: the other side of the comparison does not know
  /// them.
  u64 without = 0;
  /// Avoids what QEMU 7.2 is known to get wrong: ctzw of a zero word, read-only CSRs "written" with a
  /// register that holds 0.
  bool spare_qemu = false;
  /// How often, in percent, a bit pattern that is no instruction comes before the next instruction.
  unsigned illegal_percent = 4;
};

class Generator {
 public:
  /// `arch` decodes and says which rows exist.
  Generator(const riscv::RiscvArch& arch, u64 seed, GeneratorOptions options = {});

  /// Rows that can be drawn.
  const std::vector<u16>& rows() const { return rows_; }
  /// A program of `blocks` blocks. Rows are dealt like cards, so that all come up equally often.
  Program program(unsigned blocks, unsigned loops);
  /// How often each row (by index into all_rows()) has been drawn so far.
  const std::map<u16, u64>& drawn() const { return drawn_; }

  static constexpr unsigned kItems = 14;  // per block

 private:
  struct Bases {
    unsigned aligned =
        0;             // x8 to x15, so that compressed instructions can use it; may be misaligned, see below
    unsigned any = 0;  // anywhere in the scratch
    unsigned nowhere = 0;     // nothing is there
    bool stack = false;       // x2 is one, too
    bool misaligned = false;  // of `aligned`: no atomics that reserve
    bool contains(unsigned reg) const {
      return reg == aligned || reg == any || reg == nowhere || (stack && reg == 2);
    }
  };

  Block block();
  void choose_inputs(Block& block);
  u16 next_row();
  /// False: this row does not go into this block.
  bool add(Block& block, u16 row);
  bool add_forward(Item& item, const riscv::InsnRow& row);
  bool add_register_jump(Item& item, const riscv::InsnRow& row);
  bool add_mret(Item& item, const riscv::InsnRow& row);
  bool add_reservation(Item& item, const riscv::InsnRow& row);
  /// A random encoding of the row that respects the block's base registers; false if none was found.
  bool encode(const riscv::InsnRow& row, Item::Piece& piece);
  bool try_encode(const riscv::InsnRow& row, Item::Piece& piece);
  /// A bit pattern that is no instruction of the CPU.
  Item::Piece illegal();
  /// An instruction without effect on control, to be skipped by a jump.
  Item::Piece filler();
  u32 random_float_register(FpFormat format);
  unsigned scratch_register();
  const riscv::InsnRow* row_named(const std::string& name) const;
  u16 index_of(const riscv::InsnRow& row) const;

  const riscv::RiscvArch& arch_;
  GeneratorOptions options_;
  Random random_;
  std::vector<u16> rows_, deck_;
  std::map<u16, u64> drawn_;
  Bases bases_;
  std::array<FpFormat, 32> formats_{};
};

}  // namespace hindcast::oracle
