// Translated code and what refers to it.
#pragma once
#include <bit>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <unordered_map>
#include <unordered_set>

#include "engine/ir/fp_rules.h"
#include "engine/ir/ir.h"
#include "engine/jit/block_table.h"
#include "engine/jit/host.h"
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

/// An access that translated code does not make by itself, as it describes it to Jit::make_access().
struct AccessWord {
  u32 site;
  u8 log2_size;
  bool store;
  bool write;    // the page is to be writable: a store, or a load that one follows
  bool first;    // no other access of its instruction comes before it
  bool last;     // none follows
  bool checked;  // the code looks at CpuHeader::exit_request before its next instruction
  bool in_ram;   // the address is given less that of the main RAM

  static constexpr u64 kSites = u64{1} << 24;
  u32 pack() const {
    return site << 8 | u32{in_ram} << 7 | u32{checked} << 6 | u32{last} << 5 | u32{first} << 4 |
           u32{write} << 3 | u32{store} << 2 | log2_size;
  }
  static AccessWord unpack(u32 bits) {
    const auto bit = [bits](unsigned n) { return (bits >> n & 1) != 0; };
    return {bits >> 8, static_cast<u8>(bits & 3), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7)};
  }
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
  u32 told = 0;         // accesses of the instruction whose operations have been done
  u32 owed = kNone;     // effects that have been put off here, by index
};

/// A direct exit; jumps to its stub until it is linked to a block.
struct Link {
  u32 from = 0;      // block
  u32 to = ~u32{0};  // block, once linked
  GuestAddr target = 0;
  u32 jump_offset = 0;  // of the rel32 field in the arena
  u32 stub_offset = 0;
  u32 previous = ~u32{0}, next = ~u32{0};  // among the links to the same block
};

class Jit;

/// What instruction fetch in one address space has found. A pure cache.
struct CodeView {
  struct Jump {
    GuestAddr pc;
    const u8* code;
  };
  static constexpr u32 kJumps = 16384;
  /// What entry `k` holds when it is empty: a pc that is never looked for there.
  static constexpr Jump no_jump(u32 k) { return {k == 0 ? kNever : 0, nullptr}; }
  /// Mapped contexts only: where pages of code are.
  struct Page {
    GuestAddr va = kNever, pa = 0;
  };
  static constexpr u32 kPages = 256;

  CodeView() : jumps(static_cast<Jump*>(std::calloc(kJumps, sizeof(Jump)))) {
    if (jumps == nullptr) throw std::bad_alloc();
    jumps[0] = no_jump(0);
  }
  void empty() {
    if (used) clear();
  }
  /// The jump to a block at `pc` that may reach into the next page.
  void add_jump(u32 at, GuestAddr pc, const u8* code) {
    jumps[at] = {pc, code};
    touched |= u64{1} << at / kChunk;
    page_has_jumps(pc) = page_has_jumps(pc + kPageSize) = true;
    used = true;
  }
  /// Forgets what depends on where the fetch addresses from `first` are, as many as 2^bits.
  void drop_range(GuestAddr first, unsigned bits) {
    if (!used) return;
    // The page before the first one of a narrow address space is its last.
    if (bits > kMostDropped || first < kPageSize) return clear();
    const GuestAddr end = (first + (u64{1} << bits) + kPageSize - 1) & ~(kPageSize - 1);
    bool jumped = false;
    for (GuestAddr page = first & ~(kPageSize - 1); page != end; page += kPageSize) {
      if (Page& known = pages[page / kPageSize % kPages]; known.va == page) known = {};
      jumped |= page_has_jumps(page);
    }
    if (!jumped) return;
    const GuestAddr begin = (first & ~(kPageSize - 1)) - kPageSize;  // a block may reach into the next page
    for_touched([&](u32 k) {
      if (jumps[k].code != nullptr && jumps[k].pc - begin < end - begin) jumps[k] = no_jump(k);
    });
  }
  /// kJumps of them, which take memory where they are set: most contexts have a few.
  struct Free {
    void operator()(Jump* at) const { std::free(at); }
  };
  std::unique_ptr<Jump[], Free> jumps;
  Page pages[kPages];
  bool used = false;
  u64 generation = 0;  // Vcpu::protection_generation() when it was filled

 private:
  void clear() {
    for_touched([&](u32 k) { jumps[k] = no_jump(k); });
    touched = 0;
    for (Page& page : pages) page = {};
    for (bool& has : has_jumps) has = false;
    used = false;
  }
  template <typename Fn>
  void for_touched(const Fn& fn) {
    for (u64 rest = touched; rest != 0; rest &= rest - 1)
      for (u32 chunk = static_cast<u32>(std::countr_zero(rest)), k = 0; k < kChunk; ++k)
        fn(chunk * kChunk + k);
  }
  bool& page_has_jumps(GuestAddr pc) { return has_jumps[pc / kPageSize % kJumpPages]; }

  static constexpr u64 kPageSize = 4096;
  static constexpr unsigned kMostDropped = 16;  // more addresses than 2^this: everything goes
  static constexpr u32 kJumpPages = 1024;
  static constexpr u32 kChunk = kJumps / 64;
  u64 touched = 0;                  // the chunks of `jumps` in which some have been set
  bool has_jumps[kJumpPages] = {};  // by page, several in one: whether there may be jumps that depend on it
};

/// An architecture context with everything derived from it.
struct Context {
  Jit* jit = nullptr;  // whose blocks these are; null: the interpreter's context
  u64 value = 0;
  bool flat = true;     // loads and stores go straight to the window
  bool mapped = false;  // fetches go through page tables
  ir::Round rounding = ir::Round::NearestEven;
  ir::FpRules fp_rules;
  u32 mxcsr = 0x1f80;
  /// By vCPU and address space where the fetch is mapped; else there is one. `view` is that of the running
  /// vCPU.
  std::map<std::pair<unsigned, u64>, std::unique_ptr<CodeView>> views;
  CodeView* view = nullptr;
  static constexpr std::size_t kMostViews = 64;
  /// Chooses the view; drops all others if there are too many.
  void use_view(unsigned vcpu, u64 space);
  void empty_views() {
    for (auto& [key, v] : views) v->empty();
  }
  void drop_range(GuestAddr first, unsigned bits) {
    for (auto& [key, v] : views) v->drop_range(first, bits);
  }
  BlockTable blocks;
  std::unordered_map<CodeKey, std::unique_ptr<struct IrBlock>, CodeKeyHash> interp;
  /// Instructions whose accesses have met what is not plain memory (a device, a page of code): translated
  /// code looks before each of them, and asks for the run loop afterwards if need be.
  std::unordered_set<GuestAddr> anywhere;
  /// Blocks that hold something only the interpreter does, so that they are not tried again on every visit.
  std::unordered_set<CodeKey, CodeKeyHash> interpreted;
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
  GuestAddr pa = 0;  // of its first byte, as in CodeKey
  Context* context = nullptr;
  Extent extent;
  u32 insns = 0;
  u32 code_offset = 0, code_size = 0;
  bool live = true;
  u32 first_link = 0, link_count = 0;  // its exits
  u32 incoming = ~u32{0};              // the first of the links that jump here
};

}  // namespace hindcast::jit
