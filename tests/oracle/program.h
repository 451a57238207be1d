// A random program: blocks of instructions under test, each with its own initial registers, and the image
// that runs them one after the other and leaves every block's final registers and traps in memory.
//
// Memory of an image, from kBase: code, then `Inputs`, `Results` and the scratch that loads and stores work
// on.
#pragma once
#include <array>
#include <vector>

#include "engine/types.h"
#include "targets/riscv/rows.h"

namespace hindcast::oracle {

inline constexpr GuestAddr kBase = 0x80000000;
inline constexpr GuestAddr kInputs = kBase + 0x400000;
inline constexpr GuestAddr kResults = kBase + 0x800000;
inline constexpr GuestAddr kScratch = kBase + 0xc00000;
inline constexpr u64 kScratchBytes = 0x8000;
inline constexpr u64 kRamBytes = 0x1000000;
inline constexpr unsigned kMostBlocks = 512;
/// An address at which the board has nothing.
inline constexpr GuestAddr kNowhere = 0x08000000;
/// Addresses of the board that the image uses.
inline constexpr GuestAddr kFinisher = 0x00100000, kClint = 0x02000000;

/// One instruction under test with the ones that it needs around it (a jump's target, a branch's skipped
/// neighbour).
struct Item {
  struct Piece {
    u32 bits;
    u8 length;
  };
  std::vector<Piece> pieces;
  std::vector<u16> rows;  // indices into all_rows() of the instructions that count as tested
};

struct Inputs {
  std::array<u64, 32> x{}, f{};
  u64 fcsr = 0;
};

struct Block {
  Inputs inputs;
  std::vector<Item> items;
};

struct Program {
  unsigned xlen = 64;
  std::vector<Block> blocks;
  Bytes scratch;       // kScratchBytes
  unsigned loops = 1;  // how often each block runs before the next one begins
};

/// A little-endian RISC-V ELF file that needs nothing but the `virt` board and ends by its test finisher.
Bytes build_image(const Program& program);

struct Trap {
  u64 cause = 0, pc = 0, value = 0;
  bool operator==(const Trap&) const = default;
};

/// What a block left behind (its last loop).
struct BlockResult {
  std::array<u64, 32> x{}, f{};
  u64 fcsr = 0;
  std::vector<Trap> traps;
  bool operator==(const BlockResult&) const = default;
};

struct ProgramResult {
  std::vector<BlockResult> blocks;
  Bytes scratch;
};

/// Reads the results out of the guest's RAM (kRamBytes from kBase).
ProgramResult read_results(const Program& program, ByteView ram);

}  // namespace hindcast::oracle
