// Execution under an observer: the same loop as the executor's plain one, over instrumented blocks. All it
// holds is cache, but for the cursors, which say where in its block each vCPU was stopped.
#pragma once
#include <csetjmp>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/instr_plan.h"
#include "engine/ir/interp.h"
#include "engine/jit/jit.h"

namespace hindcast {

class Executor;

class Instrumented {
 public:
  Instrumented(Machine& machine, Executor& executor, Instrumentation& observer);
  ~Instrumented();

  /// The vCPU runs from here until the run loop looks again.
  void begin(Vcpu& vcpu);
  /// One turn of the executor's loop for it, in translated code or not. False: the run loop has to look.
  bool step(Vcpu& vcpu, bool use_jit);
  /// The vCPU did not go on where it was.
  void discontinuity(Vcpu& vcpu, Discontinuity kind, GuestAddr from);
  Instrumentation& observer() const { return observer_; }
  /// The guest has called the host from inside an instruction.
  void host_call(Vcpu& vcpu, GuestAddr next_pc);
  /// After a pause, in which the machine went on without being observed: no vCPU is inside a block any more.
  void resume();
  /// All translations go; the operations that hang on blocks stay.
  void flush();
  /// What was derived from page tables goes.
  void drop_derived(CoveredRange range);
  void clear_code(const jit::Jit* emptied);
  /// After the block that is running, all blocks and what hangs on them are dropped.
  void request_forget(const Vcpu& vcpu);
  /// Likewise while nothing runs; these operations are dropped at once.
  void forget_operations(const void* owner, const Vcpu& vcpu);
  /// Bytes from which translations were made have changed.
  void code_changed();

  /// Inside a callback: header().pc and budget become exact (elsewhere they are).
  void settle(Vcpu& vcpu) const;
  /// From an operation's callback: goes back to the run loop without returning. The instruction at hand has
  /// then not begun, but for what an access callback interrupts: of that the access has been made.
  [[noreturn]] void leave_callback();
  u64 accessed_value(const Vcpu& vcpu) const { return frame(vcpu).value; }

 private:
  using Blocks = std::unordered_map<jit::CodeKey, std::shared_ptr<InstrBlock>, jit::CodeKeyHash>;
  struct Context {
    jit::Context jit;
    Blocks* blocks = nullptr;
  };
  struct Fresh {
    ir::Unit unit;
    jit::Extent extent;
  };

  Context& context_of(Vcpu& vcpu);
  InstrFrame& frame(const Vcpu& vcpu) const;
  /// The block at the vCPU's pc, known to be what is in memory; the observer has seen it. Null: the fetch
  /// faults. `fresh`, if it was built now.
  std::shared_ptr<InstrBlock> block_at(Vcpu& vcpu, Context& context, jit::CodeKey key, GuestFault& fault,
                                       std::unique_ptr<Fresh>* fresh);
  u32 find_block(Vcpu& vcpu, Context& context, GuestAddr pc);
  bool step_jit(Vcpu& vcpu, Context& context);
  bool leave_jit(Vcpu& vcpu, Context& context, jit::Exit exit);
  bool interpret(Vcpu& vcpu, Context& context, u32 max);
  bool interpret_unit(Vcpu& vcpu, jit::IrBlock& made, u32 count);
  /// How many of the unit's first `count` instructions are what the cursor's block has.
  u32 matching(const InstrCursor& cursor, const jit::IrBlock& made, u32 count) const;
  static bool crosses(const Context& context, const InstrBlock& block);
  bool can_translate(const InstrBlock& block) const;
  void make_jit(jit::Variant variant);
  void choose_variant(const InstrPlan& plan);
  InstrPlan plan(const InstrBlock& block, const ir::Unit& unit, const Vcpu& vcpu);
  void forget();
  template <typename Fn>
  bool guarded(Vcpu& vcpu, bool in_jit, Fn fn);
  void after_leaving(Vcpu& vcpu);

  Machine& machine_;
  Executor& executor_;
  Instrumentation& observer_;
  InstrPlanner planner_;
  ir::Interpreter interpreter_;
  LowMemory frames_;
  std::unique_ptr<jit::Jit> jit_;
  std::map<std::pair<u64, unsigned>, std::unique_ptr<Context>> contexts_;  // always by vCPU
  std::map<std::pair<u64, unsigned>, Blocks> blocks_;                      // as Executor::owner_of() has it
  std::vector<InstrCursor> cursors_;
  Context* running_ = nullptr;
  std::jmp_buf* leave_ = nullptr;
  bool in_jit_ = false;
  bool forget_requested_ = false;
};

}  // namespace hindcast
