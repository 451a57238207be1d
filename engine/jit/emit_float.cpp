// Floating point on the host's, where that is provably the same:
//
//   point             host (VEX scalar)                what is done here
//   rounding          MXCSR of the context             an op with another static mode goes to the soft path
//   sticky flags      accrue in MXCSR                  folded into the guest's on leaving and on FpGetFlags
//   NaN result        first operand's payload          replaced by the default NaN, out of line; where NaNs
//                                                      propagate, redone by the soft path
//   fma(inf, 0, qNaN) no invalid                       raised out of line, where the result is a NaN anyway
//   tininess          after rounding                   where it is before rounding, a result that may have
//                                                      been rounded up to a normal number is redone
//   subnormal numbers kept                             where they are flushed, everything is the soft path's
//   float to integer  "indefinite" on overflow         redone by the soft path, which saturates
//
// FToU and UToF need AVX-512 for exact flags; without it they take the soft path, like FMin and FMax.
#include "engine/ir/eval.h"
#include "engine/jit/emitter.h"
#include "engine/jit/soft_fp.h"
#include "engine/vcpu.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Round;
using ir::Type;

namespace {
constexpr u8 kNoXmm = 0xff;
}

ir::Round Emitter::rounding(const ir::Inst& i) const {
  const auto r = static_cast<Round>(i.aux);
  return r == Round::Dynamic ? env_.context.rounding : r;
}

bool Emitter::emit_float(Value v) {
  if (!env_.host.avx) return false;
  const ir::Inst& i = inst(v);
  const bool host_rounds = rounding(i) == env_.context.rounding && rounding(i) != Round::NearestMaxMagnitude;
  if (env_.context.fp_rules.flush_to_zero && ir::info(i.op).effect == ir::Effect::Fp && i.op != Op::SToF &&
      i.op != Op::UToF) {
    emit_soft(v);
    return !failed_;
  }
  switch (i.op) {
    case Op::FpGetFlags: {
      u8 d = alloc_gpr();
      a_.vstmxcsr(field(offsetof(CpuHeader, scratch), 4));
      a_.mov(x86::gpd(d), field(offsetof(CpuHeader, scratch), 4));
      a_.and_(x86::gpd(d), 0x3d);
      a_.or_(x86::gpd(d), field(offsetof(CpuHeader, fp_flags), 4));
      define(v, d);
      return true;
    }
    case Op::FpSetFlags: {
      u8 r = use(i.args[0]);
      a_.mov(field(offsetof(CpuHeader, fp_flags), 4), x86::gpd(r));
      a_.vldmxcsr(field(offsetof(CpuHeader, mxcsr), 4));
      consume_args(i);
      return true;
    }
    case Op::FAdd:
    case Op::FSub:
    case Op::FMul:
    case Op::FDiv:
    case Op::FSqrt:
      if (!host_rounds) return emit_soft(v), !failed_;
      switch (i.op) {
        case Op::FAdd: emit_fp_arith(v, x86::Inst::kIdVaddss, x86::Inst::kIdVaddsd, false); break;
        case Op::FSub: emit_fp_arith(v, x86::Inst::kIdVsubss, x86::Inst::kIdVsubsd, false); break;
        case Op::FMul: emit_fp_arith(v, x86::Inst::kIdVmulss, x86::Inst::kIdVmulsd, false); break;
        case Op::FDiv: emit_fp_arith(v, x86::Inst::kIdVdivss, x86::Inst::kIdVdivsd, false); break;
        default: emit_fp_arith(v, x86::Inst::kIdVsqrtss, x86::Inst::kIdVsqrtsd, true); break;
      }
      return !failed_;
    case Op::FMulAdd:
      if (!host_rounds || !env_.host.fma)
        emit_soft(v);
      else
        emit_fma(v);
      return !failed_;
    case Op::FCmpEq:
    case Op::FCmpLt:
    case Op::FCmpLe: emit_fp_compare(v); return !failed_;
    case Op::FConvert:
      if (!host_rounds && i.type == Type::F32)
        emit_soft(v);  // widening is exact
      else
        emit_fp_convert(v);
      return !failed_;
    case Op::FToS:
    case Op::FToU:
      if ((!host_rounds && rounding(i) != Round::TowardZero) || (i.op == Op::FToU && !env_.host.avx512))
        emit_soft(v);
      else
        emit_float_to_int(v);
      return !failed_;
    case Op::SToF:
    case Op::UToF: {
      const bool exact = type(i.args[0]) == Type::I32 && i.type == Type::F64;
      if ((!host_rounds && !exact) || (i.op == Op::UToF && !env_.host.avx512))
        emit_soft(v);
      else
        emit_int_to_float(v);
      return !failed_;
    }
    default:  // FMin, FMax
      emit_soft(v);
      return !failed_;
  }
}

