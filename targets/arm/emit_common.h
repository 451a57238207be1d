// Emit functions that several chapters share. 16-bit encodings decode into the same operands as wide ones.
#pragma once
#include "targets/arm/emitter.h"

namespace hindcast::arm {

inline void nop(Emitter&) {}
inline void undefined(Emitter& e) { e.undefined(); }

// Branches and system (insns_control.cpp).
void branch(Emitter& e);
void branch_cond(Emitter& e);
void bx(Emitter& e);
void blx(Emitter& e);
void it(Emitter& e);
void svc(Emitter& e);
void bkpt(Emitter& e);
void cps(Emitter& e);
void wfe(Emitter& e);
void wfi(Emitter& e);
void sev(Emitter& e);

// Reversals (insns_data.cpp).
void reverse_bytes(Emitter& e);
void reverse_bytes_in_halves(Emitter& e);
void reverse_bytes_signed_half(Emitter& e);

// Multiple loads and stores (insns_multiple.cpp), of the registers in `list`, ascending from `offset` behind
// the base register.
void store_multiple(Emitter& e, unsigned base, u32 list, i32 offset);
/// `writeback`: what is added to the base register afterwards, if it is not loaded itself; 0: nothing.
void load_multiple(Emitter& e, unsigned base, u32 list, i32 offset, i32 writeback);

/// Before a transfer that moves the stack pointer by `bytes`: the lower of its two values must be within the
/// limit.
inline void check_stack_move(Emitter& e, i32 bytes) {
  e.check_stack(bytes < 0 ? e.b.add(e.r(kSp), e.b.i32(static_cast<u32>(bytes))) : e.r(kSp));
}

inline Value extended(Emitter& e, Value v, bool is_signed) {
  if (e.b.type(v) == Type::I32) return v;
  return is_signed ? e.b.sext(Type::I32, v) : e.b.zext(Type::I32, v);
}

/// Rt = the value at the address; a loaded pc is a branch.
template <Type type, bool is_signed>
void load_to_rt(Emitter& e, Value address, bool aligned = false) {
  const Value v = extended(e, e.load(type, address, 0, aligned), is_signed);
  if (e.o.t == kPc) {
    e.bx_write_pc(v);
  } else {
    e.set_r(e.o.t, v);
  }
}

}  // namespace hindcast::arm
