// Emit functions of the single- and double-precision instructions that other chapters share.
#pragma once
#include "targets/riscv/emit_int.h"

namespace hindcast::riscv {

inline void load_single(Emitter& e) { e.set_f32(e.b.load(Type::F32, e.rs1(), at_offset(e))); }
inline void load_double(Emitter& e) { e.set_f64(e.b.load(Type::F64, e.rs1(), at_offset(e))); }
/// Stores and moves take the low bits as they are, boxed or not.
inline void store_single(Emitter& e) { e.b.store(e.rs1(), e.low(Type::I32, e.fbits(e.o.rs2)), at_offset(e)); }
inline void store_double(Emitter& e) { e.b.store(e.rs1(), e.f64(e.o.rs2), at_offset(e)); }

/// The rounding mode of the rm field. False: reserved, and the instruction has become illegal.
bool rounding_mode(Emitter& e, Round* round);

/// fsgnj, fsgnjn, fsgnjx on bit patterns of a type whose sign is the top bit.
enum class Sign { Copy, Negate, Xor };
Value inject_sign(Emitter& e, Sign how, Value a, Value b);

}  // namespace hindcast::riscv