void Emitter::load_const_f(u8 xmm, u64 bits, Type t) {
  const Xmm x = x86::xmm(xmm);
  if (bits == 0) {
    a_.vxorps(x, x, x);
    return;
  }
  u8 r = alloc_gpr();
  mov_imm(r, bits);
  if (wide(t))
    a_.vmovq(x, x86::gpq(r));
  else
    a_.vmovd(x, x86::gpd(r));
  locked_ &= ~(1u << r);
}

u64 Emitter::default_nan(bool wide_float) const {
  const ir::FpRules& rules = env_.context.fp_rules;
  return wide_float ? rules.default_nan64 : rules.default_nan32;
}

/// If the register holds a NaN it becomes the default NaN.
void Emitter::fix_nan(u8 xmm, Type t) {
  const Xmm x = x86::xmm(xmm);
  Label nan = a_.newLabel(), done = a_.newLabel();
  const bool w = wide(t);
  w ? a_.vucomisd(x, x) : a_.vucomiss(x, x);
  a_.jp(nan);
  a_.bind(done);
  cold([this, x, nan, done, w] {
    a_.bind(nan);
    a_.mov(field(offsetof(CpuHeader, scratch) + 8, 8), x86::rax);
    a_.mov(x86::rax, default_nan(w));
    if (w)
      a_.vmovq(x, x86::rax);
    else
      a_.vmovd(x, x86::eax);
    a_.mov(x86::rax, field(offsetof(CpuHeader, scratch) + 8, 8));
    a_.jmp(done);
  });
}

/// Sums and roots of numbers that are tiny are exact.
bool Emitter::may_round_up_to_normal(const ir::Inst& i) const {
  return env_.context.fp_rules.tiny_before_rounding && i.op != Op::FAdd && i.op != Op::FSub &&
         i.op != Op::FSqrt && !(i.op == Op::FConvert && i.type == Type::F64);
}

/// `result` was computed from the registers in `args`, which are not `result`. What the host may have made
/// otherwise, NaNs above all, is computed again by the soft path.
void Emitter::redo_odd(Value v, u8 result, std::array<u8, 3> args) {
  const ir::Inst& i = inst(v);
  const Xmm x = x86::xmm(result);
  Label nan = a_.newLabel(), done = a_.newLabel();
  const bool w = wide(i.type), wide_operand = wide(type(i.args[0]));
  const bool may_be_tiny = may_round_up_to_normal(i);
  // Before the first jump, so that what has to make room does so on both ways.
  const u8 bits = may_be_tiny ? alloc_gpr() : u8{0}, smallest = may_be_tiny ? alloc_gpr() : u8{0};
  w ? a_.vucomisd(x, x) : a_.vucomiss(x, x);
  a_.jp(nan);
  if (may_be_tiny) {
    // The smallest normal number, of either sign.
    const Type word = w ? Type::I64 : Type::I32;
    w ? a_.vmovq(x86::gpq(bits), x) : a_.vmovd(x86::gpd(bits), x);
    a_.add(gp(bits, word), gp(bits, word));
    mov_imm(smallest, w ? u64{1} << 53 : u64{1} << 24);
    a_.cmp(gp(bits, word), gp(smallest, word));
    a_.je(nan);
    locked_ &= ~(1u << bits | 1u << smallest);
  }
  a_.bind(done);
  const SoftOp soft{i.op, i.type, type(i.args[0]), rounding(i), i.flags};
  cold([this, soft, result, args, nan, done, w, wide_operand] {
    a_.bind(nan);
    soft_call(soft.pack(), args.data(), wide_operand, result, false, w);
    a_.jmp(done);
  });
}

