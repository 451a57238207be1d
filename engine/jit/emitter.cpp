#include "engine/jit/emitter.h"

#include <algorithm>

#include "engine/vcpu.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

Emitter::Emitter(const EmitEnv& env, CodeHolder& holder, Buffers& buffers)
    : env_(env),
      holder_(holder),
      a_(&holder),
      locs_(buffers.locs),
      uses_(buffers.uses),
      home_block_(buffers.home_block),
      crosses_(buffers.crosses),
      done_(buffers.done),
      crossing_(buffers.crossing),
      hint_(buffers.hint),
      extended_by_(buffers.extended_by),
      aliases_(buffers.aliases),
      alias_end_(buffers.alias_end),
      labels_(buffers.labels),
      cold_(buffers.cold),
      checked_(buffers.checked),
      pinned_mask_(env_.homes.gpr_mask),
      pinned_xmm_mask_(env_.homes.xmm_mask) {}

bool Emitter::emit(const ir::Unit& unit, Emitted& out) {
  unit_ = &unit;
  out_ = &out;
  analyse();
  if (failed_) return false;

  // Charge the whole block; leave if it does not fit (docs/decisions.md, "icount").
  Label budget = a_.newLabel();
  a_.sub(x86::gpq(kBudgetGpr), unit.insn_count);
  a_.jb(budget);
  if (env_.instr != nullptr) emit_checks(budget);
  cold([this, budget, n = unit.insn_count] {
    a_.bind(budget);
    a_.add(x86::gpq(kBudgetGpr), n);
    leave(env_.block, ExitKind::Budget);
  });

  for (u32 b = 0; b < unit.blocks.size() && !failed_; ++b) {
    begin_ir_block(b);
    const ir::Block& block = unit.blocks[b];
    for (Value v = block.first; v < block.first + block.count && !failed_; ++v) {
      if (done_[v]) continue;
      if (!emit_inst(v)) failed_ = true;
      unlock_all();
    }
  }
  // Cold parts may queue further ones.
  for (std::size_t i = 0; i < cold_.size() && !failed_; ++i) cold_.run(i);
  if (failed_) return false;
  if (holder_.hasUnresolvedLinks()) holder_.resolveUnresolvedLinks();
  const CodeBuffer& buffer = holder_.textSection()->buffer();
  out.code = {buffer.data(), buffer.size()};
  return true;
}

// ---- analysis
// ----------------------------------------------------------------------------------------------------

void Emitter::analyse() {
  const std::size_t n = unit_->insts.size();
  locs_.assign(n, {});
  uses_.assign(n, 0);
  home_block_.assign(n, 0);
  crosses_.assign(n, 0);
  done_.assign(n, 0);
  hint_.assign(n, -1);
  extended_by_.assign(n, ir::kNoValue);
  aliases_.resize(env_.arch.registers().size());
  crossing_.clear();
  cold_.clear();
  labels_.clear();
  std::fill(std::begin(gpr_owner_), std::end(gpr_owner_), ir::kNoValue);
  std::fill(std::begin(xmm_owner_), std::end(xmm_owner_), ir::kNoValue);
  for (std::size_t i = 0; i < unit_->blocks.size(); ++i) labels_.push_back(a_.newLabel());

  for (u32 b = 0; b < unit_->blocks.size(); ++b)
    for (u32 k = 0; k < unit_->blocks[b].count; ++k) home_block_[unit_->blocks[b].first + k] = b;
  for (Value v = 0; v < n; ++v)
    for (Value arg : inst(v).args) {
      if (arg == ir::kNoValue) continue;
      ++uses_[arg];
      if (home_block_[arg] == home_block_[v] || crosses_[arg] != 0) continue;
      crossing_.push_back(arg);
      if (!is_const(arg)) crosses_[arg] = 1;
    }

  // Results that go straight into a pinned home, and extensions folded into loads.
  auto pinned_row = [&](Value set) -> i16 {
    u64 row = inst(set).imm;
    return env_.homes.gpr[row] >= 0 || env_.homes.xmm[row] >= 0 ? static_cast<i16>(row) : i16{-1};
  };
  for (Value v = static_cast<Value>(n); v-- > 1;) {
    Value prev = v - 1;
    if (home_block_[prev] != home_block_[v] || inst(v).args[0] != prev || crosses_[prev]) continue;
    const Op op = inst(v).op;
    if (op == Op::SetReg) {
      hint_[prev] = pinned_row(v);
    } else if ((op == Op::SExt || op == Op::ZExt) && uses_[prev] == 1) {
      if (inst(prev).op == Op::Load && !ir::is_float(inst(prev).type) && !crosses_[v])
        extended_by_[prev] = v;
      else if (type(prev) == Type::I32)
        hint_[prev] = hint_[v];
    }
  }
}

