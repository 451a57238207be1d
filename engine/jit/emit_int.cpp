// Integer operations.
#include "engine/jit/emitter.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

namespace {

x86::Inst::Id alu_id(Op op) {
  switch (op) {
    case Op::Add: return x86::Inst::kIdAdd;
    case Op::Sub: return x86::Inst::kIdSub;
    case Op::And: return x86::Inst::kIdAnd;
    case Op::Or: return x86::Inst::kIdOr;
    case Op::Xor: return x86::Inst::kIdXor;
    default: return x86::Inst::kIdImul;
  }
}
bool commutes(Op op) { return op != Op::Sub; }

}  // namespace

bool Emitter::emit_integer(Value v) {
  const ir::Inst& i = inst(v);
  const bool word = i.type == Type::I32 || i.type == Type::I64;
  switch (i.op) {
    case Op::Add:
    case Op::Sub:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::Mul:
      // Logic on I1 keeps to bit 0; on I8 and I16 everything stays right in the low bits.
      if (i.type == Type::I1 && (i.op == Op::Add || i.op == Op::Sub || i.op == Op::Mul)) return false;
      emit_binary(v);
      return true;
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Rotl:
    case Op::Rotr:
      if (!word) return false;
      emit_shift(v);
      return true;
    case Op::MulHiS:
    case Op::MulHiU:
    case Op::MulHiSU:
      if (!word) return false;
      emit_mul_high(v);
      return true;
    case Op::DivS:
    case Op::DivU:
    case Op::RemS:
    case Op::RemU:
      if (!word) return false;
      emit_divide(v);
      return true;
    case Op::Clz:
    case Op::Ctz:
    case Op::Popcnt:
    case Op::Bswap:
      if (!word) return false;
      emit_bits(v);
      return !failed_;
    case Op::Trunc:
    case Op::ZExt:
    case Op::SExt: emit_extend(v); return true;
    case Op::CmpEq:
    case Op::CmpNe:
    case Op::CmpLtS:
    case Op::CmpLtU:
    case Op::CmpGeS:
    case Op::CmpGeU:
      if (!word) return false;
      emit_compare_value(v);
      return true;
    case Op::Select:
      if (ir::is_float(i.type) || i.type == Type::I1) return false;
      emit_select(v);
      return true;
    case Op::Bitcast: emit_bitcast(v); return true;
    case Op::NanBox:
    case Op::NanUnbox: emit_box(v); return true;
    case Op::FpGetFlags:
    case Op::FpSetFlags: return emit_float(v);
    case Op::CallPure: emit_call(v); return !failed_;
    default: return false;
  }
}

void Emitter::emit_set_reg(Value v) {
  const ir::Inst& i = inst(v);
  const unsigned row = static_cast<unsigned>(i.imm);
  const Value arg = i.args[0];
  const Type t = i.type;
  const i8 g = env_.homes.gpr[row], x = env_.homes.xmm[row];
  if (locs_[arg].home == static_cast<i16>(row)) {
    // Already there: computed in place, or unchanged.
    consume(arg);
    return;
  }
  if (x >= 0) {
    u8 from = use_f(arg);
    consume(arg);
    save_aliases(row, ir::kNoValue);
    a_.vmovapd(x86::xmm(x), x86::xmm(from));
  } else if (g >= 0) {
    if (is_const(arg)) {
      consume(arg);
      save_aliases(row, ir::kNoValue);
      mov_imm(static_cast<u8>(g), const_of(arg));
    } else {
      Operand from = use_rm(arg);
      consume(arg);
      save_aliases(row, ir::kNoValue);
      a_.emit(x86::Inst::kIdMov, gp(static_cast<u8>(g), t), from);
    }
  } else if (ir::is_float(t)) {
    u8 from = use_f(arg);
    consume(arg);
    save_aliases(row, ir::kNoValue);
    a_.vmovsd(home_mem(row, 8), x86::xmm(from));
  } else if (is_const(arg) && fits_i32(const_of(arg), t) && ir::bits_of(t) >= 32) {
    consume(arg);
    save_aliases(row, ir::kNoValue);
    a_.mov(home_mem(row, wide(t) ? 8 : 4), imm_of(const_of(arg)));
  } else {
    u8 from = use(arg);
    if (uses_[arg] == 1)
      consume(arg), lock(from);
    else
      consume(arg);
    save_aliases(row, arg);
    switch (ir::bits_of(t)) {
      case 64: a_.mov(home_mem(row, 8), x86::gpq(from)); break;
      case 32: a_.mov(home_mem(row, 4), x86::gpd(from)); break;
      case 16: a_.mov(home_mem(row, 2), x86::gpw(from)); break;
      default: a_.mov(home_mem(row, 1), x86::gpb_lo(from)); break;
    }
  }
  // The home holds the value too, from now on (narrow slots excepted: reading them back as words would be
  // wrong).
  if (!is_const(arg) && ir::bits_of(t) >= 32) {
    if (Loc& l = locs_[arg]; l.home < 0) {
      l.home = static_cast<i16>(row);
      add_alias(l.home, arg);
    }
  }
}

