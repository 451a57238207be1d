// Translated code and what refers to it.
#pragma once
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "engine/ir/fp_rules.h"
#include "engine/ir/ir.h"
#include "engine/jit/host.h"
#include "engine/soft_tlb.h"
#include "engine/types.h"

namespace hindcast::jit {

/// How translated code hands control back: the low byte of rax; the rest of rax is an index.
enum class ExitKind : u8 {
  Budget,    // block `index` needs more budget than is left; nothing of it ran
  Link,      // link `index` has no target yet
  Indirect,  // header.pc is not in the jump cache
  Dispatch,  // header.pc is set; the run loop looks at context, interrupts and requests
  Site,      // site `index`: the interpreter executes the instruction at its pc
  Fault,     // site `index`: a helper raised an exception at its pc
  Boundary,  // site `index`: stop before the instruction at its pc
};

/// A place in the code where exact state is known: the registers are in their homes, `pc` has not begun, and
/// `rest` of the budget charged at block entry has not been used.
struct Site {
  u32 block = 0;
  u32 rest = 0;
  GuestAddr pc = 0;
};

/// What an instrumented translation knows of a site beside that.
struct InstrSite {
  static constexpr u32 kNone = ~u32{0};
  u32 insn = 0;         // of the block
  bool begun = false;   // the operations before it have been done
  bool access = false;  // the place of an access's callback
  u32 owed = kNone;     // effects that have been put off here, by index
};

/// A direct exit; jumps to its stub until it is linked to a block.
struct Link {
  u32 from = 0;      // block
  u32 to = ~u32{0};  // block, once linked
  GuestAddr target = 0;
  u32 jump_offset = 0;  // of the rel32 field in the arena
  u32 stub_offset = 0;
};

/// How much is known about an access that faulted: what its next translation assumes.
enum class Slow : u8 {
  No,      // straight to the window
  Device,  // has met a device: compare with the RAM range first
  Code,    // has stored into a page of code, or met a watched page: look at the page's flags as well
};

class Jit;

/// An architecture context with everything derived from it.
struct Context {
  Jit* jit = nullptr;  // whose blocks these are; null: the interpreter's context
  u64 value = 0;
  bool flat = true;
  ir::Round rounding = ir::Round::NearestEven;
  ir::FpRules fp_rules;
  u32 mxcsr = 0x1f80;
  struct JumpEntry {
    GuestAddr pc;
    const u8* code;
  };
  static constexpr u32 kJumpEntries = 4096;
  /// What entry `k` holds when it is empty: a pc that is never looked for there.
  static constexpr JumpEntry no_jump(u32 k) { return {k == 0 ? kNever : 0, nullptr}; }
  std::unique_ptr<JumpEntry[]> jump_cache;
  void empty_jump_cache() {
    for (u32 k = 0; jump_cache && k < kJumpEntries; ++k) jump_cache[k] = no_jump(k);
  }
  std::unordered_map<GuestAddr, u32> blocks;  // pc -> live translated block
  std::unordered_map<GuestAddr, std::unique_ptr<struct IrBlock>> interp;
  std::unordered_map<GuestAddr, Slow> slow;
  /// Blocks that hold something only the interpreter does, so that they are not tried again on every visit.
  std::unordered_set<GuestAddr> interpreted;
  std::vector<std::unique_ptr<SoftTlb>> tlbs;  // by vCPU; contexts that are not flat only
};

/// The physical bytes that a translation was made from (at most two pieces, in two pages).
struct Extent {
  GuestAddr pa[2] = {};
  u32 size[2] = {};
  bool overlaps(GuestAddr at, u64 bytes) const {
    for (int i = 0; i < 2; ++i)
      if (size[i] != 0 && at < pa[i] + size[i] && pa[i] < at + bytes) return true;
    return false;
  }
};

/// A block for the interpreter.
struct IrBlock {
  ir::Unit unit;
  Extent extent;
  Bytes code;  // what it was made from, one instruction after the other; of instrumented contexts only
};

/// A translated guest basic block.
struct Block {
  GuestAddr pc = 0;
  Context* context = nullptr;
  Extent extent;
  u32 insns = 0;
  u32 code_offset = 0, code_size = 0;
  bool live = true;
  std::vector<u32> links;     // its exits
  std::vector<u32> incoming;  // links that jump here
};

}  // namespace hindcast::jit
