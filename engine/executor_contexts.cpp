// What is kept for each state that translations depend on: its code, soft TLB and view of an address space.
#include "engine/executor.h"

#include "engine/ir/access.h"
#include "engine/jit/jit.h"

namespace hindcast {

namespace {
constexpr u64 kPage = AddressSpace::kPage;
constexpr std::size_t kMostContexts = 256;  // each with tables of some 100 KiB
constexpr std::size_t kMostTlbs = 256;      // of 32 KiB
}  // namespace

unsigned Executor::owner_of(u64 value, unsigned vcpu) const {
  // Protection is each vCPU's own: what one may execute another may not. Where fetches are mapped each
  // translation is found through the vCPU's own tables.
  const Architecture& arch = machine_.arch();
  return arch.fetch_mapped(value) || arch.memory_mode(value) == MemoryMode::Flat ? 0 : vcpu;
}

jit::Context& Executor::context_of(u64 value, unsigned vcpu) {
  if (contexts_.size() >= kMostContexts) {
    drop_all(nullptr);
    contexts_.clear();
  }
  auto& slot = contexts_[{value, owner_of(value, vcpu)}];
  if (!slot) {
    slot = std::make_unique<jit::Context>();
    describe(*slot, value);
    slot->jit = jit_.get();
  }
  return *slot;
}

void Executor::describe(jit::Context& context, u64 value) const {
  const Architecture& arch = machine_.arch();
  context.value = value;
  context.flat = arch.memory_mode(value) == MemoryMode::Flat;
  context.mapped = arch.fetch_mapped(value);
  context.rounding = arch.rounding(value);
  context.fp_rules = arch.fp_rules(value);
  // x86 MXCSR: all exceptions masked, rounding control in bits 13 and 14.
  u32 rc = 0;
  switch (context.rounding) {
    case ir::Round::Down: rc = 1; break;
    case ir::Round::Up: rc = 2; break;
    case ir::Round::TowardZero: rc = 3; break;
    default: break;
  }
  context.mxcsr = 0x1f80 | rc << 13;
}

bool Executor::is_current(const jit::Context& context, const Vcpu& vcpu) const {
  return machine_.arch().context(vcpu) == context.value;
}

SoftTlb* Executor::tlb_of(Vcpu& vcpu) {
  auto it = tlbs_.find({vcpu.index(), machine_.arch().data_space(vcpu)});
  if (it == tlbs_.end()) {
    if (tlbs_.size() >= kMostTlbs) {
      for (unsigned i = 0; i < machine_.vcpu_count(); ++i) machine_.vcpu(i).header().tlb = nullptr;
      tlbs_.clear();
    }
    it = tlbs_.emplace(std::pair{vcpu.index(), machine_.arch().data_space(vcpu)}, std::make_unique<SoftTlb>())
             .first;
  }
  SoftTlb* const tlb = it->second.get();
  const u64 generation = vcpu.protection_generation();
  if (tlb->generation != generation) tlb->flush();
  tlb->generation = generation;
  return tlb;
}

void Executor::enter_context(jit::Context& context, Vcpu& vcpu) {
  vcpu.header().tlb = context.flat ? nullptr : tlb_of(vcpu);
  if (!context.mapped) {
    context.use_view(0, 0);
    return;
  }
  context.use_view(vcpu.index(), machine_.arch().fetch_space(vcpu));
  const u64 generation = vcpu.protection_generation();
  if (context.view->generation != generation) context.view->empty();
  context.view->generation = generation;
}

bool Executor::locate(Vcpu& vcpu, jit::Context& context, GuestAddr pc, GuestAddr& pa,
                      GuestFault& fault) const {
  pa = pc;
  if (!context.mapped) return true;
  const GuestAddr page = pc & ~(kPage - 1);
  jit::CodeView::Page& known = context.view->pages[page / kPage % jit::CodeView::kPages];
  if (known.va != page) {
    const Translation t = machine_.arch().translate(vcpu, pc, 1, Access::Execute);
    if (!t.ok) {
      fault = {t.cause, t.value, t.detail};
      return false;
    }
    pa = t.physical;
    if (t.granule >= kPage) known = {page, t.physical & ~(kPage - 1)};
    context.view->used = true;
    return true;
  }
  pa = known.pa | (pc & (kPage - 1));
  return true;
}

bool Executor::still_there(Vcpu& vcpu, jit::Context& context, const jit::Extent& extent, GuestAddr pc) const {
  if (!context.mapped || extent.size[1] == 0) return true;
  GuestAddr pa = 0;
  GuestFault fault;
  const GuestAddr second = ((pc | (kPage - 1)) + 1) & ir::address_mask(machine_.arch());
  return locate(vcpu, context, second, pa, fault) && pa == extent.pa[1];
}

bool Executor::may_link(const jit::Context& context, const jit::Block& from, const jit::Block& to) const {
  const u64 other_page = ((from.pc ^ to.pc) | (from.pa ^ to.pa)) & ~(kPage - 1);
  return !context.mapped || (other_page == 0 && to.extent.size[1] == 0);
}

}  // namespace hindcast
