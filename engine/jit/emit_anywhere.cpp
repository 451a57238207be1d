// Accesses that are looked at before they are made: through the soft TLB, or, where the context is flat, at
// instructions that have met something else than plain memory. What is found there is made straight in the
// host's memory; Jit::make_access() makes the others.
#include <bit>

#include "engine/jit/emitter.h"
#include "engine/soft_tlb.h"
#include "engine/vcpu.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

namespace {
constexpr std::size_t kScratchAt = offsetof(CpuHeader, scratch);
}

/// Whether another access of the instruction may follow the op before `at`, whichever way the guest goes.
bool Emitter::may_access_from(Value at, unsigned depth) const {
  constexpr unsigned kDeepest = 8;
  if (depth == kDeepest) return true;
  for (;; ++at) {
    const ir::Inst& i = inst(at);
    switch (i.op) {
      case Op::Load:
      case Op::Store: return true;
      case Op::InsnStart: return false;
      case Op::Jump: return may_access_from(unit_->blocks[i.aux].first, depth + 1);
      case Op::Branch:
        return may_access_from(unit_->blocks[i.aux].first, depth + 1) ||
               may_access_from(unit_->blocks[i.imm].first, depth + 1);
      default:
        if (ir::info(i.op).effect == ir::Effect::End) return false;
    }
  }
}

/// Whether no access of the instruction comes before the one that is emitted.
bool Emitter::is_first_access() const {
  for (Value at = at_; at-- > 0 && inst(at).op != Op::InsnStart;)
    if (inst(at).op == Op::Load || inst(at).op == Op::Store) return false;
  return true;
}

/// What Jit::make_access() is told of the access that is emitted.
AccessWord Emitter::describe_access(const ir::Inst& i, unsigned width, bool in_ram) {
  const bool store = i.op == Op::Store;
  const bool checked = env_.context.anywhere.contains(pc_);
  // The next boundary looks whether somebody wants the run loop.
  if (checked) after_call_ = called_ = true;
  return {.site = add_site(pc_, insn_ - 1, {.insn = insn_ - 1, .begun = true}),
          .log2_size = static_cast<u8>(std::countr_zero(width)),
          .store = store,
          .write = store || ir::MemAttr::unpack(i.imm).store_intent,
          .first = is_first_access(),
          .last = !may_access_from(at_ + 1, 0),
          .checked = checked,
          .in_ram = in_ram};
}

/// The cold part of an access whose operand is [page + at]: `miss` leads to it, and it goes on behind what
/// has been emitted so far, with `page` such that the operand holds the value that was loaded, or takes the
/// one that has been stored to no effect.
void Emitter::make_at(const Label& miss, const ir::Inst& i, const AccessWord& word, u8 at, u8 page) {
  const u32 done = static_cast<u32>(a_.offset());
  const Value value = word.store ? i.args[1] : ir::kNoValue;
  const Loc where = word.store ? locs_[value] : Loc{};
  cold([this, done, miss, word, at, page, value, where, quick = quick_exit()] {
    constexpr u8 kCall = 0xe8;
    a_.bind(miss);
    if (value != ir::kNoValue) {
      load_from(page, where, value);
      a_.mov(field(kScratchAt + 16, 8), x86::gpq(page));
    }
    a_.mov(field(kScratchAt, 8), x86::gpq(at));
    a_.mov(field(kScratchAt + 8, 4), word.pack());
    if (env_.instr != nullptr) a_.mov(frame_mem(offsetof(InstrFrame, site), 4), InstrFrame::kNoSite);
    jump_to(quick ? env_.access_quick : env_.access, kCall);
    a_.mov(x86::gpq(page), field(kScratchAt, 8));
    a_.db(0xe9);
    a_.dd(done - (static_cast<u32>(a_.offset()) + 4));
  });
}

/// Through the soft TLB. An access that crosses the page's end misses, since its last byte's page is
/// compared.
x86::Mem Emitter::translated_address(const ir::Inst& i, u8 r, unsigned width) {
  const AccessWord word = describe_access(i, width, false);
  const Type t = env_.arch.address_bits() <= 32 ? Type::I32 : Type::I64;
  constexpr u32 kEntryShift = 5;
  const u32 page_bits = env_.arch.page_bits();
  if (t == Type::I32) a_.mov(x86::gpd(r), x86::gpd(r));
  const u8 entry = alloc_gpr(), page = alloc_gpr();
  const Label miss = a_.newLabel();
  a_.mov(x86::gpq(entry), x86::gpq(r));
  a_.shr(x86::gpq(entry), page_bits - kEntryShift);
  a_.and_(x86::gpd(entry), (SoftTlb::kEntries - 1) << kEntryShift);
  a_.add(x86::gpq(entry), field(offsetof(CpuHeader, tlb), 8));
  a_.lea(gp(page, t), x86::ptr(x86::gpq(r), static_cast<i32>(width - 1)));
  a_.and_(gp(page, t), static_cast<i32>(~((u32{1} << page_bits) - 1)));
  const i32 tag =
      static_cast<i32>(word.write ? offsetof(SoftTlb::Entry, write) : offsetof(SoftTlb::Entry, read));
  a_.cmp(x86::gpq(page), x86::ptr(x86::gpq(entry), tag, 8));
  a_.jne(miss);
  a_.mov(x86::gpq(page), x86::ptr(x86::gpq(entry), static_cast<i32>(offsetof(SoftTlb::Entry, addend)), 8));
  make_at(miss, i, word, r, page);
  locked_ &= ~(1u << entry);
  may_fault_ = false;
  return x86::ptr(x86::gpq(page), x86::gpq(r), 0, 0, width);
}