void Emitter::emit_fp_arith(Value v, x86::Inst::Id op32, x86::Inst::Id op64, bool sqrt) {
  const ir::Inst& i = inst(v);
  const bool w = wide(i.type);
  const u8 xa = use_f(i.args[0]);
  if (redoes_results()) {
    const u8 xb = sqrt ? xa : use_f(i.args[1]);
    consume_args(i);
    const u8 t = alloc_xmm();
    a_.emit(w ? op64 : op32, x86::xmm(t), x86::xmm(xa), x86::xmm(xb));
    redo_odd(v, t, {xa, sqrt ? kNoXmm : xb, kNoXmm});
    define_f(v, t);
    return;
  }
  Operand ob = sqrt ? Operand(x86::xmm(xa)) : use_fm(i.args[1]);
  consume_args(i);
  locked_xmm_ = 0;
  if (xa < 4) lock_xmm(xa);
  if (ob.isReg() && ob.as<x86::Reg>().id() < 4) lock_xmm(static_cast<u8>(ob.as<x86::Reg>().id()));
  u8 d = dest_f(v);
  a_.emit(w ? op64 : op32, x86::xmm(d), x86::xmm(xa), ob);
  fix_nan(d, i.type);
  define_f(v, d);
}

void Emitter::emit_fma(Value v) {
  const ir::Inst& i = inst(v);
  const bool w = wide(i.type);
  const u8 xa = use_f(i.args[0]), xb = use_f(i.args[1]), xc = use_f(i.args[2]);
  consume_args(i);
  u8 t = alloc_xmm();
  if (failed_) return;
  a_.vmovapd(x86::xmm(t), x86::xmm(xa));
  // flags bit 0: minus the product; bit 1: minus the addend.
  static constexpr x86::Inst::Id kIds[4][2] = {{x86::Inst::kIdVfmadd213ss, x86::Inst::kIdVfmadd213sd},
                                               {x86::Inst::kIdVfnmadd213ss, x86::Inst::kIdVfnmadd213sd},
                                               {x86::Inst::kIdVfmsub213ss, x86::Inst::kIdVfmsub213sd},
                                               {x86::Inst::kIdVfnmsub213ss, x86::Inst::kIdVfnmsub213sd}};
  a_.emit(kIds[i.flags & 3][w ? 1 : 0], x86::xmm(t), x86::xmm(xb), x86::xmm(xc));
  if (redoes_results()) {
    redo_odd(v, t, {xa, xb, xc});
    define_f(v, t);
    return;
  }
  Label nan = a_.newLabel(), done = a_.newLabel();
  w ? a_.vucomisd(x86::xmm(t), x86::xmm(t)) : a_.vucomiss(x86::xmm(t), x86::xmm(t));
  a_.jp(nan);
  a_.bind(done);
  cold([this, t, xa, xb, nan, done, w] {
    a_.bind(nan);
    const Mem mxcsr = field(offsetof(CpuHeader, scratch), 4),
              save = field(offsetof(CpuHeader, scratch) + 8, 8);
    const Xmm x = x86::xmm(t);
    Label settled = a_.newLabel();
    // inf * 0 alone is invalid; any other flag of the bare product is not the fma's, hence put back.
    a_.vstmxcsr(mxcsr);
    w ? a_.vmulsd(x, x86::xmm(xa), x86::xmm(xb)) : a_.vmulss(x, x86::xmm(xa), x86::xmm(xb));
    w ? a_.vucomisd(x, x) : a_.vucomiss(x, x);
    a_.jp(settled);
    a_.vldmxcsr(mxcsr);
    a_.bind(settled);
    a_.mov(save, x86::rax);
    a_.mov(x86::rax, default_nan(w));
    if (w)
      a_.vmovq(x, x86::rax);
    else
      a_.vmovd(x, x86::eax);
    a_.mov(x86::rax, save);
    a_.jmp(done);
  });
  define_f(v, t);
}

