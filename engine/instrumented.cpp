#include "engine/instrumented.h"

#include <algorithm>

#include "engine/executor.h"

namespace hindcast {

using jit::ExitKind;
using jit::Jit;
using jit::Variant;

namespace {
constexpr u32 kTailInsns = 4;     // units made for a few instructions
constexpr u32 kInterpInsns = 32;  // the same where only the interpreter runs
}  // namespace

Instrumented::Instrumented(Machine& machine, Executor& executor, Instrumentation& observer)
    : machine_(machine),
      executor_(executor),
      observer_(observer),
      planner_(observer),
      frames_(sizeof(InstrFrame) * machine.vcpu_count()),
      cursors_(machine.vcpu_count()) {
  for (unsigned i = 0; i < machine.vcpu_count(); ++i) new (&frame(machine.vcpu(i))) InstrFrame;
  // Translated code addresses the frames by 32 bits.
  const u64 end = reinterpret_cast<u64>(frames_.data()) + frames_.size();
  if (executor.jit_ != nullptr && end <= 0x7fffffff) make_jit(Variant::Counting);
}

Instrumented::~Instrumented() = default;

InstrFrame& Instrumented::frame(const Vcpu& vcpu) const {
  return reinterpret_cast<InstrFrame*>(frames_.data())[vcpu.index()];
}

Instrumented::Context& Instrumented::context_of(Vcpu& vcpu) {
  const u64 value = machine_.arch().context(vcpu);
  auto& slot = contexts_[{value, vcpu.index()}];
  if (!slot) {
    slot = std::make_unique<Context>();
    executor_.describe(slot->jit, value);
    slot->jit.jit = jit_.get();
    slot->blocks = &blocks_[{value, executor_.owner_of(value, vcpu.index())}];
  }
  executor_.enter_context(slot->jit, vcpu);
  return *slot;
}

void Instrumented::resume() {
  for (InstrCursor& cursor : cursors_) cursor.leave();
}

void Instrumented::flush() {
  for (auto& [key, context] : contexts_) executor_.empty(context->jit);
}

void Instrumented::drop_derived(CoveredRange range) {
  for (auto& [key, context] : contexts_)
    if (context->jit.mapped) context->jit.drop_range(range.first, range.bits);
}

// ---- blocks
// ------------------------------------------------------------------------------------------------------

/// Whether the block is one instruction that lies in two pages, of which the second may be another by now.
bool Instrumented::crosses(const Context& context, const InstrBlock& block) {
  const InstrInsn& last = block.insns.back();
  return context.jit.mapped && ((last.pc + last.length - 1) ^ block.pc) >= AddressSpace::kPage;
}

std::shared_ptr<InstrBlock> Instrumented::block_at(Vcpu& vcpu, Context& context, jit::CodeKey key,
                                                   GuestFault& fault, std::unique_ptr<Fresh>* fresh) {
  auto it = context.blocks->find(key);
  if (it != context.blocks->end() && it->second->valid && fresh == nullptr && !crosses(context, *it->second))
    return it->second;
  auto made = std::make_unique<Fresh>();
  auto block = std::make_shared<InstrBlock>();
  block->pc = key.pc;
  block->context = context.jit.value;
  if (!executor_.build_unit(vcpu, context.jit, InstrBlock::kMaxInsns, false, made->unit, made->extent, fault,
                            &block->insns))
    return nullptr;
  auto same = [&](const InstrBlock& old) {
    return std::equal(old.insns.begin(), old.insns.end(), block->insns.begin(), block->insns.end(),
                      [](const InstrInsn& a, const InstrInsn& b) {
                        return a.physical == b.physical && a.length == b.length && a.bytes == b.bytes;
                      });
  };
  if (it != context.blocks->end() && same(*it->second)) {
    block = it->second;
  } else {
    observer_.translated(vcpu, *block);
    (*context.blocks)[key] = block;
  }
  if (!block->valid) {
    block->valid = true;
    executor_.track_observed(made->extent, context.jit, block);
  }
  if (fresh != nullptr) *fresh = std::move(made);
  return block;
}

bool Instrumented::can_translate(const InstrBlock& block) const {
  // A change is made before the instruction, or right after it: only the interpreter stops there.
  auto changes = [](const std::vector<InstrOp>& ops) {
    return std::any_of(ops.begin(), ops.end(), [](const InstrOp& op) { return op.changes; });
  };
  if (changes(block.entry) || std::any_of(block.insns.begin(), block.insns.end(), [&](const InstrInsn& insn) {
        return changes(insn.exec) || changes(insn.access);
      }))
    return false;
  // Breakpoints do not divide a block, so the interpreter stops inside.
  const auto& stops = machine_.breakpoints().pcs;
  return stops.empty() || std::none_of(block.insns.begin() + 1, block.insns.end(),
                                       [&](const InstrInsn& insn) { return stops.contains(insn.pc); });
}

void Instrumented::make_jit(Variant variant) {
  executor_.drop_all(nullptr);
  jit_ = std::make_unique<Jit>(machine_, variant);
  jit_->on_clear([this] { executor_.drop_all(jit_.get()); });
  for (auto& [key, context] : contexts_) {
    context->jit.jit = jit_.get();
    context->jit.empty_views();
  }
}

/// Frequent callbacks want other translations than counters do.
void Instrumented::choose_variant(const InstrPlan& plan) {
  if (plan.calls && jit_->variant() != Variant::Calling) make_jit(Variant::Calling);
}

InstrPlan Instrumented::plan(const InstrBlock& block, const ir::Unit& unit, const Vcpu& vcpu) {
  bool stale = false;
  InstrPlan plan = planner_.plan(block, unit, vcpu.index(), jit_->lanes(), stale);
  if (stale) executor_.drop_all(nullptr);
  choose_variant(plan);
  return plan;
}

u32 Instrumented::find_block(Vcpu& vcpu, Context& context, GuestAddr pc) {
  vcpu.set_pc(pc);
  jit::CodeKey key{pc, 0};
  GuestFault fault;  // the interpreter will meet it
  if (!executor_.locate(vcpu, context.jit, pc, key.pa, fault)) return Jit::kNone;
  if (const auto known = context.jit.blocks.find(key); known.block != Jit::kNone) {
    if (!known.reaches_on || executor_.still_there(vcpu, context.jit, jit_->block(known.block).extent, pc))
      return known.block;
    jit_->kill(known.block);
  }
  if (context.jit.interpreted.contains(key)) return Jit::kNone;
  std::unique_ptr<Fresh> fresh;
  const std::shared_ptr<InstrBlock> block = block_at(vcpu, context, key, fault, &fresh);
  if (!block) return Jit::kNone;
  u32 number = Jit::kNone;
  if (can_translate(*block)) {
    const InstrPlan plan = this->plan(*block, fresh->unit, vcpu);
    executor_.guard(fresh->extent);
    const jit::UnitInstr instr{block, plan, vcpu.index(), &frame(vcpu)};
    number = jit_->compile(context.jit, fresh->unit, fresh->extent, &instr);
  }
  if (number == Jit::kNone) {
    context.jit.interpreted.insert(key);
    return Jit::kNone;
  }
  executor_.track(fresh->extent, context.jit, key, true, number);
  return number;
}

// ---- leaving callbacks
// -------------------------------------------------------------------------------------------

template <typename Fn>
bool Instrumented::guarded(Vcpu& vcpu, bool in_jit, Fn fn) {
  struct Restore {
    Instrumented& self;
    std::jmp_buf* outer;
    ~Restore() {
      self.leave_ = outer;
      self.in_jit_ = false;
    }
  } restore{*this, leave_};
  InstrFrame& mine = frame(vcpu);
  mine.site = InstrFrame::kNoSite;
  mine.place = InstrFrame::Place::None;
  std::jmp_buf here;
  leave_ = &here;
  in_jit_ = in_jit;
  if (_setjmp(here) != 0) {
    after_leaving(vcpu);
    return false;
  }
  fn();
  return true;
}

void Instrumented::leave_callback() { std::longjmp(*leave_, 1); }

void Instrumented::host_call(Vcpu& vcpu, GuestAddr next_pc) {
  if (jit_ && jit_->lanes() != nullptr) jit_->lanes()->flush();
  observer_.discontinuity(vcpu, Discontinuity::HostCall, vcpu.pc(), next_pc);
}

void Instrumented::discontinuity(Vcpu& vcpu, Discontinuity kind, GuestAddr from) {
  cursors_[vcpu.index()].leave();
  observer_.discontinuity(vcpu, kind, from, vcpu.pc());
}

void Instrumented::settle(Vcpu& vcpu) const {
  const InstrFrame& mine = frame(vcpu);
  if (!in_jit_ || mine.site == InstrFrame::kNoSite) return;
  const jit::Site& site = jit_->site(mine.site);
  vcpu.header().pc = site.pc;
  vcpu.header().budget = static_cast<i64>(mine.budget) + site.rest - 1;
}

void Instrumented::after_leaving(Vcpu& vcpu) {
  InstrFrame& mine = frame(vcpu);
  InstrCursor& cursor = cursors_[vcpu.index()];
  bool access = mine.place == InstrFrame::Place::Access;
  if (in_jit_) {
    Jit::abandoned();
    settle(vcpu);
    const jit::InstrSite& site = jit_->instr_site(mine.site);
    access = site.access;
    cursor.block = std::const_pointer_cast<InstrBlock>(jit_->instr_block(jit_->site(mine.site).block));
    cursor.next = site.insn;
  } else if (access) {
    --cursor.next;
  }
  cursor.begun = true;
  cursor.changed = false;
  ++vcpu.header().budget;  // the attempt at hand has not been made
  mine.site = InstrFrame::kNoSite;
  mine.place = InstrFrame::Place::None;
  machine_.observer_left_inside_ = access;
  machine_.observed_stop_ = true;
}

// ---- execution
// ---------------------------------------------------------------------------------------------------

void Instrumented::begin(Vcpu& vcpu) { running_ = &context_of(vcpu); }

void Instrumented::clear_code(const Jit* emptied) {
  if (jit_ && jit_.get() != emptied) jit_->clear();
}

void Instrumented::code_changed() {
  for (auto& [key, context] : contexts_) context->jit.interpreted.clear();
}

void Instrumented::request_forget(const Vcpu& vcpu) {
  forget_requested_ = true;
  // Translated code must come back at the end of its block: no way out of it leads into another.
  for (auto& [key, context] : contexts_) context->jit.empty_views();
  if (in_jit_) jit_->unlink_exits(jit_->site(frame(vcpu).site).block);
}

void Instrumented::forget_operations(const void* owner, const Vcpu& vcpu) {
  request_forget(vcpu);
  const auto drop = [owner](std::vector<InstrOp>& ops) {
    std::erase_if(ops, [owner](const InstrOp& op) { return op.owner == owner; });
  };
  for (InstrCursor& cursor : cursors_) {
    if (!cursor.block) continue;
    // A copy: translations hold on to the block as they were made from it.
    const auto rest = std::make_shared<InstrBlock>(*cursor.block);
    drop(rest->entry);
    for (InstrInsn& insn : rest->insns) {
      drop(insn.exec);
      drop(insn.access);
    }
    rest->valid = false;  // nobody tells the copy when its bytes change: it is compared with them
    cursor.block = rest;
  }
}

void Instrumented::forget() {
  forget_requested_ = false;
  executor_.drop_all(nullptr);
  if (jit_) make_jit(Variant::Counting);
  planner_.forget();
  for (auto& [key, blocks] : blocks_) blocks.clear();
  for (InstrCursor& cursor : cursors_) cursor.leave();
  observer_.forgotten();
}

bool Instrumented::step(Vcpu& vcpu, bool use_jit) {
  Context& context = *running_;
  InstrCursor& cursor = cursors_[vcpu.index()];
  if (cursor.block &&
      (cursor.next >= cursor.block->insns.size() || cursor.block->insns[cursor.next].pc != vcpu.pc()))
    cursor.leave();
  if (forget_requested_ && !cursor.block) {
    forget();
    if (machine_.observer_waits()) return false;
  }
  if (use_jit && jit_ != nullptr && !cursor.block) return step_jit(vcpu, context);
  return interpret(vcpu, context, static_cast<u32>(std::min<i64>(vcpu.header().budget, kInterpInsns)));
}

u32 Instrumented::matching(const InstrCursor& cursor, const jit::IrBlock& made, u32 count) const {
  if (cursor.block->valid) return count;
  std::size_t at = 0;
  for (u32 k = 0; k < count; ++k) {
    const InstrInsn& insn = cursor.block->insns[cursor.next + k];
    if (made.code.size() - at < insn.length ||
        !std::equal(insn.bytes.begin(), insn.bytes.begin() + insn.length,
                    made.code.begin() + static_cast<i64>(at)))
      return k;
    at += insn.length;
  }
  return count;
}

bool Instrumented::interpret(Vcpu& vcpu, Context& context, u32 max) {
  InstrCursor& cursor = cursors_[vcpu.index()];
  jit::CodeKey key{vcpu.pc(), 0};
  GuestFault fault;
  auto faults = [&] {
    vcpu.header().budget -= 1;  // the attempt
    executor_.deliver(vcpu, fault);
    return false;
  };
  if (!executor_.locate(vcpu, context.jit, key.pc, key.pa, fault)) return faults();
  if (cursor.block && context.jit.mapped && cursor.block->insns[cursor.next].physical != key.pa)
    cursor.leave();
  if (!cursor.block) {
    std::shared_ptr<InstrBlock> block = block_at(vcpu, context, key, fault, nullptr);
    if (!block) return faults();
    if (machine_.observer_waits()) return false;
    cursor.leave();
    cursor.block = std::move(block);
  }
  jit::IrBlock* unit = executor_.kept(vcpu, context.jit, key);
  if (unit == nullptr) {
    auto made = std::make_unique<jit::IrBlock>();
    std::vector<InstrInsn> insns;
    if (!executor_.build_unit(vcpu, context.jit, jit_ ? kTailInsns : kInterpInsns, true, made->unit,
                              made->extent, fault, &insns))
      return faults();
    for (const InstrInsn& insn : insns)
      made->code.insert(made->code.end(), insn.bytes.begin(), insn.bytes.begin() + insn.length);
    unit = &executor_.keep(context.jit, key, std::move(made));
  }
  jit::IrBlock& made = *unit;
  u32 count =
      std::min({max, made.unit.insn_count, static_cast<u32>(cursor.block->insns.size()) - cursor.next});
  count = matching(cursor, made, count);
  if (count == 0) {
    cursor.leave();  // the code was changed under it: what is there now is a block of its own
    return true;
  }
  // A breakpoint inside: up to it.
  const auto& stops = machine_.breakpoints().pcs;
  if (!stops.empty())
    for (u32 k = 1; k < count; ++k)
      if (stops.contains(cursor.block->insns[cursor.next + k].pc)) count = k;
  return interpret_unit(vcpu, made, count);
}

bool Instrumented::interpret_unit(Vcpu& vcpu, jit::IrBlock& made, u32 count) {
  InstrCursor& cursor = cursors_[vcpu.index()];
  ir::InterpExit exit;
  const bool returned = guarded(vcpu, false, [&] {
    exit = interpreter_.run_instrumented(made.unit, vcpu, machine_.memory(), count, cursor, frame(vcpu));
  });
  if (!returned) return false;
  if (exit.kind == ir::InterpExit::Kind::Fault) {
    executor_.deliver(vcpu, exit.fault);
    return false;
  }
  if (cursor.block && cursor.next >= cursor.block->insns.size()) cursor.leave();
  switch (exit.kind) {
    case ir::InterpExit::Kind::BlockEnd: return vcpu.header().exit_request == 0;
    default: return false;
  }
}

bool Instrumented::step_jit(Vcpu& vcpu, Context& context) {
  CpuHeader& header = vcpu.header();
  u32 block = find_block(vcpu, context, header.pc);
  for (;;) {
    if (machine_.observer_waits()) return false;
    if (!planner_.holds()) {
      executor_.drop_all(nullptr);
      planner_.dropped();
      block = find_block(vcpu, context, header.pc);
    }
    if (block == Jit::kNone)
      return interpret(vcpu, context, static_cast<u32>(std::min<i64>(header.budget, kInterpInsns)));
    jit::Exit exit{};
    if (!guarded(vcpu, true, [&] { exit = jit_->enter(vcpu, context.jit, block); })) return false;
    switch (exit.kind) {
      case ExitKind::Link: {
        header.pc = jit_->link_at(exit.index).target;
        if (header.budget <= 0 || forget_requested_ || executor_.at_breakpoint(vcpu)) return true;
        const u64 flushes = executor_.flushes_;
        const u32 from = jit_->link_at(exit.index).from;
        const bool from_live = jit_->block(from).live;
        block = find_block(vcpu, context, header.pc);
        // If the arena was emptied meanwhile, the link is gone.
        if (block != Jit::kNone && from_live && executor_.flushes_ == flushes &&
            !executor_.has_breakpoint(vcpu) &&
            executor_.may_link(context.jit, jit_->block(from), jit_->block(block)))
          jit_->link(exit.index, block);
        continue;
      }
      case ExitKind::Indirect:
        if (header.budget <= 0 || forget_requested_ || executor_.at_breakpoint(vcpu)) return true;
        block = find_block(vcpu, context, header.pc);
        if (block != Jit::kNone && !executor_.has_breakpoint(vcpu)) jit_->cache_jump(context.jit, block);
        continue;
      default: return leave_jit(vcpu, context, exit);
    }
  }
}

bool Instrumented::leave_jit(Vcpu& vcpu, Context& context, jit::Exit exit) {
  CpuHeader& header = vcpu.header();
  InstrCursor& cursor = cursors_[vcpu.index()];
  if (exit.kind == ExitKind::Dispatch) return false;
  if (exit.kind == ExitKind::Budget) {
    header.pc = jit_->block(exit.index).pc;
    if (header.budget >= jit_->block(exit.index).insns && planner_.check_failed())
      executor_.drop_all(nullptr);
    return interpret(vcpu, context, static_cast<u32>(std::min<i64>(header.budget, InstrBlock::kMaxInsns)));
  }
  // A site: the exact state is that of its instruction.
  const jit::Site site = jit_->site(exit.index);
  const jit::InstrSite& instr = jit_->instr_site(exit.index);
  jit_->pay_owed(exit.index);
  header.pc = site.pc;
  header.budget += site.rest;
  if (exit.kind == ExitKind::Fault) {
    GuestFault fault;
    vcpu.take_fault(fault);
    if (std::exception_ptr error = vcpu.take_host_error()) std::rethrow_exception(error);
    executor_.deliver(vcpu, fault);
    return false;
  }
  cursor.block = std::const_pointer_cast<InstrBlock>(jit_->instr_block(site.block));
  cursor.next = instr.insn;
  cursor.begun = instr.begun;
  cursor.told = instr.told;
  if (exit.kind == ExitKind::Boundary) return false;
  if (jit_->last_exit_was_access()) {
    // Next time this access is prepared for what it met.
    context.jit.anywhere.insert(site.pc);
    jit_->kill(site.block);
  }
  return executor_.is_current(context.jit, vcpu) && interpret(vcpu, context, 1);
}

}  // namespace hindcast
