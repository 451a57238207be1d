// Instrumented translations: counters, callbacks, and what these need.
//
// There are two kinds. In a *counting* one, plugins' code is called out of line at most, and guest registers
// live in host registers as in a plain translation. In a *calling* one, callbacks are frequent: the only host
// registers that hold guest registers are those that C functions preserve, each is written to the CPU state
// as soon as it is set, and MXCSR is the guest's only around floating-point ops; so nothing is saved or
// restored around a call.
//
// Additions to counters are put off until somebody could look at the counter, and until then one counter's
// are summed: `owed_`. A side exit says by its site what it still owes. Even then a counting translation pays
// into a host register, if it has one for the counter (lanes.h). Calls whose effects are known are not made;
// their effects are owed (instr_plan.h).
#include "engine/instrument_ops.h"
#include "engine/jit/emitter.h"
#include "engine/vcpu.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

namespace {

constexpr u8 kRdx = 2, kRcx = 1, kRsi = 6, kRdi = 7;

bool is_low(const u8* at) { return reinterpret_cast<u64>(at) <= 0x7fffffff; }

x86::Mem low_mem(const u8* at, unsigned size) {
  x86::Mem mem(reinterpret_cast<u64>(at), size);
  mem.setAbs();
  return mem;
}

void flush_lanes(Lanes* lanes) { lanes->flush(); }

/// The low `size` bytes as instructions of that size extend their immediate.
u64 as_immediate(u64 value, unsigned size) {
  const unsigned unused = 64 - 8 * size;
  return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
}

bool calls_always(const InstrOp& op) {
  return op.kind == InstrOp::Kind::Call && op.when == InstrOp::When::Always;
}

}  // namespace

x86::Mem Emitter::frame_mem(std::size_t offset, unsigned size) const {
  return low_mem(reinterpret_cast<const u8*>(env_.instr->frame) + offset, size);
}

/// The counter as an operand; its address may take a temporary, locked until the caller unlocks.
x86::Mem Emitter::counter_mem(const u8* at, unsigned size) {
  if (is_low(at)) return low_mem(at, size);
  const u8 r = alloc_gpr();
  mov_imm(r, reinterpret_cast<u64>(at));
  return x86::ptr(x86::gpq(r), 0, size);
}

// ---- counters
// ----------------------------------------------------------------------------------------------------

void Emitter::owe(const InstrEffect& effect) {
  owed_noted_ = false;
  for (InstrEffect& o : owed_) {
    if (o.at == effect.at && o.size == effect.size) {
      o.amount = effect.set ? effect.amount : o.amount + effect.amount;
      o.set |= effect.set;
      return;
    }
    if (o.at < effect.at + effect.size && effect.at < o.at + o.size) {
      pay();
      break;
    }
  }
  owed_.push_back(effect);
}

bool Emitter::has_lane(const InstrEffect& effect) const {
  const Lanes* const lanes = env_.instr->lanes;
  return lanes != nullptr && !effect.set && effect.size == 8 && lanes->find(effect.at) >= 0;
}

void Emitter::pay_in_memory(const InstrEffect& o) {
  const u32 locked = locked_;
  const Mem counter = counter_mem(o.at, o.size);
  const u64 amount = as_immediate(o.amount, o.size);
  if (fits_i32(amount, Type::I64)) {
    o.set ? a_.mov(counter, imm_of(amount)) : a_.add(counter, imm_of(amount));
  } else {
    const u8 r = alloc_gpr();
    mov_imm(r, amount);
    o.set ? a_.mov(counter, x86::gpq(r)) : a_.add(counter, x86::gpq(r));
  }
  locked_ = locked;
}

void Emitter::pay_in_lanes() {
  std::array<u64, Lanes::kCount> amounts{};
  for (const InstrEffect& o : owed_)
    if (has_lane(o)) amounts[static_cast<unsigned>(env_.instr->lanes->find(o.at))] = o.amount;
  if (amounts == std::array<u64, Lanes::kCount>{}) return;
  if (const u8* constant = env_.instr->lanes->amounts(amounts)) {
    a_.vpaddq(x86::xmm(Lanes::kXmm), x86::xmm(Lanes::kXmm), low_mem(constant, 16));
    return;
  }
  for (const InstrEffect& o : owed_)
    if (has_lane(o) && o.amount != 0) pay_in_memory(o);
}