bool Emitter::fused_complement(Value flip, Value user) const {
  const ir::Inst &f = inst(flip), &u = inst(user);
  return env_.host.bmi1 && f.op == Op::Xor && u.op == Op::And && ir::bits_of(u.type) >= 32 &&
         flip + 1 == user && (u.args[0] == flip) != (u.args[1] == flip) && uses_[flip] == 1 &&
         !crosses_[flip] && home_block_[flip] == home_block_[user] && !is_const(f.args[0]) &&
         is_const(f.args[1]) && const_of(f.args[1]) == (wide(f.type) ? ~u64{0} : u64{0xffffffff});
}

void Emitter::emit_and_not(Value v, Value flip) {
  const ir::Inst& i = inst(v);
  const Value other = i.args[0] == flip ? i.args[1] : i.args[0], flipped = inst(flip).args[0];
  const u8 r = use(flipped);
  const Operand from = is_const(other) ? Operand(gp(use(other), i.type)) : use_rm(other);
  consume(flipped);
  consume(other);
  uses_[flip] = 0;
  const u8 d = dest(v);
  a_.emit(x86::Inst::kIdAndn, gp(d, i.type), gp(r, i.type), from);
  define(v, d);
}

void Emitter::emit_binary(Value v) {
  const ir::Inst& i = inst(v);
  const Op op = i.op;
  const Type t = wide(i.type) ? Type::I64 : Type::I32;
  Value a = i.args[0], b = i.args[1];
  if (v + 1 < unit_->insts.size() && fused_complement(v, v + 1)) return;
  for (const Value arg : {a, b})
    if (arg + 1 == v && fused_complement(arg, v)) return emit_and_not(v, arg);
  if (is_const(a) && commutes(op)) std::swap(a, b);
  const bool imm_b = is_const(b) && fits_i32(const_of(b), t);

  if (op == Op::Mul && imm_b) {
    Operand from = use_rm(a);
    consume_args(i);
    u8 d = dest(v);
    a_.emit(x86::Inst::kIdImul, gp(d, t), from, imm_of(const_of(b)));
    define(v, d);
    return;
  }
  if (imm_b) {
    const i32 k = static_cast<i32>(static_cast<u32>(const_of(b)));
    u8 ra = use(a);
    consume_args(i);
    const bool reuse = !is_pinned(ra) && uses_[a] == 0;
    u8 d;
    if (hint_[v] >= 0 && env_.homes.gpr[hint_[v]] >= 0)
      d = dest(v);
    else if (reuse)
      d = ra;
    else
      d = alloc_gpr();
    if (d != ra && (op == Op::Add || (op == Op::Sub && k != INT32_MIN))) {
      a_.lea(gp(d, t), x86::ptr(x86::gpq(ra), op == Op::Add ? k : -k));
    } else {
      mov(d, ra, t);
      a_.emit(alu_id(op), gp(d, t), Imm(k));
    }
    define(v, d);
    return;
  }

  u8 ra = use(a);
  Operand ob = use_rm(b);
  consume_args(i);
  u8 d;
  if (hint_[v] >= 0 && env_.homes.gpr[hint_[v]] >= 0)
    d = dest(v);
  else if (!is_pinned(ra) && uses_[a] == 0)
    d = ra;
  else
    d = alloc_gpr();
  const bool b_is_d = ob.isReg() && ob.as<x86::Reg>().id() == d;
  if (d == ra) {
    a_.emit(alu_id(op), gp(d, t), ob);
  } else if (b_is_d && commutes(op)) {
    a_.emit(alu_id(op), gp(d, t), gp(ra, t));
  } else if (b_is_d) {  // d = a - d
    a_.neg(gp(d, t));
    a_.add(gp(d, t), gp(ra, t));
  } else if (op == Op::Add && ob.isReg()) {
    a_.lea(gp(d, t), x86::ptr(x86::gpq(ra), x86::gpq(static_cast<u32>(ob.as<x86::Reg>().id()))));
  } else {
    mov(d, ra, t);
    a_.emit(alu_id(op), gp(d, t), ob);
  }
  define(v, d);
}

