// Leaving a block: links, the jump cache, branches, helper calls and side exits.
#include "engine/helpers.h"
#include "engine/jit/emitter.h"
#include "engine/vcpu.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

namespace {

/// What translated code calls a helper through: its frames cannot be unwound, so an exception (a full disk
/// while recording, a divergence in a replay) waits until they have been left.
u64 call_guarded(Vcpu* vcpu, u64 a, u64 b, u64 c, HelperFn fn) {
  try {
    return fn(*vcpu, a, b, c);
  } catch (...) {
    vcpu->leave_with(std::current_exception());
    return 0;
  }
}

constexpr u8 kRax = 0, kRcx = 1, kRdx = 2;
}  // namespace

bool Emitter::emit_end(Value v) {
  const ir::Inst& i = inst(v);
  if (env_.instr != nullptr) settle();
  switch (i.op) {
    case Op::Jump: a_.jmp(labels_[i.aux]); return true;
    case Op::Branch: emit_branch(v); return !failed_;
    case Op::ExitPc:
      refund();
      emit_exit_pc(i.imm);
      return true;
    case Op::ExitIndirect:
      refund();
      emit_indirect(i.args[0]);
      return !failed_;
    case Op::ExitDispatch: {
      refund();
      dispatch_to(i.args[0]);
      return !failed_;
    }
    case Op::ExitInterp: a_.jmp(site_exit(ExitKind::Site, i.imm, insn_ - 1)); return true;
    default: return false;
  }
}

/// Gives back the budget of the instructions of the unit that this exit leaves out.
void Emitter::refund() {
  const u32 rest = unit_->insn_count - insn_;
  if (rest != 0) a_.add(x86::gpq(kBudgetGpr), rest);
}

void Emitter::leave(u32 index, ExitKind kind, bool quick) {
  a_.mov(x86::eax, index << 8 | static_cast<u32>(kind));
  jump_to(quick ? env_.instr->exit_quick : env_.exit_common);
}

void Emitter::jump_to(const u8* target, u8 opcode) {
  const u8* here = env_.code_address + a_.offset();
  a_.db(opcode);
  a_.dd(static_cast<u32>(static_cast<i32>(target - (here + 5))));
}

asmjit::Label Emitter::site_exit(ExitKind kind, GuestAddr pc, u32 done) {
  Label label = a_.newLabel();
  const bool begun = kind != ExitKind::Boundary;
  const u32 index = add_site(pc, done, {.insn = begun ? insn_ - 1 : insn_, .begun = begun});
  cold([this, label, index, kind, quick = quick_exit()] {
    a_.bind(label);
    leave(index, kind, quick);
  });
  return label;
}

u32 Emitter::add_site(GuestAddr pc, u32 done, InstrSite instr) {
  const u32 index = env_.first_site + static_cast<u32>(out_->sites.size());
  out_->sites.push_back({.block = env_.block, .rest = unit_->insn_count - done, .pc = pc});
  if (env_.instr == nullptr) return index;
  if (!owed_.empty()) {
    if (!owed_noted_) out_->owed.push_back(owed_);
    owed_noted_ = true;
    instr.owed = env_.instr->first_owed + static_cast<u32>(out_->owed.size()) - 1;
  }
  if (instr.begun) instr.told = told_;
  out_->instr_sites.push_back(instr);
  return index;
}

void Emitter::emit_exit_pc(GuestAddr pc) {
  if (after_call_) {
    // A helper may have asked for the run loop.
    Label asked = a_.newLabel();
    a_.cmp(field(offsetof(CpuHeader, exit_request), 4), 0);
    a_.jne(asked);
    cold([this, asked, pc] {
      a_.bind(asked);
      mov_imm(kRax, pc);
      a_.mov(field(offsetof(CpuHeader, pc), 8), x86::rax);
      leave(0, ExitKind::Dispatch);
    });
  }
  if (env_.context.mapped && ((pc ^ unit_->pc) & ~(AddressSpace::kPage - 1)) != 0) {
    // What is in another page may change while this code stays: as for any jump, the view knows.
    mov_imm(kRax, pc);
    a_.mov(x86::rdx, field(offsetof(CpuHeader, jumps), 8));
    const u32 entry = static_cast<u32>((pc / env_.arch.insn_alignment()) % CodeView::kJumps);
    const i32 at = static_cast<i32>(entry * sizeof(CodeView::Jump));
    jump_if_cached(x86::ptr(x86::rdx, at, 8), x86::ptr(x86::rdx, at + 8, 8));
    return;
  }
  const u32 number = env_.first_link + static_cast<u32>(out_->links.size());
  const u32 slot = static_cast<u32>(out_->links.size());
  Link link;
  link.from = env_.block;
  link.target = pc;
  out_->links.push_back(link);
  a_.db(0xe9);
  out_->links[slot].jump_offset = static_cast<u32>(a_.offset());
  a_.dd(0);
  cold([this, slot, number] {
    out_->links[slot].stub_offset = static_cast<u32>(a_.offset());
    leave(number, ExitKind::Link);
  });
}