void Emitter::pay() {
  pay_in_lanes();
  for (const InstrEffect& o : owed_)
    if (!has_lane(o) && (o.set || o.amount != 0)) pay_in_memory(o);
  owed_.clear();
  owed_noted_ = false;
}

/// Around code that destroys vector registers. What it calls may look at the counters after Lanes::flush().
void Emitter::save_lanes() {
  if (env_.instr == nullptr || env_.instr->lanes == nullptr) return;
  a_.vmovdqu(low_mem(env_.instr->lanes->saved(), 16), x86::xmm(Lanes::kXmm));
}
void Emitter::restore_lanes() {
  if (env_.instr == nullptr || env_.instr->lanes == nullptr) return;
  a_.vmovdqu(x86::xmm(Lanes::kXmm), low_mem(env_.instr->lanes->saved(), 16));
}

// ---- callbacks
// ----------------------------------------------------------------------------------------------------

void Emitter::ready_floats() {
  if (floats_ready_) return;
  a_.ldmxcsr(field(offsetof(CpuHeader, mxcsr), 4));
  floats_ready_ = true;
}

void Emitter::settle_floats() {
  if (!calling() || !floats_ready_) return;
  evict(0);
  collect_flags();
  host_rounding();
  floats_ready_ = false;
}

/// The guest's rounding is not for C code. Flags that have accrued do not matter to it.
void Emitter::host_rounding() {
  if (env_.context.mxcsr != kDefaultMxcsr) a_.ldmxcsr(spill_mem(kHostMxcsrSlot, 4));
}

void Emitter::settle() {
  pay();
  settle_floats();
}

void Emitter::write_home(unsigned row) {
  if (i8 g = env_.homes.gpr[row]; g >= 0) {
    const Type t = env_.arch.registers()[row].type;
    a_.mov(home_mem(row, wide(t) ? 8 : 4), gp(static_cast<u8>(g), t));
  }
}

/// The call itself. All temporaries are free.
void Emitter::emit_call_of(const InstrOp& op, const AccessOps* access, u32 site) {
  a_.mov(frame_mem(offsetof(InstrFrame, site), 4), Imm(static_cast<i32>(site)));
  mov_imm(kRdi, env_.instr->vcpu);
  if (access != nullptr) {
    mov_imm(kRsi, access->word);
    a_.mov(x86::gpq(kRdx), spill_mem(access->address, 8));
    mov_imm(kRcx, reinterpret_cast<u64>(op.data));
    a_.mov(x86::rax, reinterpret_cast<u64>(op.access));
  } else {
    mov_imm(kRsi, reinterpret_cast<u64>(op.data));
    a_.mov(x86::rax, reinterpret_cast<u64>(op.exec));
  }
  a_.call(x86::rax);
}

void Emitter::emit_callback(const InstrOp& op, const AccessOps* access) {
  settle();
  spill_temporaries();
  if (callback_site_ == InstrSite::kNone)
    callback_site_ =
        add_site(pc_, insn_ - 1, {.insn = insn_ - 1, .begun = true, .access = access != nullptr});
  const u32 site = callback_site_;
  if (calling() && calls_always(op)) return emit_call_of(op, access, site);

  using When = InstrOp::When;
  Label call = a_.newLabel(), back = a_.newLabel();
  if (op.when == When::Always) {
    a_.jmp(call);
  } else {
    const Mem counter = counter_mem(op.counter.of(env_.instr->vcpu), 8);
    if (fits_i32(op.imm, Type::I64)) {
      a_.cmp(counter, imm_of(op.imm));
    } else {
      const u8 r = alloc_gpr();
      mov_imm(r, op.imm);
      a_.cmp(counter, x86::gpq(r));
    }
    x86::CondCode cc = x86::CondCode::kE;
    switch (op.when) {
      case When::NotEqual: cc = x86::CondCode::kNE; break;
      case When::Below: cc = x86::CondCode::kB; break;
      case When::NotAbove: cc = x86::CondCode::kBE; break;
      case When::Above: cc = x86::CondCode::kA; break;
      case When::NotBelow: cc = x86::CondCode::kAE; break;
      default: break;
    }
    a_.j(cc, call);
  }
  a_.bind(back);
  locked_ = 0;
  cold([this, op, call, back, site] {
    a_.bind(call);
    if (!calling()) {
      save_for_c();
      collect_flags();
      host_rounding();
      if (env_.instr->lanes != nullptr) {
        a_.mov(x86::rdi, reinterpret_cast<u64>(env_.instr->lanes));
        a_.mov(x86::rax, reinterpret_cast<u64>(&flush_lanes));
        a_.call(x86::rax);
      }
    }
    emit_call_of(op, nullptr, site);
    if (!calling()) {
      a_.ldmxcsr(field(offsetof(CpuHeader, mxcsr), 4));
      restore_after_c(0);
    }
    a_.jmp(back);
  });
}

