// Executes a vCPU's instructions: translated code for the most part, the interpreter for the last
// instructions before an exact stop, for device accesses, and for whatever translated code hands back. All it
// holds is cache.
#pragma once
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/instrument.h"
#include "engine/ir/interp.h"
#include "engine/jit/code.h"
#include "engine/machine.h"

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
  Instrumented* instrumented() const { return instrumented_.get(); }
  /// One attempt without the observer.
  void run_unobserved(Vcpu& vcpu);

 private:
  friend class Instrumented;
  void run_slice(Vcpu& vcpu, u64 budget, Instrumented* instrumented);
  /// The context `value` of `vcpu`; vCPUs share those in which they are all alike.
  jit::Context& context_of(u64 value, unsigned vcpu);
  /// Whether the instruction at hand belongs to `context`. Not so behind a Builder::set_context() inside a
  /// unit: who leaves translated code there goes back to the run loop, which takes the instruction up in its
  /// own.
  bool is_current(const jit::Context& context, const Vcpu& vcpu) const;
  SoftTlb* tlb_of(jit::Context& context, unsigned vcpu) const;
  void describe(jit::Context& context, u64 value) const;
  /// Builds the unit that starts at the vCPU's pc. False: the fetch faults (`fault` says how).
  /// `insns`: what the unit was made from, for instrumented units, which breakpoints do not divide.
  bool build_unit(Vcpu& vcpu, jit::Context& context, unsigned max_insns, bool interpreting, ir::Unit& unit,
                  jit::Extent& extent, GuestFault& fault, std::vector<InstrInsn>* insns = nullptr);
  /// Stores into the pages of `extent` are noticed from here on. False: no more pages can be protected.
  bool protect(const jit::Extent& extent);
  /// Likewise; drops all translations if need be.
  void guard(const jit::Extent& extent);
  /// Records what was made from `extent`, which was guarded before it was made.
  void track(const jit::Extent& extent, jit::Context& context, GuestAddr pc, bool jit_block, u32 number);
  void track_observed(const jit::Extent& extent, jit::Context& context, std::shared_ptr<InstrBlock> block);
  /// A block for the interpreter joins those of `context`.
  jit::IrBlock& keep(jit::Context& context, GuestAddr pc, std::unique_ptr<jit::IrBlock> made);
  /// One visit to translated code. False: the run loop has to look.
  bool step_jit(Vcpu& vcpu, jit::Context& context);
  /// Up to `max` instructions in the interpreter. False: the run loop has to look.
  bool interpret(Vcpu& vcpu, jit::Context& context, u32 max);
  /// The translated block at `pc`, made if need be; Jit::kNone with the fault delivered or for the
  /// interpreter.
  u32 find_block(Vcpu& vcpu, jit::Context& context, GuestAddr pc);
  /// Whether the instruction at header().pc has a breakpoint; no translation leads to it unseen.
  bool has_breakpoint(const Vcpu& vcpu) const;
  /// Whether to stop before the instruction at header().pc.
  bool at_breakpoint(Vcpu& vcpu);
  void deliver(Vcpu& vcpu, const GuestFault& fault);
  void code_written(GuestAddr pa, std::size_t size);
  void flush();
  void empty(jit::Context& context);
  /// Drops all translations; `emptied` has dropped its own already (or null).
  void drop_all(const jit::Jit* emptied);
  u64 random();

  Machine& machine_;
  ir::Interpreter interpreter_;
  std::unique_ptr<jit::Jit> jit_;
  std::map<std::pair<u64, unsigned>, std::unique_ptr<jit::Context>> contexts_;
  /// What was made from each page of guest physical memory.
  struct Made {
    jit::Context* context;
    GuestAddr pc;
    u32 block;  // translated block, or kInterp
    jit::Extent extent;
    std::shared_ptr<InstrBlock> observed;  // instead of a translation: an instrumented block
  };
  static constexpr u32 kInterp = ~u32{0};
  std::map<GuestAddr, std::vector<Made>> pages_;
  std::vector<std::unique_ptr<jit::IrBlock>> graveyard_;  // may still be running
  u64 interp_bytes_ = 0;  // of the blocks that the interpreter keeps; bounded like the arena
  bool flush_requested_ = false;
  u64 flushes_ = 0;
  u64 chaos_ = 0;
  std::unique_ptr<Instrumented> instrumented_;
};

}  // namespace hindcast