/// To the block that begins at the pc in rax, if the view's entry is that pc's.
void Emitter::jump_if_cached(const Mem& pc, const Mem& code) {
  Label miss = a_.newLabel();
  a_.cmp(x86::rax, pc);
  a_.jne(miss);
  a_.jmp(code);
  cold([this, miss] {
    a_.bind(miss);
    a_.mov(field(offsetof(CpuHeader, pc), 8), x86::rax);
    leave(0, ExitKind::Indirect);
  });
}

void Emitter::dispatch_to(Value target) {
  load_to(kRax, target);
  if (!wide(type(target))) a_.mov(x86::eax, x86::eax);
  a_.mov(field(offsetof(CpuHeader, pc), 8), x86::rax);
  leave(0, ExitKind::Dispatch);
}

void Emitter::emit_indirect(Value target) {
  // Nothing of the block's values is needed after this: take all three temporaries.
  load_to(kRax, target);
  if (!wide(type(target))) a_.mov(x86::eax, x86::eax);
  if (after_call_) {
    Label asked = a_.newLabel();
    a_.cmp(field(offsetof(CpuHeader, exit_request), 4), 0);
    a_.jne(asked);
    cold([this, asked] {
      a_.bind(asked);
      a_.mov(field(offsetof(CpuHeader, pc), 8), x86::rax);
      leave(0, ExitKind::Dispatch);
    });
  }
  unsigned shift = 0;
  for (unsigned align = env_.arch.insn_alignment(); align > 1; align >>= 1) ++shift;
  // Entry index = (pc >> shift) mod entries; an entry is 16 bytes.
  static_assert(sizeof(CodeView::Jump) == 16 && offsetof(CodeView::Jump, code) == 8);
  if (shift <= 3)
    a_.lea(x86::ecx, x86::ptr(0, x86::rax, 4 - shift > 3 ? 3 : 4 - shift));
  else
    a_.mov(x86::ecx, x86::eax);
  if (shift == 0) a_.add(x86::ecx, x86::ecx);
  a_.and_(x86::ecx, (CodeView::kJumps - 1) << 4);
  a_.mov(x86::rdx, field(offsetof(CpuHeader, jumps), 8));
  jump_if_cached(x86::ptr(x86::rdx, x86::rcx, 0, 0, 8), x86::ptr(x86::rdx, x86::rcx, 0, 8, 8));
}

void Emitter::emit_branch(Value v) {
  const ir::Inst& i = inst(v);
  const Value cond = i.args[0];
  x86::CondCode cc;
  if (fused_compare(cond, v)) {
    cc = emit_compare(cond);
    uses_[cond] = 0;
  } else {
    emit_test(cond);
    consume(cond);
    cc = x86::CondCode::kNZ;
  }
  const u32 yes = i.aux, no = static_cast<u32>(i.imm);
  if (yes == current_block_ + 1) {
    a_.j(x86::negateCond(cc), labels_[no]);
  } else {
    a_.j(cc, labels_[yes]);
    if (no != current_block_ + 1) a_.jmp(labels_[no]);
  }
}

/// The flags that have accrued in MXCSR join the guest's. Takes eax.
void Emitter::collect_flags() {
  a_.stmxcsr(field(offsetof(CpuHeader, scratch), 4));
  a_.mov(x86::eax, field(offsetof(CpuHeader, scratch), 4));
  a_.and_(x86::eax, 0x3d);
  a_.or_(field(offsetof(CpuHeader, fp_flags), 4), x86::eax);
}