void Emitter::emit_checks(const Label& fails) {
  for (const InstrForeseen::Read& check : env_.instr->plan->checks) {
    const Mem at = counter_mem(check.at, check.size);
    const u64 value = as_immediate(check.value, check.size);
    if (fits_i32(value, Type::I64)) {
      a_.cmp(at, imm_of(value));
    } else {
      const u8 r = alloc_gpr();
      mov_imm(r, value);
      a_.cmp(at, x86::gpq(r));
    }
    check.differs ? a_.je(fails) : a_.jne(fails);
    unlock_all();
  }
}

/// `ops`: of the access that it belongs to, if it does.
void Emitter::emit_op(const InstrOp& op, Value access, const AccessOps* ops) {
  if (op.kind != InstrOp::Kind::Call)
    owe({op.counter.of(env_.instr->vcpu), op.imm, 8, op.kind == InstrOp::Kind::Store});
  else if (const std::vector<InstrEffect>* effects = env_.instr->plan->foreseen(op, access))
    for (const InstrEffect& effect : *effects) owe(effect);
  else
    emit_callback(op, ops);
}

void Emitter::emit_begin_ops() {
  const InstrBlock& block = *env_.instr->block;
  callback_site_ = InstrSite::kNone;
  if (insn_ == 1) {
    if (env_.instr->plan->calls || env_.instr->plan->conditional)
      a_.mov(frame_mem(offsetof(InstrFrame, budget), 8), x86::gpq(kBudgetGpr));
    for (const InstrOp& op : block.entry) emit_op(op, ir::kNoValue, nullptr);
  }
  for (const InstrOp& op : block.insns[insn_ - 1].exec) emit_op(op, ir::kNoValue, nullptr);
  callback_site_ = InstrSite::kNone;  // accesses have sites of their own
}

// ---- accesses
// ----------------------------------------------------------------------------------------------------

Emitter::AccessOps Emitter::access_ops(Value v) {
  AccessOps out;
  if (env_.instr == nullptr) return out;
  const bool store = inst(v).op == Op::Store;
  for (const InstrOp& op : env_.instr->block->insns[insn_ - 1].access) {
    if (!(store ? op.on_store : op.on_load)) continue;
    out.ops.push_back(&op);
    if (op.kind != InstrOp::Kind::Call || env_.instr->plan->foreseen(op, v) != nullptr) continue;
    out.value |= op.wants_value;
    out.address = 0;
  }
  out.access = v;
  if (!out.ops.empty()) out.word = access_word(*unit_, v);
  return out;
}

/// The address outlives the access, whose result may go into the base register.
void Emitter::keep_address(const ir::Inst& i, AccessOps& ops) {
  if (ops.address < 0) return;
  ops.address = new_spill();
  const u32 locked = locked_;
  const Type t = env_.arch.address_bits() <= 32 ? Type::I32 : Type::I64;
  const i32 offset = ir::MemAttr::unpack(i.imm).offset;
  const u8 r = alloc_gpr();
  if (is_const(i.args[0])) {
    const u64 at = const_of(i.args[0]) + static_cast<u64>(i64{offset});
    mov_imm(r, t == Type::I32 ? static_cast<u32>(at) : at);
  } else {
    const u8 base = use(i.args[0]);
    if (offset != 0)
      a_.lea(gp(r, t), x86::ptr(x86::gpq(base), offset));
    else
      a_.mov(gp(r, t), gp(base, t));
  }
  a_.mov(spill_mem(ops.address, 8), x86::gpq(r));
  locked_ = locked;
}

void Emitter::keep_value(u8 r) { a_.mov(frame_mem(offsetof(InstrFrame, value), 8), x86::gpq(r)); }
void Emitter::keep_value_f(u8 x) { a_.vmovq(frame_mem(offsetof(InstrFrame, value), 8), x86::xmm(x)); }

void Emitter::emit_access_ops(const AccessOps& ops) {
  for (const InstrOp* op : ops.ops) emit_op(*op, ops.access, &ops);
}

}  // namespace hindcast::jit