void Emitter::begin_ir_block(u32 index) {
  a_.bind(labels_[index]);
  current_block_ = index;
  after_call_ |= called_;
  // Nobody asks any more for the other values of the blocks before.
  for (Value v : crossing_) locs_[v] = {.spill = locs_[v].spill};
  for (u32 row = 0; row < alias_end_; ++row) aliases_[row].clear();
  alias_end_ = 0;
  std::fill(std::begin(gpr_owner_), std::end(gpr_owner_), ir::kNoValue);
  std::fill(std::begin(xmm_owner_), std::end(xmm_owner_), ir::kNoValue);
  checked_.clear();
}

bool Emitter::emit_inst(Value v) {
  const ir::Inst& i = inst(v);
  at_ = v;
  switch (i.op) {
    case Op::Const: return true;  // materialised where it is used
    case Op::InsnStart:
      if (after_call_) {
        after_call_ = false;
        a_.test(field(offsetof(CpuHeader, exit_request), 4), kExitBoundary);
        a_.jnz(site_exit(ExitKind::Boundary, i.imm, insn_));
      }
      ++insn_;
      told_ = 0;
      pc_ = i.imm;
      if (env_.instr != nullptr) emit_begin_ops();
      return !failed_;
    case Op::GetReg: {
      const unsigned row = static_cast<unsigned>(i.imm);
      locs_[v].home = static_cast<i16>(row);
      add_alias(locs_[v].home, v);
      if (crosses_[v]) {
        if (ir::is_float(i.type)) {
          u8 x = use_f(v);
          locs_[v].spill = static_cast<i16>(new_spill());
          a_.vmovq(spill_mem(locs_[v].spill, 8), x86::xmm(x));
        } else {
          u8 r = use(v);
          locs_[v].spill = static_cast<i16>(new_spill());
          a_.mov(spill_mem(locs_[v].spill, 8), x86::gpq(r));
        }
      }
      return true;
    }
    case Op::SetReg:
      emit_set_reg(v);
      if (calling()) write_home(static_cast<unsigned>(i.imm));
      return true;
    case Op::Load:
    case Op::Store:
      i.op == Op::Load ? emit_load(v) : emit_store(v);
      ++told_;
      return !failed_;
    default: break;
  }
  if (calling() &&
      (ir::info(i.op).effect == ir::Effect::Fp || i.op == Op::FpGetFlags || i.op == Op::FpSetFlags))
    ready_floats();
  switch (ir::info(i.op).effect) {
    case ir::Effect::End: return emit_end(v);
    case ir::Effect::Call: emit_call(v); return !failed_;
    case ir::Effect::Fp: return emit_float(v);
    default: return emit_integer(v);
  }
}

u64 Emitter::const_of(Value v) const {
  const u64 value = inst(v).imm;
  switch (ir::bits_of(inst(v).type)) {
    case 64: return value;
    case 32: return static_cast<u32>(value);
    case 16: return static_cast<u16>(value);
    case 8: return static_cast<u8>(value);
    default: return value & 1;
  }
}

// ---- locations
// ---------------------------------------------------------------------------------------------------

