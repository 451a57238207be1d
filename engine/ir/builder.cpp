// Emission, blocks and exits. The algebra is in fold.cpp.
#include "engine/ir/builder.h"

#include <algorithm>

#include "engine/arch.h"
#include "engine/helpers.h"
#include "engine/ir/eval.h"

namespace hindcast::ir {

namespace {

std::size_t hash_of(const Inst& inst) {
  u64 h = static_cast<u64>(inst.op) | static_cast<u64>(inst.type) << 8;
  for (const u64 part : {u64{inst.args[0]}, u64{inst.args[1]}, u64{inst.args[2]}, inst.imm}) {
    h = (h ^ part) * 0x9e3779b97f4a7c15;
    h ^= h >> 29;
  }
  return static_cast<std::size_t>(h >> 8) & 0xff;
}

bool same_op(const Inst& a, const Inst& b) {
  return a.op == b.op && a.type == b.type && a.flags == b.flags && a.aux == b.aux && a.imm == b.imm &&
         a.args[0] == b.args[0] && a.args[1] == b.args[1] && a.args[2] == b.args[2];
}

bool has_effect(Op op) {
  switch (info(op).effect) {
    case Effect::Pure: return false;
    case Effect::State: return op == Op::SetReg || op == Op::FpSetFlags;
    default: return true;
  }
}

}  // namespace

Builder::Builder(const Architecture& arch, GuestAddr pc, u64 context, Buffers* buffers)
    : arch_(arch),
      context_(context),
      own_(buffers == nullptr ? std::make_unique<Buffers>() : nullptr),
      buffers_(buffers == nullptr ? *own_ : *buffers),
      blocks_(buffers_.blocks),
      begun_(buffers_.begun),
      known_(buffers_.known) {
  unit_.pc = pc;
  unit_.context = context;
  unit_.insts.swap(buffers_.insts);
  unit_.insts.clear();
  blocks_.clear();
  begun_.clear();
  if (known_.size() != arch.registers().size()) known_.assign(arch.registers().size(), {});
  recent_.fill(kNoValue);
  begin_block(add_block(false, 0));
}

Builder::~Builder() { unit_.insts.swap(buffers_.insts); }

/// Nothing is known of registers any more.
void Builder::forget() {
  if (++buffers_.epoch != 0) return;
  known_.assign(known_.size(), {});
  buffers_.epoch = 1;
}

void Builder::require(bool ok, const char* what, Op op) const {
  if (ok) return;
  const GuestAddr pc = last_insn_start_ == kNoValue ? unit_.pc : at(last_insn_start_).imm;
  char where[32];
  std::snprintf(where, sizeof where, "0x%llx", static_cast<unsigned long long>(pc));
  throw Fatal(std::string("internal error: the ") + arch_.name() + " translation of the instruction at " +
              where + " is wrong (" + info(op).name + ": " + what + "); please report it");
}

void Builder::require_integer(Op op, Value v) const {
  require(v < unit_.insts.size(), "an operand is missing", op);
  const Type t = type(v);
  require(t != Type::Void && !is_float(t), "an integer operand is needed", op);
}

bool Builder::is_const(Value v, u64* value) const {
  if (v >= unit_.insts.size() || at(v).op != Op::Const) return false;
  if (value != nullptr) *value = at(v).imm;
  return true;
}

bool Builder::is_const_value(Value v, u64 wanted) const {
  u64 value = 0;
  return is_const(v, &value) && value == wanted;
}

Value Builder::emit(const Inst& inst) {
  require(!ended_, "an op after the end of its block", inst.op);
  unit_.insts.push_back(inst);
  return static_cast<Value>(unit_.insts.size() - 1);
}

Value Builder::emit_pure(const Inst& inst) {
  Value& recent = recent_[hash_of(inst)];
  if (recent != kNoValue && recent >= blocks_[current_].first && same_op(at(recent), inst)) return recent;
  return recent = emit(inst);
}

Value Builder::konst(Type type, u64 value) {
  require(type != Type::Void, "a constant without a type", Op::Const);
  return emit_pure({.op = Op::Const, .type = type, .imm = truncate(type, value)});
}

// ---- guest state ----

unsigned Builder::checked_register(unsigned reg, Op op) const {
  require(reg < known_.size(), "there is no such register", op);
  return reg;
}

Value Builder::get(unsigned reg) {
  const RegisterRow& row = arch_.registers()[checked_register(reg, Op::GetReg)];
  if (row.zero) return konst(row.type, 0);
  if (reg == arch_.pc_register()) {
    return konst(row.type, last_insn_start_ == kNoValue ? unit_.pc : at(last_insn_start_).imm);
  }
  Known& known = known_[reg];
  if (known.epoch != buffers_.epoch)
    known = {emit({.op = Op::GetReg, .type = row.type, .imm = reg}), buffers_.epoch};
  return known.value;
}

void Builder::set(unsigned reg, Value value) {
  const RegisterRow& row = arch_.registers()[checked_register(reg, Op::SetReg)];
  require(value < unit_.insts.size() && type(value) == row.type, "the value has not the register's type",
          Op::SetReg);
  if (row.zero) return;
  require(reg != arch_.pc_register(), "the pc is set by exits only", Op::SetReg);
  Known& known = known_[reg];
  if (known.epoch == buffers_.epoch) {
    u64 constant = 0;
    if (known.value == value || (is_const(known.value, &constant) && is_const_value(value, constant))) return;
  }
  emit({.op = Op::SetReg, .type = row.type, .args = {value, kNoValue, kNoValue}, .imm = reg});
  known = {value, buffers_.epoch};
}

Value Builder::load(Type type, Value address, MemAttr attr) {
  require_integer(Op::Load, address);
  require(bits_of(type) >= 8, "no such access type", Op::Load);
  fold_address(address, attr);
  return emit({.op = Op::Load, .type = type, .args = {address, kNoValue, kNoValue}, .imm = attr.pack()});
}

void Builder::store(Value address, Value value, MemAttr attr) {
  require_integer(Op::Store, address);
  require(value < unit_.insts.size() && bits_of(type(value)) >= 8, "no such access type", Op::Store);
  fold_address(address, attr);
  emit({.op = Op::Store, .type = type(value), .args = {address, value, kNoValue}, .imm = attr.pack()});
}

Value Builder::fp(Op op, Type type, Round round, Value a, Value b, Value c, u8 flags) {
  require(info(op).effect == Effect::Fp, "not a floating-point op", op);
  const Value operands[3] = {a, b, c};
  const std::string_view wanted = info(op).operands;
  for (unsigned i = 0; i < 3; ++i) {
    if (i >= wanted.size()) {
      require(operands[i] == kNoValue, "too many operands", op);
    } else {
      require(operands[i] < unit_.insts.size(), "an operand is missing", op);
      require(is_float(this->type(operands[i])) == (wanted[i] == 'f'), "an operand of the wrong type", op);
    }
  }
  if (round == Round::Dynamic) round = arch_.rounding(context_);
  return emit({.op = op, .type = type, .flags = flags, .aux = static_cast<u32>(round), .args = {a, b, c}});
}

Value Builder::fp_get_flags() { return emit({.op = Op::FpGetFlags, .type = Type::I32}); }

void Builder::fp_set_flags(Value v) {
  require(v < unit_.insts.size() && type(v) == Type::I32, "the flags are I32", Op::FpSetFlags);
  emit({.op = Op::FpSetFlags, .type = Type::I32, .args = {v, kNoValue, kNoValue}});
}

Value Builder::call_pure(u32 number, Value a, Value b, Value c) {
  const Helper& callee = helper(number);
  require(callee.pure != nullptr, "the helper is not a pure one", Op::CallPure);
  u64 operands[3] = {};
  bool constant = true;
  const Value args[3] = {a, b, c};
  for (unsigned i = 0; i < 3; ++i) {
    if (args[i] == kNoValue) continue;
    require(args[i] < unit_.insts.size() && type(args[i]) == Type::I64, "operands are I64", Op::CallPure);
    constant = is_const(args[i], &operands[i]) && constant;
  }
  if (constant) return i64(callee.pure(operands[0], operands[1], operands[2]));
  return emit_pure({.op = Op::CallPure, .type = Type::I64, .args = {a, b, c}, .imm = number});
}

Value Builder::call(u32 number, Value a, Value b, Value c) {
  require(helper(number).fn != nullptr, "the helper is a pure one", Op::Call);
  for (const Value v : {a, b, c}) {
    require(v == kNoValue || (v < unit_.insts.size() && type(v) == Type::I64), "operands are I64", Op::Call);
  }
  const Value result = emit({.op = Op::Call, .type = Type::I64, .args = {a, b, c}, .imm = number});
  forget();
  return result;
}

// ---- control flow ----

void Builder::end(const Inst& inst) {
  emit(inst);
  blocks_[current_].count = static_cast<u32>(unit_.insts.size()) - blocks_[current_].first;
  ended_ = true;
}

u32 Builder::add_block(bool has_pc, GuestAddr pc) {
  blocks_.push_back({.has_pc = has_pc, .pc = pc});
  return static_cast<u32>(blocks_.size() - 1);
}

u32 Builder::target(GuestAddr pc) {
  const auto it = pc_blocks_.find(pc);
  return it != pc_blocks_.end() ? it->second : add_block(true, pc);
}

u32 Builder::new_block() { return add_block(false, 0); }

u32 Builder::declare_pc_block(GuestAddr pc) {
  const auto [it, inserted] = pc_blocks_.try_emplace(pc, 0);
  if (inserted && pc != unit_.pc) it->second = add_block(true, pc);
  return it->second;
}

void Builder::begin_block(u32 block) {
  require(begun_.empty() || ended_, "the block before has no end", Op::Jump);
  require(block < blocks_.size() && !blocks_[block].begun, "no such block, or begun twice", Op::Jump);
  blocks_[block].begun = true;
  blocks_[block].first = static_cast<u32>(unit_.insts.size());
  begun_.push_back(block);
  current_ = block;
  ended_ = false;
  forget();
}

void Builder::begin_pc_block(GuestAddr pc) {
  const u32 block = declare_pc_block(pc);
  if (block == 0 && current_ == 0 && unit_.insts.empty()) return;
  if (!ended_) jump(block);
  begin_block(block);
}

void Builder::jump(u32 block) { end({.op = Op::Jump, .aux = block}); }

void Builder::branch(Value cond, u32 if_true, u32 if_false) {
  require(cond < unit_.insts.size() && type(cond) == Type::I1, "the condition is I1", Op::Branch);
  u64 constant = 0;
  if (is_const(cond, &constant)) return jump(constant != 0 ? if_true : if_false);
  if (if_true == if_false) return jump(if_true);
  // A condition that is the negation of another one costs an op; the other way round it is free.
  if (at(cond).op == Op::Xor && is_const_value(at(cond).args[1], 1)) {
    cond = at(cond).args[0];
    std::swap(if_true, if_false);
  }
  end({.op = Op::Branch, .aux = if_true, .args = {cond, kNoValue, kNoValue}, .imm = if_false});
}

void Builder::goto_pc(GuestAddr pc) {
  if (context_ != unit_.context) return exit_dispatch(i64(pc));
  if (const auto it = pc_blocks_.find(pc); it != pc_blocks_.end()) return jump(it->second);
  end({.op = Op::ExitPc, .imm = pc});
}

void Builder::branch_pc(Value cond, GuestAddr taken, GuestAddr not_taken) {
  u64 constant = 0;
  if (is_const(cond, &constant)) return goto_pc(constant != 0 ? taken : not_taken);
  if (taken == not_taken) return goto_pc(taken);
  if (context_ != unit_.context) return exit_dispatch(select(cond, i64(taken), i64(not_taken)));
  const u32 if_true = target(taken);
  branch(cond, if_true, target(not_taken));
}

void Builder::jump_indirect(Value pc) {
  require_integer(Op::ExitIndirect, pc);
  if (context_ != unit_.context) return exit_dispatch(pc);
  u64 constant = 0;
  if (is_const(pc, &constant)) return goto_pc(constant);
  end({.op = Op::ExitIndirect, .args = {pc, kNoValue, kNoValue}});
}

void Builder::exit_dispatch(Value pc) {
  require_integer(Op::ExitDispatch, pc);
  end({.op = Op::ExitDispatch, .args = {pc, kNoValue, kNoValue}});
}

void Builder::exit_interp(GuestAddr pc) {
  require(!interpreting_, "the interpreter cannot leave an instruction to itself", Op::ExitInterp);
  end({.op = Op::ExitInterp, .imm = pc});
}

void Builder::insn_start(GuestAddr pc, unsigned length) {
  last_insn_start_ = emit({.op = Op::InsnStart, .imm = pc});
  set_insn_length(length);
}

void Builder::set_insn_length(unsigned length) {
  require(last_insn_start_ != kNoValue && length <= 255, "no such instruction", Op::InsnStart);
  unit_.insts[last_insn_start_].flags = static_cast<u8>(length);
}

void Builder::drop_insn_start() {
  require(last_insn_start_ + 1 == unit_.insts.size(), "the instruction has been begun", Op::InsnStart);
  unit_.insts.pop_back();
  last_insn_start_ = kNoValue;
}

// ---- laying out ----

void Builder::find_reachable_blocks() {
  Flags& seen = buffers_.seen;
  std::vector<u32>&work = buffers_.work, &exits = buffers_.exits, &order = buffers_.order;
  seen.assign(blocks_.size(), 0);
  work.assign(1, 0);
  exits.clear();
  order.clear();
  const auto visit = [&](u64 block, bool may_become_exit) {
    require(block < blocks_.size(), "no such block", Op::Jump);
    if (seen[block] != 0) return;
    if (may_become_exit && !blocks_[block].begun && blocks_[block].has_pc) return;  // take() makes it ExitPc
    seen[block] = 1;
    work.push_back(static_cast<u32>(block));
  };
  seen[0] = 1;
  while (!work.empty()) {
    const u32 number = work.back();
    work.pop_back();
    const PendingBlock& block = blocks_[number];
    require(block.begun ? block.count != 0 : block.has_pc, "a block is reached but was never written",
            Op::Jump);
    if (!block.begun) {
      exits.push_back(number);
      continue;
    }
    const Inst& last = at(block.first + block.count - 1);
    if (last.op == Op::Jump || last.op == Op::Branch) visit(last.aux, last.op == Op::Jump);
    if (last.op == Op::Branch) visit(last.imm, false);
  }
  for (const u32 number : begun_) {
    if (seen[number] != 0) order.push_back(number);
  }
  std::sort(exits.begin(), exits.end());
  order.insert(order.end(), exits.begin(), exits.end());
}

/// SetRegs whose value nobody can see: the same register is set again before anything may leave the unit.
/// Mostly these are condition flags. Units for the interpreter, which stops between any two instructions,
/// keep all, and so do those that are observed.
void Builder::find_overwritten_sets() {
  Flags &dead = buffers_.dead, &set_later = buffers_.set_later, &boundary_exits = buffers_.boundary_exits;
  dead.assign(unit_.insts.size(), 0);
  if (interpreting_ || keep_settings_) return;
  set_later.assign(known_.size(), 0);
  u64 set_end = 0;  // of set_later; mostly far below it, where the rows of control registers are
  const auto forget_sets = [&] {
    std::fill_n(set_later.begin(), set_end, u8{0});
    set_end = 0;
  };
  for (const u32 number : buffers_.order) {
    const PendingBlock& block = blocks_[number];
    if (!block.begun) continue;
    forget_sets();
    // After a call or an access the next instruction boundary is an exit: whoever was reached may have asked
    // for the run loop.
    boundary_exits.assign(block.count, 0);
    bool called = false;
    for (u32 i = 0; i < block.count; ++i) {
      const Op op = at(block.first + i).op;
      if (op == Op::Call || info(op).effect == Effect::Memory) called = true;
      if (op == Op::InsnStart) boundary_exits[i] = std::exchange(called, false) ? 1 : 0;
    }
    // A call in a block before this one may still have its boundary here.
    for (u32 i = 0; i < block.count; ++i) {
      if (at(block.first + i).op != Op::InsnStart) continue;
      boundary_exits[i] = 1;
      break;
    }
    for (u32 i = block.count; i-- > 0;) {
      const Inst& inst = at(block.first + i);
      bool leaves = false;
      switch (info(inst.op).effect) {
        case Effect::State:
          if (inst.op == Op::GetReg) set_later[inst.imm] = 0;
          if (inst.op == Op::SetReg) {
            dead[block.first + i] = set_later[inst.imm];
            set_later[inst.imm] = 1;
            set_end = std::max(set_end, inst.imm + 1);
          }
          break;
        case Effect::Memory:
        case Effect::Call:
        case Effect::End: leaves = true; break;
        case Effect::Mark: leaves = boundary_exits[i] != 0; break;
        default: break;
      }
      if (leaves) forget_sets();
    }
  }
}

void Builder::find_live_ops() {
  // Definitions precede uses in `insts`, so one pass backwards is enough.
  Flags& live = buffers_.live;
  const std::vector<u32>& order = buffers_.order;
  live.assign(unit_.insts.size(), 0);
  find_overwritten_sets();
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const PendingBlock& block = blocks_[*it];
    for (u32 i = block.first + block.count; i-- > block.first;) {
      const Inst& inst = at(i);
      if (has_effect(inst.op) && buffers_.dead[i] == 0) live[i] = 1;
      if (live[i] == 0) continue;
      for (const Value v : inst.args) {
        if (v != kNoValue) live[v] = 1;
      }
    }
  }
}