void Emitter::emit_fp_compare(Value v) {
  const ir::Inst& i = inst(v);
  const bool w = wide(i.type);
  // a < b is asked as b > a, so that "unordered" (CF = ZF = PF = 1) reads as false.
  const Value first = i.op == Op::FCmpEq ? i.args[0] : i.args[1];
  const Value second = i.op == Op::FCmpEq ? i.args[1] : i.args[0];
  const u8 x1 = use_f(first);
  Operand o2 = use_fm(second);
  consume_args(i);
  u8 d = alloc_gpr();
  if (i.op == Op::FCmpEq) {
    a_.emit(w ? x86::Inst::kIdVucomisd : x86::Inst::kIdVucomiss, x86::xmm(x1), o2);
    u8 p = alloc_gpr();
    a_.setnp(x86::gpb_lo(p));
    a_.sete(x86::gpb_lo(d));
    a_.and_(x86::gpb_lo(d), x86::gpb_lo(p));
    locked_ &= ~(1u << p);
  } else {
    a_.emit(w ? x86::Inst::kIdVcomisd : x86::Inst::kIdVcomiss, x86::xmm(x1), o2);
    if (i.op == Op::FCmpLt)
      a_.seta(x86::gpb_lo(d));
    else
      a_.setae(x86::gpb_lo(d));
  }
  a_.movzx(x86::gpd(d), x86::gpb_lo(d));
  define(v, d);
}

void Emitter::emit_fp_convert(Value v) {
  const ir::Inst& i = inst(v);
  const u8 x = use_f(i.args[0]);
  consume_args(i);
  u8 d = redoes_results() ? alloc_xmm() : dest_f(v);
  if (i.type == Type::F64)
    a_.vcvtss2sd(x86::xmm(d), x86::xmm(x), x86::xmm(x));
  else
    a_.vcvtsd2ss(x86::xmm(d), x86::xmm(x), x86::xmm(x));
  if (redoes_results())
    redo_odd(v, d, {x, kNoXmm, kNoXmm});
  else
    fix_nan(d, i.type);
  define_f(v, d);
}

void Emitter::emit_float_to_int(Value v) {
  const ir::Inst& i = inst(v);
  const bool wide_int = i.type == Type::I64, wide_float = type(i.args[0]) == Type::F64;
  const bool truncate = rounding(i) == Round::TowardZero;
  const Round rm = rounding(i);
  const u8 x = use_f(i.args[0]);
  const Type operand = type(i.args[0]);
  u8 d = alloc_gpr();
  const Gp g = gp(d, i.type);
  // The host sets only `invalid` when out of range, as IR wants; its result then is replaced by the saturated
  // one.
  Label odd = a_.newLabel(), done = a_.newLabel();
  if (i.op == Op::FToS) {
    x86::Inst::Id id = wide_float ? (truncate ? x86::Inst::kIdVcvttsd2si : x86::Inst::kIdVcvtsd2si)
                                  : (truncate ? x86::Inst::kIdVcvttss2si : x86::Inst::kIdVcvtss2si);
    a_.emit(id, g, x86::xmm(x));
    a_.cmp(g, 1);
    a_.jo(odd);  // only the smallest integer, which is also "indefinite", overflows when 1 is subtracted
  } else {
    x86::Inst::Id id = wide_float ? (truncate ? x86::Inst::kIdVcvttsd2usi : x86::Inst::kIdVcvtsd2usi)
                                  : (truncate ? x86::Inst::kIdVcvttss2usi : x86::Inst::kIdVcvtss2usi);
    a_.emit(id, g, x86::xmm(x));
    a_.cmp(g, -1);
    a_.je(odd);
  }
  a_.bind(done);
  const u8 args[3] = {x, kNoXmm, kNoXmm};
  const SoftOp soft{i.op, i.type, operand, rm, 0};
  cold([this, odd, done, args, soft, d, wide_int, wide_float] {
    a_.bind(odd);
    soft_call(soft.pack(), args, wide_float, d, true, wide_int);
    a_.jmp(done);
  });
  consume_args(i);
  define(v, d);
}