x86::Mem Emitter::home_mem(unsigned row, unsigned size) const {
  return x86::ptr(x86::rbp, env_.arch.registers()[row].offset - kStateBias, size);
}
x86::Mem Emitter::field(std::size_t offset, unsigned size) const {
  return x86::ptr(x86::rbp, static_cast<i32>(offset) - kStateBias, size);
}
x86::Mem Emitter::spill_mem(int slot, unsigned size) const { return x86::ptr(x86::rsp, slot * 8, size); }
int Emitter::new_spill() {
  if (spills_ < kSpillSlots) return spills_++;
  failed_ = true;  // the block is the interpreter's
  return 0;
}

u8 Emitter::alloc_gpr() {
  for (u8 r : kTempGprs)
    if (gpr_owner_[r] == ir::kNoValue && (locked_ >> r & 1) == 0) return lock(r), r;
  // Prefer a value that is somewhere else too; of those, what is used last.
  int victim = -1;
  bool victim_kept = false;
  Value victim_use = 0;
  for (u8 r : kTempGprs) {
    if ((locked_ >> r & 1) != 0) continue;
    const Loc& l = locs_[gpr_owner_[r]];
    const bool kept = l.home >= 0 || l.spill >= 0 || l.xmm >= 0 || is_const(gpr_owner_[r]);
    const Value use = next_use(gpr_owner_[r]);
    if (victim >= 0 && (kept != victim_kept ? victim_kept : use <= victim_use)) continue;
    victim = r;
    victim_kept = kept;
    victim_use = use;
  }
  if (victim < 0) {
    failed_ = true;
    return 0;
  }
  evict(static_cast<u8>(victim));
  lock(static_cast<u8>(victim));
  return static_cast<u8>(victim);
}

ir::Value Emitter::next_use(Value v) const {
  constexpr Value kFar = 64;  // further is all the same
  const auto end = static_cast<Value>(std::min<std::size_t>(unit_->insts.size(), at_ + kFar));
  for (Value user = at_; user < end; ++user)
    for (Value arg : inst(user).args)
      if (arg == v) return user;
  return end;
}

u8 Emitter::alloc_xmm() {
  for (u8 x : kTempXmms)
    if (xmm_owner_[x] == ir::kNoValue && (locked_xmm_ >> x & 1) == 0) return lock_xmm(x), x;
  for (u8 x : kTempXmms) {
    if ((locked_xmm_ >> x & 1) != 0) continue;
    evict_xmm(x);
    lock_xmm(x);
    return x;
  }
  failed_ = true;
  return 0;
}

void Emitter::evict(u8 gpr) {
  Value v = gpr_owner_[gpr];
  if (v == ir::kNoValue) return;
  Loc& l = locs_[v];
  if (l.home < 0 && l.spill < 0 && l.xmm < 0 && !is_const(v)) {
    l.spill = static_cast<i16>(new_spill());
    a_.mov(spill_mem(l.spill, 8), x86::gpq(gpr));
  }
  l.gpr = -1;
  gpr_owner_[gpr] = ir::kNoValue;
}

void Emitter::evict_xmm(u8 xmm) {
  Value v = xmm_owner_[xmm];
  if (v == ir::kNoValue) return;
  Loc& l = locs_[v];
  if (l.home < 0 && l.spill < 0 && l.gpr < 0 && !is_const(v)) {
    l.spill = static_cast<i16>(new_spill());
    a_.vmovq(spill_mem(l.spill, 8), x86::xmm(xmm));
  }
  l.xmm = -1;
  xmm_owner_[xmm] = ir::kNoValue;
}

void Emitter::spill_temporaries() {
  for (u8 r : kTempGprs) evict(r);
  for (u8 x : kTempXmms) evict_xmm(x);
}

void Emitter::mov(u8 to, u8 from, Type t) {
  if (to == from) return;
  a_.mov(gp(to, t), gp(from, t));
}

void Emitter::mov_imm(u8 to, u64 value) {
  // Never xor: flags may be live.
  if (value <= 0xffffffffu)
    a_.mov(x86::gpd(to), static_cast<u32>(value));
  else
    a_.mov(x86::gpq(to), value);
}

