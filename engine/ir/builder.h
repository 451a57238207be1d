// What an architecture's translator writes IR with. Folds constants and forwards register values while emitting, so
// that a translator can be written plainly.
#pragma once
#include <unordered_map>

#include "engine/ir/ir.h"

namespace hindcast {
class Architecture;
}

namespace hindcast::ir {

class Builder {
 public:
  /// `block_of(pc)`-style lookups are the engine's: it tells the builder which guest pcs are IR blocks of this unit,
  /// so that goto_pc() and branch_pc() become jumps inside the unit; all other pcs become exits.
  Builder(const Architecture& arch, GuestAddr pc, u64 context);

  // ---- for translators -------------------------------------------------------------------------------------
  u64 context() const { return unit_.context; }
  const Architecture& arch() const { return arch_; }

  Value konst(Type type, u64 value);
  Value i32(u64 v) { return konst(Type::I32, v); }
  Value i64(u64 v) { return konst(Type::I64, v); }

  Value get(unsigned reg);               // type: the register's
  void set(unsigned reg, Value value);   // ignored for a register whose row says it is wired to zero

  Value unary(Op op, Value a);
  Value binary(Op op, Value a, Value b);
  Value add(Value a, Value b) { return binary(Op::Add, a, b); }
  Value sub(Value a, Value b) { return binary(Op::Sub, a, b); }
  Value band(Value a, Value b) { return binary(Op::And, a, b); }
  Value bor(Value a, Value b) { return binary(Op::Or, a, b); }
  Value bxor(Value a, Value b) { return binary(Op::Xor, a, b); }
  Value bnot(Value a) { return binary(Op::Xor, a, konst(type(a), ~u64{0})); }
  Value compare(Op op, Value a, Value b);  // I1
  Value select(Value cond, Value a, Value b);
  Value trunc(Type to, Value a);
  Value zext(Type to, Value a);  // also from I1; same type: a itself
  Value sext(Type to, Value a);
  Value bitcast(Type to, Value a);

  /// `type` is the access type (I8..I64, F32, F64).
  Value load(Type type, Value address, MemAttr attr = {});
  void store(Value address, Value value, MemAttr attr = {});

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

  // ---- for the engine --------------------------------------------------------------------------------------
  void set_interpreting(bool on) { interpreting_ = on; }
  /// Declares that guest pc `pc` begins an IR block of this unit; returns its number.
  u32 declare_pc_block(GuestAddr pc);
  void begin_pc_block(GuestAddr pc);
  void insn_start(GuestAddr pc, unsigned length);
  void set_insn_length(unsigned length);  // of the InsnStart last emitted
  bool ended() const { return ended_; }   // the current IR block has its End op
  Unit take();

 private:
  Value emit(Inst inst);
  Value fold(Op op, Type type, u64 a, u64 b, bool* folded) const;
  void end(Inst inst);
  void forget();  // at a block start nothing is known of registers

  const Architecture& arch_;
  Unit unit_;
  bool ended_ = false;
  bool interpreting_ = false;
  u32 current_ = 0;
  u32 last_insn_start_ = 0;
  std::vector<std::vector<Inst>> pending_;  // unused once blocks are laid out
  std::unordered_map<GuestAddr, u32> pc_blocks_;
  std::unordered_map<unsigned, Value> known_;  // register -> value it holds, within this IR block
};

}  // namespace hindcast::ir