void Emitter::emit_shift(Value v) {
  const ir::Inst& i = inst(v);
  const Type t = i.type;
  const Value a = i.args[0], b = i.args[1];
  const u32 width = ir::bits_of(t);
  if (is_const(b)) {
    const u32 k = static_cast<u32>(const_of(b)) & (width - 1);
    if (env_.host.bmi2 && (i.op == Op::Rotl || i.op == Op::Rotr) && !is_const(a)) {
      const Operand from = use_rm(a);
      consume_args(i);
      const u8 d = dest(v);
      a_.emit(x86::Inst::kIdRorx, gp(d, t), from, Imm(i.op == Op::Rotr ? k : (width - k) & (width - 1)));
      define(v, d);
      return;
    }
    u8 ra = use(a);
    consume_args(i);
    u8 d = hint_[v] >= 0 && env_.homes.gpr[hint_[v]] >= 0 ? dest(v)
           : !is_pinned(ra) && uses_[a] == 0              ? ra
                                                          : alloc_gpr();
    if (i.op == Op::Shl && k >= 1 && k <= 3 && d != ra) {
      x86::Mem m = k == 1 ? x86::ptr(x86::gpq(ra), x86::gpq(ra)) : x86::ptr(0, x86::gpq(ra), k);
      a_.lea(gp(d, t), m);
    } else {
      mov(d, ra, t);
      switch (i.op) {
        case Op::Shl: a_.shl(gp(d, t), k); break;
        case Op::Shr: a_.shr(gp(d, t), k); break;
        case Op::Sar: a_.sar(gp(d, t), k); break;
        case Op::Rotl: a_.rol(gp(d, t), k); break;
        default: a_.ror(gp(d, t), k); break;
      }
    }
    define(v, d);
    return;
  }
  if (env_.host.bmi2 && i.op != Op::Rotl && i.op != Op::Rotr) {
    u8 rb = use(b);
    Operand oa = is_const(a) ? Operand(gp(use(a), t)) : use_rm(a);
    consume_args(i);
    u8 d = dest(v);
    x86::Inst::Id id = i.op == Op::Shl   ? x86::Inst::kIdShlx
                       : i.op == Op::Shr ? x86::Inst::kIdShrx
                                         : x86::Inst::kIdSarx;
    a_.emit(id, gp(d, t), oa, gp(rb, t));
    define(v, d);
    return;
  }
  // The count goes through cl.
  constexpr u8 kRcx = 1;
  evict(kRcx);
  lock(kRcx);
  load_to(kRcx, b);
  u8 d = alloc_gpr();
  load_to(d, a);
  consume_args(i);
  switch (i.op) {
    case Op::Shl: a_.shl(gp(d, t), x86::cl); break;
    case Op::Shr: a_.shr(gp(d, t), x86::cl); break;
    case Op::Sar: a_.sar(gp(d, t), x86::cl); break;
    case Op::Rotl: a_.rol(gp(d, t), x86::cl); break;
    default: a_.ror(gp(d, t), x86::cl); break;
  }
  define(v, d);
}

void Emitter::emit_mul_high(Value v) {
  const ir::Inst& i = inst(v);
  const Type t = i.type;
  constexpr u8 kRax = 0, kRcx = 1, kRdx = 2;
  // rcx: b; rax: a; the product's high half comes in rdx.
  for (u8 r : {kRax, kRcx, kRdx}) evict(r), lock(r);
  load_to(kRcx, i.args[1]);
  load_to(kRax, i.args[0]);
  if (i.op == Op::MulHiS) {
    a_.imul(gp(kRcx, t));
  } else if (i.op == Op::MulHiU) {
    a_.mul(gp(kRcx, t));
  } else {
    // signed a * unsigned b = unsigned a * unsigned b - (a < 0 ? b << width : 0)
    const int slot = new_spill();
    a_.mov(gp(kRdx, t), gp(kRax, t));
    a_.sar(gp(kRdx, t), ir::bits_of(t) - 1);
    a_.and_(gp(kRdx, t), gp(kRcx, t));
    a_.mov(spill_mem(slot, wide(t) ? 8 : 4), gp(kRdx, t));
    a_.mul(gp(kRcx, t));
    a_.sub(gp(kRdx, t), spill_mem(slot, wide(t) ? 8 : 4));
  }
  consume_args(i);
  locked_ &= ~(1u << kRdx);
  define(v, kRdx);
}