void Emitter::emit_int_to_float(Value v) {
  const ir::Inst& i = inst(v);
  const Type from = type(i.args[0]);
  const u8 r = use(i.args[0]);
  consume_args(i);
  u8 d = dest_f(v);
  const Xmm x = x86::xmm(d);
  a_.vxorps(x, x, x);  // breaks the false dependency on the old value
  x86::Inst::Id id = i.op == Op::SToF ? (wide(i.type) ? x86::Inst::kIdVcvtsi2sd : x86::Inst::kIdVcvtsi2ss)
                                      : (wide(i.type) ? x86::Inst::kIdVcvtusi2sd : x86::Inst::kIdVcvtusi2ss);
  a_.emit(id, x, x, gp(r, from));
  define_f(v, d);
}

void Emitter::emit_box(Value v) {
  const ir::Inst& i = inst(v);
  const u8 x = use_f(i.args[0]);
  if (i.op == Op::NanBox) {
    consume_args(i);
    u8 d = dest_f(v);
    // Upper half of the low 64 bits all ones: interleave with an all-ones register.
    u8 ones = d == x ? alloc_xmm() : d;
    a_.vpcmpeqd(x86::xmm(ones), x86::xmm(ones), x86::xmm(ones));
    a_.vpunpckldq(x86::xmm(d), x86::xmm(x), x86::xmm(ones));
    define_f(v, d);
    return;
  }
  // The low half is the value; the upper half is compared with all ones.
  u8 t = alloc_gpr();
  a_.vpextrd(x86::gpd(t), x86::xmm(x), 1);
  a_.cmp(x86::gpd(t), -1);
  locked_ &= ~(1u << t);
  consume_args(i);
  Label odd = a_.newLabel(), done = a_.newLabel();
  u8 d = alloc_xmm();
  if (d != x) a_.vmovaps(x86::xmm(d), x86::xmm(x));
  a_.jne(odd);
  a_.bind(done);
  cold([this, odd, done, d, t] {
    a_.bind(odd);
    a_.mov(x86::gpd(t), static_cast<u32>(ir::kUnboxedNan));
    a_.vmovd(x86::xmm(d), x86::gpd(t));
    a_.jmp(done);
  });
  define_f(v, d);
}

void Emitter::emit_bitcast(Value v) {
  const ir::Inst& i = inst(v);
  const bool w = wide(i.type);
  if (ir::is_float(i.type)) {
    const u8 r = use(i.args[0]);
    consume_args(i);
    u8 d = dest_f(v);
    w ? a_.vmovq(x86::xmm(d), x86::gpq(r)) : a_.vmovd(x86::xmm(d), x86::gpd(r));
    define_f(v, d);
  } else {
    const u8 x = use_f(i.args[0]);
    consume_args(i);
    u8 d = dest(v);
    w ? a_.vmovq(x86::gpq(d), x86::xmm(x)) : a_.vmovd(x86::gpd(d), x86::xmm(x));
    define(v, d);
  }
}

