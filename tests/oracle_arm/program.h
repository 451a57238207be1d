// A random Arm program: blocks of instructions under test, each with its own initial registers, and the image
// that runs them one after the other and leaves every block's final registers and faults in memory.
//
// Blocks run in privileged Thread mode on the process stack. An SVC ends each of them; its handler stores the
// state, and starts the next block with an exception return from a made-up frame. Faults are logged and
// skipped.
#pragma once
#include <array>
#include <vector>

#include "engine/types.h"

namespace hindcast::oracle_arm {

/// Offsets in the memory that holds the stack; and in the large one, which holds everything but code.
inline constexpr u32 kMainStack = 0x6000, kVariables = 0x7000;
inline constexpr u32 kInputsAt = 0, kResultsAt = 0x400000, kScratchAt = 0xc00000;
inline constexpr u32 kScratchBytes = 0x8000;
inline constexpr u64 kDataBytes = 0x1000000;
inline constexpr unsigned kMostBlocks = 512;

/// What the image is for.
struct Target {
  const char* cpu;    // "cortex-m4"
  const char* board;  // "mps2-an386"
  GuestAddr data;     // where the large memory is
  bool fp = false;
  GuestAddr code = 0;             // where vectors and code are
  GuestAddr ram = 0x20000000;     // and the stack
  GuestAddr hole = 0x68000000;    // there is nothing
  const char* data_size = "16M";  // as QEMU wants to hear it
};

/// One instruction under test with those that it needs around it.
struct Item {
  struct Piece {
    u32 bits;  // 16-bit: low half; 32-bit: the first half-word on top
    u8 length;
  };
  std::vector<Piece> pieces;
  std::vector<u16> rows;  // indices into all_rows() of the instructions that count as tested
};

struct Inputs {
  std::array<u32, 15> r{};  // r[13]: the process stack pointer
  u32 xpsr = 0;
  std::array<u32, 32> s{};
  u32 fpscr = 0;
};

struct Block {
  Inputs inputs;
  std::vector<Item> items;
};

struct Program {
  std::vector<Block> blocks;
  Bytes scratch;       // kScratchBytes
  unsigned loops = 1;  // how often each block runs before the next one begins
};

/// A little-endian ELF file that ends by a semihosting exit.
Bytes build_image(const Target& target, const Program& program);

struct Fault {
  u32 exception = 0, pc = 0, cfsr = 0, address = 0;
  bool operator==(const Fault&) const = default;
};

/// What a block left behind (its last loop).
struct BlockResult {
  std::array<u32, 15> r{};
  u32 xpsr = 0;
  std::array<u32, 32> s{};
  u32 fpscr = 0;
  std::vector<Fault> faults;
  bool operator==(const BlockResult&) const = default;
};

struct ProgramResult {
  std::vector<BlockResult> blocks;
  Bytes scratch;
};

/// Reads the results out of the large memory (kDataBytes).
ProgramResult read_results(const Program& program, ByteView data);

}  // namespace hindcast::oracle_arm