Unit Builder::take() {
  Unit out;
  take(out);
  return out;
}

void Builder::take(Unit& out) {
  require(ended_, "the last block has no end", Op::Jump);
  find_reachable_blocks();
  find_live_ops();
  const std::vector<u32>& order = buffers_.order;
  std::vector<u32>& new_number = buffers_.new_number;
  new_number.assign(blocks_.size(), 0);
  for (u32 i = 0; i < order.size(); ++i) new_number[order[i]] = i;

  out.pc = unit_.pc;
  out.context = unit_.context;
  out.insn_count = 0;
  out.insts.clear();
  out.blocks.clear();
  out.insts.reserve(unit_.insts.size() + order.size());
  out.blocks.reserve(order.size());
  std::vector<Value>& new_value = buffers_.new_value;
  new_value.resize(unit_.insts.size());  // set before it is used
  for (const u32 number : order) {
    const PendingBlock& block = blocks_[number];
    const u32 first = static_cast<u32>(out.insts.size());
    if (!block.begun) out.insts.push_back({.op = Op::ExitPc, .imm = block.pc});
    for (u32 i = block.first; i < block.first + block.count; ++i) {
      if (buffers_.live[i] == 0) continue;
      Inst inst = at(i);
      for (Value& v : inst.args) {
        if (v != kNoValue) v = new_value[v];
      }
      if (inst.op == Op::Jump && !blocks_[inst.aux].begun) {
        inst = {.op = Op::ExitPc, .imm = blocks_[inst.aux].pc};
      } else if (inst.op == Op::Jump || inst.op == Op::Branch) {
        inst.aux = new_number[inst.aux];
        if (inst.op == Op::Branch) inst.imm = new_number[inst.imm];
      }
      if (inst.op == Op::InsnStart) ++out.insn_count;
      new_value[i] = static_cast<Value>(out.insts.size());
      out.insts.push_back(inst);
    }
    out.blocks.push_back({first, static_cast<u32>(out.insts.size()) - first});
  }
#ifndef NDEBUG
  if (const std::string error = verify(out); !error.empty()) {
    throw Fatal(std::string("internal error: ") + arch_.name() + " translation: " + error);
  }
#endif
}

}  // namespace hindcast::ir