void Emitter::load_from(u8 r, const Loc& l, Value v) {
  const Type t = type(v);
  if (is_const(v)) return mov_imm(r, const_of(v));
  if (l.gpr >= 0) return mov(r, static_cast<u8>(l.gpr), wide(t) ? Type::I64 : Type::I32);
  if (l.home >= 0) {
    if (i8 h = env_.homes.gpr[l.home]; h >= 0)
      return mov(r, static_cast<u8>(h), wide(t) ? Type::I64 : Type::I32);
    if (i8 x = env_.homes.xmm[l.home]; x >= 0) {
      if (wide(t))
        a_.vmovq(x86::gpq(r), x86::xmm(x));
      else
        a_.vmovd(x86::gpd(r), x86::xmm(x));
      return;
    }
    a_.mov(gp(r, t), home_mem(l.home, wide(t) ? 8 : 4));
    return;
  }
  if (l.xmm >= 0) {
    if (wide(t))
      a_.vmovq(x86::gpq(r), x86::xmm(l.xmm));
    else
      a_.vmovd(x86::gpd(r), x86::xmm(l.xmm));
    return;
  }
  if (l.spill < 0) {
    failed_ = true;
    return;
  }
  a_.mov(gp(r, t), spill_mem(l.spill, wide(t) ? 8 : 4));
}

u8 Emitter::use(Value v) {
  const Loc& l = locs_[v];
  if (l.gpr >= 0) return lock(static_cast<u8>(l.gpr)), static_cast<u8>(l.gpr);
  if (l.home >= 0 && env_.homes.gpr[l.home] >= 0) return static_cast<u8>(env_.homes.gpr[l.home]);
  u8 r = alloc_gpr();
  load_to(r, v);
  locs_[v].gpr = static_cast<i8>(r);
  gpr_owner_[r] = v;
  return r;
}

Operand Emitter::use_rm(Value v) {
  const Loc& l = locs_[v];
  const unsigned size = wide(type(v)) ? 8 : 4;
  if (l.gpr < 0 && uses_[v] == 1 && !is_const(v)) {
    if (l.home >= 0 && env_.homes.gpr[l.home] < 0 && env_.homes.xmm[l.home] < 0)
      return home_mem(l.home, size);
    if (l.home < 0 && l.xmm < 0 && l.spill >= 0) return spill_mem(l.spill, size);
  }
  return gp(use(v), type(v));
}

u8 Emitter::use_f(Value v) {
  const Loc& l = locs_[v];
  if (l.xmm >= 0) return lock_xmm(static_cast<u8>(l.xmm)), static_cast<u8>(l.xmm);
  if (l.home >= 0 && env_.homes.xmm[l.home] >= 0) return static_cast<u8>(env_.homes.xmm[l.home]);
  u8 x = alloc_xmm();
  const bool w = wide(type(v));
  if (is_const(v)) {
    load_const_f(x, const_of(v), type(v));
  } else if (l.home >= 0 && env_.homes.gpr[l.home] < 0) {
    if (w)
      a_.vmovsd(x86::xmm(x), home_mem(l.home, 8));
    else
      a_.vmovss(x86::xmm(x), home_mem(l.home, 4));
  } else if (l.spill >= 0) {
    if (w)
      a_.vmovsd(x86::xmm(x), spill_mem(l.spill, 8));
    else
      a_.vmovss(x86::xmm(x), spill_mem(l.spill, 4));
  } else if (l.gpr >= 0 || l.home >= 0) {
    u8 g = l.gpr >= 0 ? static_cast<u8>(l.gpr) : static_cast<u8>(env_.homes.gpr[l.home]);
    if (w)
      a_.vmovq(x86::xmm(x), x86::gpq(g));
    else
      a_.vmovd(x86::xmm(x), x86::gpd(g));
  } else {
    failed_ = true;
  }
  locs_[v].xmm = static_cast<i8>(x);
  xmm_owner_[x] = v;
  return x;
}

Operand Emitter::use_fm(Value v) {
  const Loc& l = locs_[v];
  const unsigned size = wide(type(v)) ? 8 : 4;
  if (l.xmm < 0 && uses_[v] == 1 && !is_const(v)) {
    if (l.home >= 0 && env_.homes.xmm[l.home] < 0 && env_.homes.gpr[l.home] < 0)
      return home_mem(l.home, size);
    if (l.home < 0 && l.gpr < 0 && l.spill >= 0) return spill_mem(l.spill, size);
  }
  return x86::xmm(use_f(v));
}