/// Calls the soft implementation. Every host register but `result` keeps its value.
/// args: xmm numbers of the operands (kNoXmm: none), or general registers where marked below by +32.
void Emitter::soft_call(u64 packed, const u8* args, bool wide_operand, u8 result, bool to_gpr,
                        bool wide_result) {
  const auto rows = env_.arch.registers();
  // Operands and all that C destroys go to memory. Homes have their slots; temporaries get stack slots.
  int arg_slots[3];
  for (int k = 0; k < 3; ++k) {
    arg_slots[k] = -1;
    if (args[k] == kNoXmm) continue;
    arg_slots[k] = new_spill();
    if (args[k] >= 32)
      a_.mov(spill_mem(arg_slots[k], 8), x86::gpq(args[k] - 32u));
    else
      a_.vmovq(spill_mem(arg_slots[k], 8), x86::xmm(args[k]));
  }
  int gpr_slots[3], xmm_slots[4];
  for (u8 r : kTempGprs) a_.mov(spill_mem(gpr_slots[r] = new_spill(), 8), x86::gpq(r));
  for (u8 x : kTempXmms) a_.vmovq(spill_mem(xmm_slots[x] = new_spill(), 8), x86::xmm(x));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (i8 g = env_.homes.gpr[row]; g >= 0 && is_caller_saved(static_cast<u8>(g)))
      a_.mov(home_mem(static_cast<unsigned>(row), wide(rows[row].type) ? 8 : 4),
             gp(static_cast<u8>(g), rows[row].type));
    if (i8 x = env_.homes.xmm[row]; x >= 0) a_.vmovsd(home_mem(static_cast<unsigned>(row), 8), x86::xmm(x));
  }
  save_lanes();
  constexpr u8 kArgs[] = {6, 2, 1};  // rsi rdx rcx
  for (int k = 0; k < 3; ++k) {
    if (arg_slots[k] < 0) continue;
    if (wide_operand)
      a_.mov(x86::gpq(kArgs[k]), spill_mem(arg_slots[k], 8));
    else
      a_.mov(x86::gpd(kArgs[k]), spill_mem(arg_slots[k], 4));
  }
  a_.mov(x86::rdi, packed);
  a_.lea(x86::r8, field(offsetof(CpuHeader, fp_flags), 4));
  a_.mov(x86::r9, reinterpret_cast<u64>(&env_.context.fp_rules));
  a_.mov(x86::rax, reinterpret_cast<u64>(&hindcast_soft_fp));
  a_.call(x86::rax);
  const int result_slot = new_spill();
  a_.mov(spill_mem(result_slot, 8), x86::rax);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (i8 g = env_.homes.gpr[row]; g >= 0 && is_caller_saved(static_cast<u8>(g)))
      a_.mov(gp(static_cast<u8>(g), rows[row].type),
             home_mem(static_cast<unsigned>(row), wide(rows[row].type) ? 8 : 4));
    if (i8 x = env_.homes.xmm[row]; x >= 0) a_.vmovsd(x86::xmm(x), home_mem(static_cast<unsigned>(row), 8));
  }
  restore_lanes();
  for (u8 r : kTempGprs) a_.mov(x86::gpq(r), spill_mem(gpr_slots[r], 8));
  for (u8 x : kTempXmms) a_.vmovq(x86::xmm(x), spill_mem(xmm_slots[x], 8));
  if (to_gpr)
    a_.mov(wide_result ? x86::gpq(result) : Gp(x86::gpd(result)),
           spill_mem(result_slot, wide_result ? 8 : 4));
  else if (wide_result)
    a_.vmovsd(x86::xmm(result), spill_mem(result_slot, 8));
  else
    a_.vmovss(x86::xmm(result), spill_mem(result_slot, 4));
  spills_ -= 1 + 3 + 4;
  for (int slot : arg_slots) spills_ -= slot >= 0 ? 1 : 0;
}

void Emitter::emit_soft(Value v) {
  const ir::Inst& i = inst(v);
  const Type operand = type(i.args[0]);
  u8 args[3] = {kNoXmm, kNoXmm, kNoXmm};
  for (int k = 0; k < 3; ++k) {
    if (i.args[k] == ir::kNoValue) continue;
    args[k] = ir::is_float(type(i.args[k])) ? use_f(i.args[k]) : static_cast<u8>(use(i.args[k]) + 32);
  }
  const SoftOp soft{i.op, i.type, operand, rounding(i), i.flags};
  consume_args(i);
  const bool to_gpr = !ir::is_float(i.type);
  unlock_all();
  const u8 d = to_gpr ? alloc_gpr() : alloc_xmm();
  soft_call(soft.pack(), args, wide(operand), d, to_gpr, wide(i.type));
  if (to_gpr)
    define(v, d);
  else
    define_f(v, d);
}

}  // namespace hindcast::jit
