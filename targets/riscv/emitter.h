// What emit functions work with: one instruction being translated.
#pragma once
#include "engine/ir/builder.h"
#include "targets/riscv/helpers.h"
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

using ir::MemAttr;
using ir::Op;
using ir::Round;
using ir::Type;
using ir::Value;

class Emitter {
 public:
  Emitter(ir::Builder& builder, const RiscvArch& riscv, const Operands& operands, GuestAddr address_of_insn,
          unsigned length)
      : b(builder),
        arch(riscv),
        o(operands),
        pc(address_of_insn),
        next(riscv.truncate(pc + length)),
        xt(riscv.xtype()) {}

  ir::Builder& b;
  const RiscvArch& arch;
  const Operands& o;
  const GuestAddr pc;
  const GuestAddr next;
  const Type xt;          // I32 or I64: the type of x registers
  bool ended = false;     // control has been transferred: nothing may follow
  bool fs_dirty = false;  // floating-point state may have changed

  // Integer registers.
  Value x(unsigned n) { return b.get(arch.x_row(n)); }
  Value rs1() { return x(o.rs1); }
  Value rs2() { return x(o.rs2); }
  Value imm() { return b.konst(xt, static_cast<u64>(o.imm)); }
  void set_rd(Value v) { b.set(arch.x_row(o.rd), v); }
  /// The low bits of a register; the same value if it is no wider.
  Value low(Type to, Value v) { return b.type(v) == to ? v : b.trunc(to, v); }
  /// `v`, no wider than XLEN, extended to XLEN.
  Value sext(Value v) { return b.type(v) == xt ? v : b.sext(xt, v); }
  Value zext(Value v) { return b.type(v) == xt ? v : b.zext(xt, v); }
  /// For helper operands and exits, which are 64 bits wide.
  Value wide(Value v) { return b.type(v) == Type::I64 ? v : b.zext(Type::I64, v); }
  /// rs1 + immediate.
  Value address() { return b.add(rs1(), imm()); }

  // Floating-point registers (insns_fd.cpp, insns_zfh.cpp).
  Value f64(unsigned n) { return b.get(arch.f_row(n)); }
  Value f32(unsigned n) { return b.unary(Op::NanUnbox, f64(n)); }
  Value fbits(unsigned n) { return b.bitcast(Type::I64, f64(n)); }
  void set_f64(Value v) {
    b.set(arch.f_row(o.rd), v);
    fs_dirty = true;
  }
  void set_f32(Value v) { set_f64(b.unary(Op::NanBox, v)); }
  void set_fbits(Value v) { set_f64(b.bitcast(Type::F64, v)); }

  // Ends.
  void jump(GuestAddr target);
  void jump(Value target);
  void branch(Value condition, GuestAddr target);
  void dispatch(Value target) {
    b.exit_dispatch(wide(target));
    ended = true;
  }
  void dispatch_next() { dispatch(b.i64(next)); }
  /// The block ends, and the run loop looks only if a helper has asked for it.
  void jump_next() {
    b.goto_pc(next);
    ended = true;
  }
  /// Raises illegal-instruction.
  void illegal();
  /// Calls `helper`, which always raises.
  void raise(u32 helper, Value a);

 private:
  bool misaligned(GuestAddr target) const { return (target & (arch.insn_alignment() - 1)) != 0; }
};

}  // namespace hindcast::riscv
