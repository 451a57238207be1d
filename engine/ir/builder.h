// What an architecture's translator writes IR with. Folds constants and forwards register values while
// emitting, so that a translator can be written plainly: what it need not have emitted is not in the unit.
// Misuse (operands of different types, an op after the block's end) throws Fatal with the guest pc; it is an
// error in the translator.
#pragma once
#include <array>
#include <memory>
#include <unordered_map>

#include "engine/ir/ir.h"

namespace hindcast {
class Architecture;
}

namespace hindcast::ir {

class Builder {
 public:
  /// The entry block, number 0, has begun. The engine tells the builder which guest pcs are IR blocks of this
  /// unit (declare_pc_block), so that goto_pc() and branch_pc() become jumps inside the unit; all other pcs
  /// become exits.
  /// `buffers`: of builders that are made one after the other; null: its own.
  struct Buffers;
  Builder(const Architecture& arch, GuestAddr pc, u64 context, Buffers* buffers = nullptr);
  ~Builder();
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  // ---- for translators ----
  /// The context that the instruction at hand is translated for.
  u64 context() const { return context_; }
  /// The instructions that follow in this unit run in another context, known now (IT state, delay slots). The
  /// state that Architecture::context() looks at must be set accordingly, and memory mode, rounding and
  /// floating-point rules be the same. Exits while the context is not the unit's, also those in the middle of
  /// an instruction, go through the run loop, which looks at the context again; the translator returns to the
  /// unit's as soon as it can.
  void set_context(u64 context) { context_ = context; }
  const Architecture& arch() const { return arch_; }

  Value konst(Type type, u64 value);
  Value i32(u64 v) { return konst(Type::I32, v); }
  Value i64(u64 v) { return konst(Type::I64, v); }

  /// `reg` is an index into arch().registers(). Reading the pc register gives the current instruction's pc;
  /// it is never set, the exits do that.
  Value get(unsigned reg);              // type: the register's
  void set(unsigned reg, Value value);  // ignored for a register whose row says it is wired to zero

  Value unary(Op op, Value a);            // Clz, Ctz, Popcnt, Bswap, NanBox, NanUnbox
  Value binary(Op op, Value a, Value b);  // both of one integer type; I1: And, Or, Xor only
  Value add(Value a, Value b) { return binary(Op::Add, a, b); }
  Value sub(Value a, Value b) { return binary(Op::Sub, a, b); }
  Value band(Value a, Value b) { return binary(Op::And, a, b); }
  Value bor(Value a, Value b) { return binary(Op::Or, a, b); }
  Value bxor(Value a, Value b) { return binary(Op::Xor, a, b); }
  Value bnot(Value a) { return binary(Op::Xor, a, konst(type(a), ~u64{0})); }
  Value compare(Op op, Value a, Value b);  // integers; I1
  Value select(Value cond, Value a, Value b);
  Value trunc(Type to, Value a);  // same type: a itself, here and below
  Value zext(Type to, Value a);   // also from I1
  Value sext(Type to, Value a);   // also from I1
  Value bitcast(Type to, Value a);

  /// `type` is the access type (I8..I64, F32, F64).
  Value load(Type type, Value address, MemAttr attr = {});
  void store(Value address, Value value, MemAttr attr = {});

  /// `type` is Inst::type: the result's, for FCmp* the operands'. Round::Dynamic becomes the context's mode.
  Value fp(Op op, Type type, Round round, Value a, Value b = kNoValue, Value c = kNoValue, u8 flags = 0);
  Value fp_get_flags();
  void fp_set_flags(Value v);

  /// Helpers are registered once (helpers.h); operands and result are I64 (result may be ignored).
  Value call_pure(u32 helper, Value a = kNoValue, Value b = kNoValue, Value c = kNoValue);
  Value call(u32 helper, Value a = kNoValue, Value b = kNoValue, Value c = kNoValue);

  /// Each of these ends the guest basic block; the translator then returns.
  void goto_pc(GuestAddr pc);
  void branch_pc(Value cond, GuestAddr taken, GuestAddr not_taken);
  void jump_indirect(Value pc);
  /// Context or interrupt state may have changed: back to the run loop.
  void exit_dispatch(Value pc);
  /// Leaves this instruction to the interpreter, which calls translate_insn again with `interpreting()` true.
  void exit_interp(GuestAddr pc);
  bool interpreting() const { return interpreting_; }

