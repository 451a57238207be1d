// Executes a vCPU's instructions: translated code for the most part, the interpreter for the last
// instructions before an exact stop, for device accesses, and for whatever translated code hands back. All it
// holds is cache.
#pragma once
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/instrument.h"
#include "engine/ir/builder.h"
#include "engine/ir/interp.h"
#include "engine/jit/code.h"
#include "engine/machine.h"
#include "engine/soft_tlb.h"

namespace hindcast {

namespace jit {
class Jit;
}
class Instrumented;

class Executor {
 public:
  explicit Executor(Machine& machine);
  ~Executor();

  /// Runs `vcpu` for at most `budget` attempts (at least one), less if the run loop has to look at something.
  /// On return the machine's clock stands at the exact icount and every caller of vcpu.icount() sees it.
  void run(Vcpu& vcpu, u64 budget);
  /// All translations go, before the next instruction is looked up.
  void request_flush() { flush_requested_ = true; }
  /// Between runs: execution goes on under the observer (null: without one).
  void observe(Instrumentation* observer);
  void pause_observer() { observed_ = nullptr; }
  /// What execution goes through; null: without an observer.
  Instrumented* instrumented() const { return observed_; }
  /// One attempt without the observer.
  void run_unobserved(Vcpu& vcpu);

 private:
  friend class Instrumented;
  void run_slice(Vcpu& vcpu, u64 budget, Instrumented* instrumented);
  /// The context `value` of `vcpu`; vCPUs share those in which they are all alike.
  jit::Context& context_of(u64 value, unsigned vcpu);
  /// The number under which contexts of `value` are kept for this vCPU: one for all where they share.
  unsigned owner_of(u64 value, unsigned vcpu) const;
  /// What was found out about the vCPU's addresses is at hand for `context`, which runs from here on.
  void enter_context(jit::Context& context, Vcpu& vcpu);
  /// Whether the instruction at hand belongs to `context`. Not so behind a Builder::set_context() inside a
  /// unit: who leaves translated code there goes back to the run loop, which takes the instruction up in its
  /// own.
  bool is_current(const jit::Context& context, const Vcpu& vcpu) const;
  SoftTlb* tlb_of(Vcpu& vcpu);
  void describe(jit::Context& context, u64 value) const;
  /// Where the instruction at `pc` is in physical memory. False: the fetch faults (`fault` says how).
  bool locate(Vcpu& vcpu, jit::Context& context, GuestAddr pc, GuestAddr& pa, GuestFault& fault) const;
  /// Whether a translation that begins at `pc` and goes on in the next page is of what is there now.
  bool still_there(Vcpu& vcpu, jit::Context& context, const jit::Extent& extent, GuestAddr pc) const;
  /// Whether the link may lead straight to the block: nothing can come between them.
  bool may_link(const jit::Context& context, const jit::Block& from, const jit::Block& to) const;
  /// Builds the unit that starts at the vCPU's pc. False: the fetch faults (`fault` says how).
  /// `insns`: what the unit was made from, for instrumented units, which breakpoints do not divide.
  bool build_unit(Vcpu& vcpu, jit::Context& context, unsigned max_insns, bool interpreting, ir::Unit& unit,
                  jit::Extent& extent, GuestFault& fault, std::vector<InstrInsn>* insns = nullptr);
  /// Stores into the pages of `extent` are noticed from here on. False: no more pages can be protected.
  bool protect(const jit::Extent& extent);
  /// Likewise; drops all translations if need be.
  void guard(const jit::Extent& extent);
  /// Records what was made from `extent`, which was guarded before it was made.
  void track(const jit::Extent& extent, jit::Context& context, jit::CodeKey key, bool jit_block, u32 number);
  void track_observed(const jit::Extent& extent, jit::Context& context, std::shared_ptr<InstrBlock> block);
  /// A block for the interpreter joins those of `context`.
  jit::IrBlock& keep(jit::Context& context, jit::CodeKey key, std::unique_ptr<jit::IrBlock> made);
  /// The block for the interpreter at `key`; null: there is none. One that is not what is there any more
  /// goes.
  jit::IrBlock* kept(Vcpu& vcpu, jit::Context& context, jit::CodeKey key);
  /// One visit to translated code. False: the run loop has to look.
  bool step_jit(Vcpu& vcpu, jit::Context& context);
  /// Up to `max` instructions in the interpreter. False: the run loop has to look.
  bool interpret(Vcpu& vcpu, jit::Context& context, u32 max);
  /// The translated block at `pc`, made if need be; Jit::kNone with the fault delivered or for the
  /// interpreter.
  u32 find_block(Vcpu& vcpu, jit::Context& context, GuestAddr pc);
  /// The code of the block at header().pc; null where find_block() has none.
  const u8* find_code(Vcpu& vcpu, jit::Context& context);
  /// Whether the instruction at header().pc has a breakpoint; no translation leads to it unseen.
  bool has_breakpoint(const Vcpu& vcpu) const;
  /// Whether to stop before the instruction at header().pc.
  bool at_breakpoint(Vcpu& vcpu);
  void deliver(Vcpu& vcpu, const GuestFault& fault);
  void code_written(GuestAddr pa, std::size_t size);
  bool runs_in(CoveredRange range) const;
  void table_written(GuestAddr pa, std::size_t size);
  /// What was derived from page tables for these addresses goes.
  void drop_derived(CoveredRange range);
  void direct_access_ends(GuestAddr pa, u64 size);
  void flush();
  void empty(jit::Context& context);
  /// Drops all translations; `emptied` has dropped its own already (or null).
  void drop_all(const jit::Jit* emptied);
  u64 random();

  Machine& machine_;
  ir::Interpreter interpreter_;
  ir::Builder::Buffers builder_buffers_;
  ir::Unit unit_;  // that is being translated
  std::unique_ptr<jit::Jit> jit_;
  std::map<std::pair<u64, unsigned>, std::unique_ptr<jit::Context>> contexts_;
  /// What was made from each page of guest physical memory.
  struct Made {
    jit::Context* context;
    jit::CodeKey key;
    u32 block;  // translated block, or kInterp
    jit::Extent extent;
    std::shared_ptr<InstrBlock> observed;  // instead of a translation: an instrumented block
  };
  static constexpr u32 kInterp = ~u32{0};
  std::map<GuestAddr, std::vector<Made>> pages_;
  std::map<std::pair<unsigned, u64>, std::unique_ptr<SoftTlb>>
      tlbs_;                                              // by vCPU and Architecture::data_space()
  std::vector<std::unique_ptr<jit::IrBlock>> graveyard_;  // may still be running
  u64 interp_bytes_ = 0;  // of the blocks that the interpreter keeps; bounded like the arena
  bool flush_requested_ = false;
  u64 flushes_ = 0;
  u64 chaos_ = 0;
  std::unique_ptr<Instrumented> instrumented_;
  Instrumented* observed_ = nullptr;  // the same, unless its observer pauses
};

}  // namespace hindcast