void Emitter::consume(Value v) {
  if (v == ir::kNoValue) return;
  if (uses_[v] > 0) --uses_[v];
  if (uses_[v] != 0) return;
  Loc& l = locs_[v];
  if (l.gpr >= 0) gpr_owner_[l.gpr] = ir::kNoValue, l.gpr = -1;
  if (l.xmm >= 0) xmm_owner_[l.xmm] = ir::kNoValue, l.xmm = -1;
}

void Emitter::consume_args(const ir::Inst& i) {
  for (Value arg : i.args) consume(arg);
}

void Emitter::add_alias(i16 row, Value v) {
  aliases_[static_cast<std::size_t>(row)].push_back(v);
  alias_end_ = std::max(alias_end_, static_cast<u32>(row) + 1);
}

void Emitter::save_aliases(unsigned row, Value except) {
  auto& list = aliases_[row];
  const i8 g = env_.homes.gpr[row], x = env_.homes.xmm[row];
  for (Value v : list) {
    Loc& l = locs_[v];
    if (l.home != static_cast<i16>(row)) continue;
    if (v == except) continue;
    if (uses_[v] != 0 && l.gpr < 0 && l.xmm < 0 && l.spill < 0) {
      // To the stack: it is rare, and a temporary may be needed for the instruction at hand.
      l.spill = static_cast<i16>(new_spill());
      if (g >= 0)
        a_.mov(spill_mem(l.spill, 8), x86::gpq(g));
      else if (x >= 0)
        a_.vmovq(spill_mem(l.spill, 8), x86::xmm(x));
      else {
        // Memory to memory through whichever temporary is free, else through the one that is pushed aside.
        u8 t = alloc_gpr();
        a_.mov(x86::gpq(t), home_mem(row, 8));
        a_.mov(spill_mem(l.spill, 8), x86::gpq(t));
      }
    }
    l.home = -1;
  }
  list.clear();
  if (except != ir::kNoValue && locs_[except].home == static_cast<i16>(row)) list.push_back(except);
}

u8 Emitter::dest(Value v) {
  if (hint_[v] >= 0 && env_.homes.gpr[hint_[v]] >= 0) {
    save_aliases(static_cast<unsigned>(hint_[v]), ir::kNoValue);
    return static_cast<u8>(env_.homes.gpr[hint_[v]]);
  }
  return alloc_gpr();
}

u8 Emitter::dest_f(Value v) {
  if (hint_[v] >= 0 && env_.homes.xmm[hint_[v]] >= 0) {
    save_aliases(static_cast<unsigned>(hint_[v]), ir::kNoValue);
    return static_cast<u8>(env_.homes.xmm[hint_[v]]);
  }
  return alloc_xmm();
}

void Emitter::define(Value v, u8 r) {
  Loc& l = locs_[v];
  if (is_pinned(r)) {
    // The home already holds it; the SetReg that follows finds nothing left to do.
    l.home = hint_[v];
    add_alias(l.home, v);
    return;
  }
  if (uses_[v] == 0) return;
  l.gpr = static_cast<i8>(r);
  gpr_owner_[r] = v;
  if (crosses_[v]) {
    l.spill = static_cast<i16>(new_spill());
    a_.mov(spill_mem(l.spill, 8), x86::gpq(r));
  }
}

void Emitter::define_f(Value v, u8 x) {
  Loc& l = locs_[v];
  if (is_pinned_f(x)) {
    l.home = hint_[v];
    add_alias(l.home, v);
    return;
  }
  if (uses_[v] == 0) return;
  l.xmm = static_cast<i8>(x);
  xmm_owner_[x] = v;
  if (crosses_[v]) {
    l.spill = static_cast<i16>(new_spill());
    a_.vmovq(spill_mem(l.spill, 8), x86::xmm(x));
  }
}

}  // namespace hindcast::jit