void Emitter::emit_divide(Value v) {
  const ir::Inst& i = inst(v);
  const Type t = i.type;
  constexpr u8 kRax = 0, kRcx = 1, kRdx = 2;
  const bool is_signed = i.op == Op::DivS || i.op == Op::RemS;
  const bool rem = i.op == Op::RemS || i.op == Op::RemU;
  for (u8 r : {kRax, kRcx, kRdx}) evict(r), lock(r);
  load_to(kRcx, i.args[1]);
  load_to(kRax, i.args[0]);
  consume_args(i);
  const Gp a = gp(kRax, t), b = gp(kRcx, t), d = gp(kRdx, t);
  Label zero = a_.newLabel(), done = a_.newLabel(), minus_one = a_.newLabel();
  a_.test(b, b);
  a_.jz(zero);
  if (is_signed) {
    a_.cmp(b, -1);
    a_.jz(minus_one);
    if (wide(t))
      a_.cqo();
    else
      a_.cdq();
    a_.idiv(b);
  } else {
    a_.xor_(x86::edx, x86::edx);
    a_.div(b);
  }
  a_.bind(done);
  const u8 result = rem ? kRdx : kRax;
  cold([this, a, b, d, zero, done, minus_one, rem, is_signed] {
    (void)b;
    a_.bind(zero);  // quotient: all ones; remainder: the dividend
    if (rem)
      a_.mov(d, a);
    else
      a_.mov(a, -1);
    a_.jmp(done);
    if (!is_signed) return;
    a_.bind(minus_one);  // never overflows: 0 - a wraps
    if (rem)
      a_.xor_(d, d);
    else
      a_.neg(a);
    a_.jmp(done);
  });
  define(v, result);
}

void Emitter::emit_bits(Value v) {
  const ir::Inst& i = inst(v);
  const Type t = i.type;
  if (i.op == Op::Bswap) {
    u8 ra = use(i.args[0]);
    consume_args(i);
    u8 d = dest(v);
    mov(d, ra, t);
    a_.bswap(gp(d, t));
    define(v, d);
    return;
  }
  const bool have = i.op == Op::Popcnt ? env_.host.popcnt
                    : i.op == Op::Clz  ? env_.host.lzcnt
                                       : env_.host.bmi1;
  if (!have) {
    failed_ = true;
    return;
  }
  Operand from = is_const(i.args[0]) ? Operand(gp(use(i.args[0]), t)) : use_rm(i.args[0]);
  consume_args(i);
  u8 d = dest(v);
  x86::Inst::Id id = i.op == Op::Clz   ? x86::Inst::kIdLzcnt
                     : i.op == Op::Ctz ? x86::Inst::kIdTzcnt
                                       : x86::Inst::kIdPopcnt;
  a_.emit(id, gp(d, t), from);
  define(v, d);
}

void Emitter::emit_extend(Value v) {
  const ir::Inst& i = inst(v);
  const Value a = i.args[0];
  const Type from = type(a), to = i.type;
  if (i.op == Op::ZExt && fused_compare(a, v)) {
    x86::CondCode cc = emit_compare(a);
    uses_[a] = 0;
    u8 d = dest(v);
    a_.set(cc, x86::gpb_lo(d));
    a_.movzx(x86::gpd(d), x86::gpb_lo(d));
    define(v, d);
    return;
  }
  if (i.op == Op::Trunc && to != Type::I1 && locs_[a].home >= 0 && !crosses_[v] && hint_[v] < 0 &&
      env_.homes.xmm[locs_[a].home] < 0) {
    // The low bits are where the whole is.
    locs_[v].home = locs_[a].home;
    add_alias(locs_[v].home, v);
    consume_args(i);
    return;
  }
  u8 ra = use(a);
  consume_args(i);
  const bool reuse = !is_pinned(ra) && uses_[a] == 0;
  u8 d = hint_[v] >= 0 && env_.homes.gpr[hint_[v]] >= 0 ? dest(v) : reuse ? ra : alloc_gpr();
  const Gp d32 = x86::gpd(d), d64 = x86::gpq(d);
  const unsigned bits = ir::bits_of(from);
  if (i.op == Op::Trunc) {
    // Upper bits of a narrow value are unspecified; an I1 is exactly 0 or 1.
    mov(d, ra, Type::I32);
    if (to == Type::I1) a_.and_(d32, 1);
  } else if (i.op == Op::ZExt) {
    if (bits == 32)
      a_.mov(d32, x86::gpd(ra));
    else if (bits == 16)
      a_.movzx(d32, x86::gpw(ra));
    else if (bits == 8)
      a_.movzx(d32, x86::gpb_lo(ra));
    else
      mov(d, ra, Type::I32);
  } else {
    const bool w = to == Type::I64;
    if (bits == 32)
      a_.movsxd(d64, x86::gpd(ra));
    else if (bits == 16)
      w ? a_.movsx(d64, x86::gpw(ra)) : a_.movsx(d32, x86::gpw(ra));
    else if (bits == 8)
      w ? a_.movsx(d64, x86::gpb_lo(ra)) : a_.movsx(d32, x86::gpb_lo(ra));
    else {  // I1: 0 or -1
      mov(d, ra, Type::I32);
      w ? a_.neg(d64) : a_.neg(d32);
    }
  }
  define(v, d);
}

}  // namespace hindcast::jit
