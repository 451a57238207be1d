// What emit functions work with: one instruction being translated.
#pragma once
#include "engine/ir/builder.h"
#include "targets/arm/arm.h"
#include "targets/arm/helpers.h"

namespace hindcast::arm {

using ir::MemAttr;
using ir::Op;
using ir::Type;
using ir::Value;

/// A shifted value and what the carry becomes: bit 31 of `carry`; kNoValue: unchanged.
struct Shifted {
  Value value = ir::kNoValue;
  Value carry = ir::kNoValue;
};
enum class Shift : u8 { Lsl, Lsr, Asr, Ror };

class Emitter {
 public:
  Emitter(ir::Builder& builder, const ArmArch& arm, const Operands& operands, GuestAddr address_of_insn,
          unsigned length)
      : b(builder),
        arch(arm),
        o(operands),
        pc(static_cast<u32>(address_of_insn)),
        next(static_cast<u32>(address_of_insn + length)),
        it(builder.context() & context::kIt) {}

  ir::Builder& b;
  const ArmArch& arch;
  const Operands& o;
  const u32 pc;
  const u32 next;
  const u64 it;        // ITSTATE of this instruction
  bool ended = false;  // control has been transferred: nothing may follow
  /// Set while an instruction without other effects is made conditional: what it writes stays if this is
  /// false.
  Value predicate = ir::kNoValue;

  bool in_it() const { return it != 0; }
  u64 context() const { return b.context(); }

  // Registers.
  Value r(unsigned n) { return n == kPc ? b.i32(pc + 4) : b.get(arch.r_row(n)); }
  Value rd() { return r(o.d); }
  Value rn() { return r(o.n); }
  Value rm() { return r(o.m); }
  Value rt() { return r(o.t); }
  Value ra() { return r(o.a); }
  Value imm() { return b.i32(o.imm); }
  /// Writes a register; the stack pointer's two low bits stay 0, a write of the pc is a branch.
  void set_r(unsigned n, Value v);
  void set_rd(Value v) { set_r(o.d, v); }
  /// Likewise for instructions whose result, where it is a new stack pointer, is held to its limit.
  void set_rd_checked(Value v) {
    if (o.d == kSp) check_stack(v);
    set_rd(v);
  }
  /// Raises if `sp`, which is about to be the stack pointer, is below its limit (Armv8-M).
  void check_stack(Value sp);
  /// For values whose two low bits are known to be 0.
  void set_aligned(unsigned n, Value v);
  /// The pc as literals and ADR see it.
  u32 aligned_pc() const { return (pc + 4) & ~u32{3}; }
  Value wide(Value v) { return b.type(v) == Type::I64 ? v : b.zext(Type::I64, v); }

  // Condition flags (flags.h).
  Value carry();  // I1
  Value condition(unsigned cond);
  void set_nz(Value result);
  /// Of x - y = result.
  void set_sub_flags(Value x, Value y, Value result);
  /// Of a + b = result.
  void set_add_flags(Value a, Value b, Value result);
  /// C becomes bit 31 of `sign`; V stays.
  void set_carry(Value sign);
  void set_carry_unless_absent(Value sign) {
    if (sign != ir::kNoValue) set_carry(sign);
  }
  /// Returns a + b + carry.
  Value add_with_carry(Value a, Value b, bool set_flags);
  void set_q_if(Value condition);
  void set_nzcv(Value flags);  // from bits 31 to 28

  // Shifts. An immediate amount is as decoded (LSR and ASR: 1 to 32); ROR by 0 is RRX.
  Shifted shift_imm(Shift type, Value v, unsigned amount);
  /// By the low eight bits of a register.
  Shifted shift_reg(Shift type, Value v, Value amount, bool want_carry);

  // Memory. `aligned`: the address is known to be a multiple of the width.
  Value load(Type type, Value address, i32 offset = 0, bool aligned = false);
  void store(Type type, Value address, Value value, i32 offset = 0, bool aligned = false);
  MemAttr always_aligned(i32 offset = 0) const;

  // Ends.
  void branch(u32 target);
  void branch_write_pc(Value target);  // no change of state
  void exchange(Value target);         // bit 0 says Thumb
  void bx_write_pc(Value target);      // likewise; in handlers EXC_RETURN values return
  void dispatch_next();
  /// Calls `helper`, which always raises.
  void raise(u32 helper, Value a = ir::kNoValue);
  void undefined() { raise(helpers().undefined, b.i64(o.bits)); }

  /// Must precede whatever ends the instruction's block: ITSTATE advances.
  void leave_insn();

 private:
  Value overflow_sign();  // bit 31 is V
};

}  // namespace hindcast::arm