/// In a flat context, by the address in `r`: main RAM whose page nobody watches, else anything. It goes
/// through the alias, which is not protected.
x86::Mem Emitter::checked_address(const ir::Inst& i, u8 r, unsigned width) {
  const u8 s = alloc_gpr(), f = alloc_gpr();
  const Label miss = a_.newLabel();
  may_fault_ = false;
  if (env_.main_ram == nullptr) {
    const AccessWord word = describe_access(i, width, false);
    a_.jmp(miss);
    make_at(miss, i, word, r, f);
    locked_ &= ~(1u << s);
    return x86::ptr(x86::gpq(f), x86::gpq(r), 0, 0, width);
  }
  const RamBlock& ram = *env_.main_ram;
  const AccessWord word = describe_access(i, width, true);
  mov_imm(s, ram.base);
  a_.neg(x86::gpq(s));
  a_.add(x86::gpq(s), x86::gpq(r));
  const u64 last = ram.size - width;
  if (last <= INT32_MAX) {
    a_.cmp(x86::gpq(s), static_cast<u32>(last));
  } else {
    mov_imm(f, last);
    a_.cmp(x86::gpq(s), x86::gpq(f));
  }
  a_.ja(miss);
  if (word.write)
    check_store(ram, r, f, s, width, miss);
  else
    check_load(ram, r, f, s, width, miss);
  mov_imm(f, reinterpret_cast<u64>(ram.host));
  make_at(miss, i, word, s, f);
  locked_ &= ~(1u << r);
  return x86::ptr(x86::gpq(f), x86::gpq(s), 0, 0, width);
}

/// The flags of the page that holds `offset`, by way of `r` and `f`. An access that crosses into the next
/// page misses: the alias knows nothing of that page's flags.
x86::Mem Emitter::page_flags(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const Label& miss) {
  const auto to_page = [&] {
    if (ram.lead() != 0)
      a_.lea(x86::gpq(r), x86::ptr(x86::gpq(offset), static_cast<i32>(ram.lead())));
    else
      a_.mov(x86::gpq(r), x86::gpq(offset));
  };
  to_page();
  if (width > 1) {
    a_.and_(x86::gpd(r), AddressSpace::kPage - 1);
    a_.cmp(x86::gpd(r), AddressSpace::kPage - width);
    a_.ja(miss);
    to_page();
  }
  a_.shr(x86::gpq(r), 12);
  mov_imm(f, reinterpret_cast<u64>(ram.page_flags.data()));
  return x86::ptr(x86::gpq(f), x86::gpq(r), 0, 0, 1);
}

/// A load from RAM whose page may be watched. `offset`: register with the place in the block; `r` and `f` are
/// free.
void Emitter::check_load(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const Label& miss) {
  a_.test(page_flags(ram, r, f, offset, width, miss), RamBlock::kWatchLoads);
  a_.jnz(miss);
}

/// A store into RAM, or a load that one follows, likewise. Where only other bytes of the page are watched, it
/// is made.
void Emitter::check_store(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const Label& miss) {
  const Label store = a_.newLabel();
  const x86::Mem flags = page_flags(ram, r, f, offset, width, miss);
  a_.test(flags, RamBlock::kCode | RamBlock::kWatchStores | RamBlock::kWatchLoads);
  a_.jz(store);
  a_.test(flags, RamBlock::kCode);
  a_.jnz(miss);
  mov_imm(f, reinterpret_cast<u64>(&ram.watched_stores));
  a_.cmp(x86::gpq(offset), x86::ptr(x86::gpq(f), offsetof(decltype(ram.watched_stores), end), 8));
  a_.jae(store);
  a_.lea(x86::gpq(r), x86::ptr(x86::gpq(offset), static_cast<i32>(width)));
  a_.cmp(x86::gpq(r), x86::ptr(x86::gpq(f), offsetof(decltype(ram.watched_stores), begin), 8));
  a_.ja(miss);
  a_.bind(store);
}

}  // namespace hindcast::jit
