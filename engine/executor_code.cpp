// The executor's books of what it has made: from which bytes, and what goes when they are written.
#include <algorithm>

#include "engine/executor.h"
#include "engine/instrumented.h"
#include "engine/ir/access.h"
#include "engine/jit/jit.h"

namespace hindcast {
namespace {

constexpr u64 kPage = AddressSpace::kPage;

/// About what a block for the interpreter takes with its entries in the tables.
u64 bytes_of(const jit::IrBlock& block) {
  constexpr u64 kTables = 192;
  return sizeof block + kTables + block.unit.insts.capacity() * sizeof(ir::Inst) +
         block.unit.blocks.capacity() * sizeof(ir::Block);
}

[[noreturn]] void fail_to_protect() {
  throw Fatal("the host has no memory mappings left for pages of code; raise vm.max_map_count");
}

}  // namespace

bool Executor::protect(const jit::Extent& extent) {
  for (int i = 0; i < 2; ++i)
    if (extent.size[i] != 0 && !machine_.memory().protect_code_page(extent.pa[i])) return false;
  return true;
}

void Executor::guard(const jit::Extent& extent) {
  if (protect(extent)) return;
  drop_all(nullptr);
  if (!protect(extent)) fail_to_protect();
}

void Executor::track(const jit::Extent& extent, jit::Context& context, jit::CodeKey key, bool jit_block,
                     u32 number) {
  // Again, since making the block may have emptied the arena.
  if (!protect(extent)) fail_to_protect();
  for (int i = 0; i < 2; ++i) {
    if (extent.size[i] == 0) continue;
    const GuestAddr page = extent.pa[i] & ~(kPage - 1);
    auto& list = pages_[page];
    list.push_back({&context, key, jit_block ? number : kInterp, extent, nullptr});
  }
}

void Executor::track_observed(const jit::Extent& extent, jit::Context& context,
                              std::shared_ptr<InstrBlock> block) {
  guard(extent);
  for (int i = 0; i < 2; ++i) {
    if (extent.size[i] == 0) continue;
    const GuestAddr page = extent.pa[i] & ~(kPage - 1);
    pages_[page].push_back({&context, {}, kInterp, extent, block});
  }
}

jit::IrBlock& Executor::keep(jit::Context& context, jit::CodeKey key, std::unique_ptr<jit::IrBlock> made) {
  constexpr u64 kLeast = EngineOptions::kLeastCodeCache;
  if (interp_bytes_ > std::max(machine_.options().engine.code_cache_bytes, kLeast)) drop_all(nullptr);
  guard(made->extent);
  track(made->extent, context, key, false, 0);
  interp_bytes_ += bytes_of(*made);
  return *context.interp.emplace(key, std::move(made)).first->second;
}

jit::IrBlock* Executor::kept(Vcpu& vcpu, jit::Context& context, jit::CodeKey key) {
  const auto it = context.interp.find(key);
  if (it == context.interp.end()) return nullptr;
  if (still_there(vcpu, context, it->second->extent, key.pc)) return it->second.get();
  interp_bytes_ -= bytes_of(*it->second);
  graveyard_.push_back(std::move(it->second));
  context.interp.erase(it);
  return nullptr;
}

// ---- coherence
// ---------------------------------------------------------------------------------------------------

void Executor::code_written(GuestAddr pa, std::size_t size) {
  bool any = false;
  auto it = pages_.lower_bound(pa & ~(kPage - 1));
  while (it != pages_.end() && it->first < pa + size) {
    auto& list = it->second;
    std::erase_if(list, [&](const Made& made) {
      if (!made.extent.overlaps(pa, size)) return false;
      any = true;
      if (made.observed != nullptr) {
        made.observed->valid = false;
      } else if (made.block != kInterp) {
        made.context->jit->kill(made.block);
      } else if (auto at = made.context->interp.find(made.key); at != made.context->interp.end()) {
        interp_bytes_ -= bytes_of(*at->second);
        graveyard_.push_back(std::move(at->second));
        made.context->interp.erase(at);
      }
      return true;
    });
    it = list.empty() ? pages_.erase(it) : std::next(it);
  }
  const RamBlock& ram = *machine_.memory().find_ram(pa);
  for (GuestAddr page = pa & ~(kPage - 1); page < pa + size; page += kPage)
    if ((ram.page_flags[ram.page_of(std::max(page, pa) - ram.base)] & RamBlock::kCode) != 0 &&
        !pages_.contains(page))
      machine_.memory().unprotect_code_page(std::max(page, pa));
  // What is there now may well be translatable.
  if (any) {
    for (auto& [value, context] : contexts_) context->interpreted.clear();
    if (instrumented_) instrumented_->code_changed();
  }
  // Whatever runs now must not go on with what it was made from.
  if (any) machine_.current().request_exit();
}

/// Whether translated code that runs now may go on into what is in the range: a translation is of one page
/// but for its end, and links to others stay within it.
bool Executor::runs_in(CoveredRange range) const {
  if (range.all()) return true;
  const GuestAddr pc = machine_.current().pc() & ~(kPage - 1);
  const GuestAddr next = (pc + kPage) & ir::address_mask(machine_.arch());
  return (pc - range.first) >> range.bits == 0 || (next - range.first) >> range.bits == 0;
}

void Executor::table_written(GuestAddr pa, std::size_t size) {
  // The words that are written, whole: entries have 4 or 8 bytes.
  constexpr GuestAddr kWord = 8;
  const GuestAddr begin = pa & ~(kWord - 1), end = (pa + size + kWord - 1) & ~(kWord - 1);
  AddressSpace& memory = machine_.memory();
  RamBlock& ram = *memory.find_ram(pa);
  const u64 page = ram.page_of(pa - ram.base);
  const auto drop = [&](CoveredRange range) {
    drop_derived(range);
    if (runs_in(range)) machine_.current().request_exit();
  };
  if (machine_.arch().table_entries_used({memory.peek(begin, end - begin), end - begin}))
    drop(ram.tables.covered(page, begin % kPage, end - begin));
  // A page that is only written is no table any more. What runs by it looks its own page up again, and makes
  // it one.
  constexpr unsigned kForgetTable = 64;
  if (ram.tables.count_write(page) < kForgetTable) return;
  drop(ram.tables.covered(page, 0, kPage));
  memory.forget_table(pa);
}

void Executor::drop_derived(CoveredRange range) {
  const unsigned page_bits = machine_.arch().page_bits();
  for (auto& [key, tlb] : tlbs_) tlb->drop_range(range.first, range.bits, page_bits);
  for (auto& [key, context] : contexts_)
    if (context->mapped) context->drop_range(range.first, range.bits);
  if (instrumented_) instrumented_->drop_derived(range);
}

void Executor::direct_access_ends(GuestAddr pa, u64 size) {
  const RamBlock& ram = *machine_.memory().find_ram(pa);
  for (auto& [key, tlb] : tlbs_) tlb->drop(ram.host + (pa - ram.base), size);
}

void Executor::flush() {
  flush_requested_ = false;
  ++flushes_;
  for (auto& [value, context] : contexts_) empty(*context);
  if (instrumented_) instrumented_->flush();
  for (auto& [page, made] : pages_)
    for (Made& m : made)
      if (m.observed != nullptr) m.observed->valid = false;
  interp_bytes_ = 0;
  for (auto& [key, tlb] : tlbs_) tlb->flush();
  machine_.memory().unprotect_code();
  machine_.memory().forget_tables();
  pages_.clear();
}

void Executor::empty(jit::Context& context) {
  // They are freed later, in any order.
  for (auto& [pc, block] : context.interp) graveyard_.push_back(std::move(block));
  context.interp.clear();
  context.blocks.clear();
  context.anywhere.clear();
  context.interpreted.clear();
  context.empty_views();
}

void Executor::drop_all(const jit::Jit* emptied) {
  flush();
  if (jit_ && jit_.get() != emptied) jit_->clear();
  if (instrumented_) instrumented_->clear_code(emptied);
}

}  // namespace hindcast