/// Writes the homes that C code would destroy, or may want to see, to the CPU state.
void Emitter::save_for_c() {
  const auto rows = env_.arch.registers();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (i8 g = env_.homes.gpr[row]; g >= 0)
      a_.mov(home_mem(static_cast<unsigned>(row), wide(rows[row].type) ? 8 : 4),
             gp(static_cast<u8>(g), rows[row].type));
    if (i8 x = env_.homes.xmm[row]; x >= 0) a_.vmovsd(home_mem(static_cast<unsigned>(row), 8), x86::xmm(x));
  }
  save_lanes();
}

void Emitter::restore_after_c(u32 keep_mask) {
  const auto rows = env_.arch.registers();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (i8 g = env_.homes.gpr[row]; g >= 0 && ((keep_mask >> g) & 1) == 0)
      a_.mov(gp(static_cast<u8>(g), rows[row].type),
             home_mem(static_cast<unsigned>(row), wide(rows[row].type) ? 8 : 4));
    if (i8 x = env_.homes.xmm[row]; x >= 0) a_.vmovsd(x86::xmm(x), home_mem(static_cast<unsigned>(row), 8));
  }
  restore_lanes();
}

void Emitter::emit_call(Value v) {
  const ir::Inst& i = inst(v);
  const bool pure = i.op == Op::CallPure;
  const Helper& h = helper(static_cast<u32>(i.imm));
  const void* fn =
      pure ? reinterpret_cast<const void*>(h.pure) : reinterpret_cast<const void*>(&call_guarded);

  // Arguments to stack slots while everything is still in place, then into the argument registers.
  int slots[3] = {-1, -1, -1};
  for (int k = 0; k < 3; ++k) {
    if (i.args[k] == ir::kNoValue) continue;
    slots[k] = new_spill();
    u8 r = use(i.args[k]);
    a_.mov(spill_mem(slots[k], 8), x86::gpq(r));
    unlock_all();
  }
  consume_args(i);
  spill_temporaries();
  if (env_.instr != nullptr && !pure) pay();
  if (!pure)  // it may write any register
    for (unsigned row = 0; row < alias_end_; ++row) save_aliases(row, ir::kNoValue);
  spill_temporaries();
  save_for_c();
  constexpr u8 kArgs[] = {7, 6, 2, 1};  // rdi rsi rdx rcx
  unsigned n = 0;
  if (!pure) {
    a_.mov(x86::rdi, field(offsetof(CpuHeader, vcpu), 8));
    n = 1;
    // Exact state for the helper: pc, budget after this instruction, accrued floating-point flags.
    mov_imm(kRax, pc_);
    a_.mov(field(offsetof(CpuHeader, pc), 8), x86::rax);
    a_.lea(x86::rax, x86::ptr(x86::gpq(kBudgetGpr), static_cast<i32>(unit_->insn_count - insn_)));
    a_.mov(field(offsetof(CpuHeader, budget), 8), x86::rax);
    if (env_.host.avx && !quick_exit()) collect_flags();
    if (env_.instr != nullptr) a_.mov(frame_mem(offsetof(InstrFrame, site), 4), InstrFrame::kNoSite);
  }
  for (int slot : slots) {
    if (slot >= 0)
      a_.mov(x86::gpq(kArgs[n]), spill_mem(slot, 8));
    else
      a_.xor_(x86::gpd(kArgs[n]), x86::gpd(kArgs[n]));
    ++n;
  }
  if (!pure) {
    a_.mov(x86::r8, reinterpret_cast<u64>(h.fn));
    host_rounding();
  }
  a_.mov(x86::rax, reinterpret_cast<u64>(fn));
  a_.call(x86::rax);
  if (pure) {
    // Callee-saved homes are untouched.
    u32 keep = 0;
    for (u8 g = 0; g < 16; ++g)
      if (!is_caller_saved(g)) keep |= 1u << g;
    restore_after_c(keep);
  } else {
    a_.ldmxcsr(field(offsetof(CpuHeader, mxcsr), 4));  // without the flags that C++ code may have raised
    floats_ready_ = true;
    restore_after_c(0);
    a_.test(field(offsetof(CpuHeader, exit_request), 4), kExitFault);
    a_.jnz(site_exit(ExitKind::Fault, pc_, insn_));
    after_call_ = called_ = true;
  }
  if (uses_[v] != 0) {
    lock(kRax);
    define(v, kRax);
  }
}

}  // namespace hindcast::jit
