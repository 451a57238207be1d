// Translated code: compiling blocks, linking them, entering and leaving them, dropping them.
#pragma once
#include <asmjit/x86.h>

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "engine/jit/arena.h"
#include "engine/jit/code.h"
#include "engine/jit/emitter.h"
#include "engine/machine.h"

namespace hindcast::jit {

struct Exit {
  ExitKind kind;
  u32 index;
};

/// What its translations are made for (emit_instrument.cpp).
enum class Variant : u8 { Plain, Counting, Calling };

/// The instrumentation of one unit.
struct UnitInstr {
  std::shared_ptr<const InstrBlock> block;
  const InstrPlan& plan;
  unsigned vcpu;
  InstrFrame* frame;  // in low memory; outlives the Jit
};

class Jit {
 public:
  /// Fatal if the arena cannot be had. `usable()` is false on hosts that it does not generate code for.
  explicit Jit(Machine& machine, Variant variant = Variant::Plain);
  ~Jit();
  Jit(const Jit&) = delete;
  Jit& operator=(const Jit&) = delete;

  bool usable() const { return host_.usable; }

  /// Translates a unit into a block of `context` and makes it findable there. Returns its number, or kNone if
  /// the unit needs the interpreter. May empty the arena first (all contexts' blocks go).
  static constexpr u32 kNone = ~u32{0};
  /// `instr`: of a Jit that is not Plain.
  u32 compile(Context& context, const ir::Unit& unit, const Extent& extent, const UnitInstr* instr = nullptr);
  /// Runs from a block's start until something needs attention. Header fields are exact on return, but for
  /// the budget of the exit's site or block, which the caller settles.
  Exit enter(Vcpu& vcpu, Context& context, u32 block) { return enter(vcpu, context, code_of(block)); }
  /// Likewise, by the block's code.
  Exit enter(Vcpu& vcpu, Context& context, const u8* code);
  const u8* code_of(u32 block) const { return arena_->exec() + blocks_[block].code_offset; }

  Block& block(u32 number) { return blocks_[number]; }
  /// The block's host code, where it runs (for tests).
  ByteView code(u32 number) const {
    return {arena_->exec() + blocks_[number].code_offset, blocks_[number].code_size};
  }
  const Site& site(u32 number) const { return sites_[number]; }
  const InstrSite& instr_site(u32 number) const { return instr_sites_[number]; }
  const std::shared_ptr<const InstrBlock>& instr_block(u32 block) const { return instr_blocks_[block]; }
  Variant variant() const { return variant_; }
  /// Makes the additions that were put off until the exit at the site.
  void pay_owed(u32 site);
  /// Of a Counting one; null: it has none.
  Lanes* lanes() const { return lanes_.get(); }
  /// A callback was left by a jump: the code that called it is not entered any more.
  static void abandoned();
  const Link& link_at(u32 number) const { return links_[number]; }
  void link(u32 number, u32 block);
  /// The block's direct exits lead back to the caller.
  void unlink_exits(u32 block);
  /// The view in use finds the block by its pc from now on.
  void cache_jump(Context& context, u32 block);
  /// The code that it finds by the pc; null: none. The context has a view.
  const u8* cached_jump(const Context& context, GuestAddr pc) const {
    const CodeView::Jump& jump = context.view->jumps[jump_index(pc)];
    return jump.pc == pc ? jump.code : nullptr;
  }
  /// The block is dead: nothing enters it any more. A caller that is inside it leaves before long.
  void kill(u32 block);
  /// Whether the last Site exit came from an access that met something else than plain memory and has not
  /// been prepared for it: its next translation is to be.
  bool last_exit_was_access() const { return access_fault_; }
  /// Drops everything. `contexts` to be cleared are the caller's.
  void clear();
  /// Called when the arena was emptied: the caller drops every reference to blocks.
  void on_clear(std::function<void()> fn) { on_clear_ = std::move(fn); }

  /// The host's SIGSEGV at `pc`, if it is an access of this Jit's code: returns where to continue, else null.
  const u8* handle_fault(const u8* pc, u64* rax);

 private:
  void emit_stubs();
  /// A function in the arena for translated code; `quick`: where no floating-point flags have accrued.
  const u8* emit_access_stub(bool quick);
  void move_homes(asmjit::x86::Assembler& a, bool to_memory) const;
  static bool make_access(Jit* jit, Vcpu* vcpu, u64 at, u32 packed);
  bool make(const AccessWord& word, const Context& context, Vcpu& vcpu, GuestAddr va, u64& value);
  /// The holder is ready for a unit whose code may take `room` bytes.
  void prepare_holder(u64 room);
  u32 jump_index(GuestAddr pc) const { return static_cast<u32>((pc >> insn_shift_) % CodeView::kJumps); }
  void jump_to_stub(Link& link);
  void unlink(u32 number);
  HomeMap standard_homes() const;

  Machine& machine_;
  Variant variant_;
  HostFeatures host_;
  HomeMap homes_;
  unsigned insn_shift_ = 0;  // instructions lie at multiples of 2^this
  std::unique_ptr<Arena> arena_;
  asmjit::Environment environment_;
  asmjit::CodeHolder holder_;
  const RamBlock* main_ram_ = nullptr;
  u32 stubs_end_ = 0;
  const u8* enter_stub_ = nullptr;
  const u8* exit_common_ = nullptr;
  const u8* access_ = nullptr;
  // Calling: likewise, but MXCSR holds nothing of the guest's.
  const u8* exit_quick_ = nullptr;
  const u8* access_quick_ = nullptr;
  // Used again by each compile().
  Emitter::Buffers buffers_;
  Emitted emitted_;
  Bytes scratch_;
  std::deque<Block> blocks_;
  // In pieces: what grows by copying touches its memory twice.
  std::deque<Site> sites_;
  std::deque<Link> links_;
  // Of instrumented translations.
  std::vector<InstrSite> instr_sites_;  // beside sites_
  std::vector<std::vector<InstrEffect>> owed_;
  std::unique_ptr<Lanes> lanes_;
  std::vector<std::shared_ptr<const InstrBlock>> instr_blocks_;  // beside blocks_
  struct Access {
    u32 begin, end, site;
    bool quick;
  };
  std::deque<Access> accesses_;  // ascending by begin: the arena only grows
  bool access_fault_ = false;
  u64 gs_base_ = 0;
  std::function<void()> on_clear_;
};

}  // namespace hindcast::jit