  /// Control flow inside one guest instruction (conditional execution, restartable loops).
  u32 new_block();
  void jump(u32 block);
  void branch(Value cond, u32 if_true, u32 if_false);
  void begin_block(u32 block);  // subsequent ops go there

  Type type(Value v) const { return result_type(unit_.insts[v]); }
  /// The constant's value if `v` is a constant.
  bool is_const(Value v, u64* value = nullptr) const;

  // ---- for the engine ----
  void set_interpreting(bool on) { interpreting_ = on; }
  /// Somebody looks at registers between instructions: every setting of one stays.
  void keep_settings() { keep_settings_ = true; }
  /// Declares that guest pc `pc` begins an IR block of this unit; returns its number (until take()
  /// renumbers). The unit's own pc is block 0. One that is declared but never begun becomes an exit to its
  /// pc.
  u32 declare_pc_block(GuestAddr pc);
  /// Ops go to the block of `pc` from here on; if the block before it has not ended it runs on into this one.
  void begin_pc_block(GuestAddr pc);
  void insn_start(GuestAddr pc, unsigned length);
  void set_insn_length(unsigned length);  // of the InsnStart last emitted
  /// Takes back the InsnStart last emitted, after which nothing was emitted: the instruction is not in this
  /// unit.
  void drop_insn_start();
  bool ended() const { return ended_; }  // the current IR block has its End op
  /// The unit: unreachable blocks and unused values dropped, blocks contiguous and in the order in which they
  /// were begun (a value's definition thus precedes its uses), exits after them. The builder is spent.
  Unit take();
  void take(Unit& out);

 private:
  /// Blocks are begun once and filled one after the other, so the ops of each are contiguous in
  /// `unit_.insts`.
  struct PendingBlock {
    u32 first = 0, count = 0;
    bool begun = false;
    bool has_pc = false;  // if it is never begun it becomes an exit to `pc`
    GuestAddr pc = 0;
  };
  struct Known {
    Value value = kNoValue;
    u32 epoch = 0;  // counts only while equal to epoch_
  };

  using Flags = std::vector<u8>;  // by value or block

  Value emit(const Inst& inst);       // appends
  Value emit_pure(const Inst& inst);  // appends, or finds the same op in this block
  void end(const Inst& inst);
  u32 add_block(bool has_pc, GuestAddr pc);
  u32 target(GuestAddr pc);  // the block of this unit at `pc`, or a new exit to it
  void forget();

  const Inst& at(Value v) const { return unit_.insts[v]; }
  bool is_const_value(Value v, u64 wanted) const;
  Value simplify_binary(Op op, Type type, Value a, Value b);
  Value simplify_constant_right(Op op, Type type, Value a, u64 b);
  Value simplify_compare(Op op, Type type, Value a, Value b);
  Value invert(Value condition);  // the opposite condition if that costs nothing, else kNoValue
  void fold_address(Value& address, MemAttr& attr);
  void require(bool ok, const char* what, Op op) const;
  void require_integer(Op op, Value v) const;
  unsigned checked_register(unsigned reg, Op op) const;

  // Into buffers_.
  void find_live_ops();
  void find_overwritten_sets();
  void find_reachable_blocks();  // entry first, in the order in which they were begun; exits last

  const Architecture& arch_;
  Unit unit_;
  u64 context_;
  bool ended_ = false;
  bool interpreting_ = false, keep_settings_ = false;
  u32 current_ = 0;
  u32 last_insn_start_ = kNoValue;
  std::unique_ptr<Buffers> own_;
  Buffers& buffers_;
  std::vector<PendingBlock>& blocks_;
  std::vector<u32>& begun_;  // block numbers in the order of begin_block()
  std::unordered_map<GuestAddr, u32> pc_blocks_;
  std::vector<Known>& known_;      // by register: the value it holds, within this IR block
  std::array<Value, 256> recent_;  // by hash: a pure op that may be used again
};

struct Builder::Buffers {
  std::vector<Inst> insts;
  std::vector<PendingBlock> blocks;
  std::vector<u32> begun;
  std::vector<Known> known;
  u32 epoch = 0;
  // What take() needs.
  std::vector<u32> order, exits, work, new_number;
  Flags seen, live, dead, set_later, boundary_exits;
  std::vector<Value> new_value;
};

}  // namespace hindcast::ir
