// Loads and stores: straight into the memory window where the context allows it.
#include <bit>

#include "engine/jit/emitter.h"
#include "engine/soft_tlb.h"
#include "engine/vcpu.h"

namespace hindcast::jit {

using namespace asmjit;
using ir::Op;
using ir::Type;

namespace {
// A base that was compared with the window's limit may be used with any offset this small: the window has
// guards.
constexpr i32 kUncheckedOffset = 1 << 19;
}  // namespace

void Emitter::note_access(u32 begin) {
  out_->accesses.push_back(
      {begin, static_cast<u32>(a_.offset()), static_cast<u32>(out_->sites.size()), pc_, quick_exit()});
  add_site(pc_, insn_ - 1, {.insn = insn_ - 1, .begun = true});
}

x86::Mem Emitter::address(const ir::Inst& i, unsigned width) {
  const ir::MemAttr attr = ir::MemAttr::unpack(i.imm);
  const Value base = i.args[0];
  const bool narrow = env_.arch.address_bits() <= 32;
  const auto slow_at = env_.context.slow.find(pc_);
  const Slow slow = slow_at == env_.context.slow.end() ? Slow::No : slow_at->second;
  const bool computed = !env_.context.flat || slow != Slow::No || (attr.must_align && width > 1) ||
                        is_const(base) ||
                        (!narrow && (attr.offset >= kUncheckedOffset || attr.offset < -kUncheckedOffset));
  x86::Mem m;
  if (!computed) {
    u8 rb = use(base);
    if (!narrow) {
      bool known = false;
      for (const auto& c : checked_) known |= c.first == base;
      if (!known) {
        a_.cmp(x86::gpq(rb), field(offsetof(CpuHeader, window_limit), 8));
        a_.jae(site_exit(ExitKind::Site, pc_, insn_ - 1));
        checked_.push_back({base, 0});
      }
      m = x86::ptr(x86::gpq(rb), attr.offset, width);
    } else {
      m = x86::ptr(x86::gpd(rb), attr.offset, width);
    }
    m.setSegment(x86::gs);
    return m;
  }

  const u64 at = is_const(base) ? const_of(base) + static_cast<u64>(static_cast<i64>(attr.offset)) : 0;
  if (is_const(base) && narrow && env_.context.flat && slow == Slow::No &&
      static_cast<u32>(at) <= INT32_MAX && (!attr.must_align || at % width == 0)) {
    m = x86::ptr(u64{static_cast<u32>(at)}, width);
    m.setAbs();
    m.setSegment(x86::gs);
    return m;
  }

  // The whole address in a temporary.
  u8 r = alloc_gpr();
  const Type t = narrow ? Type::I32 : Type::I64;
  if (is_const(base)) {
    mov_imm(r, narrow ? static_cast<u32>(at) : at);
  } else {
    u8 rb = use(base);
    if (attr.offset != 0)
      a_.lea(gp(r, t), x86::ptr(x86::gpq(rb), attr.offset));
    else
      mov(r, rb, t);
    if (!is_pinned(rb)) locked_ &= ~(1u << rb);
  }
  if (attr.must_align && width > 1) {
    a_.test(x86::gpb_lo(r), width - 1);
    a_.jnz(site_exit(ExitKind::Site, pc_, insn_ - 1));
  }
  if (!env_.context.flat) {
    if (slow == Slow::Code) a_.jmp(site_exit(ExitKind::Site, pc_, insn_ - 1));
    return translated_address(i, r, width);
  }
  if (slow != Slow::No && env_.main_ram != nullptr) {
    // Only RAM is reached directly from here; anything else is the interpreter's.
    const RamBlock& ram = *env_.main_ram;
    u8 s = alloc_gpr();
    mov_imm(s, ram.base);
    a_.neg(x86::gpq(s));
    a_.add(x86::gpq(s), x86::gpq(r));
    u8 limit = 0;
    const u64 last = ram.size - width;
    if (last <= 0x7fffffff) {
      a_.cmp(x86::gpq(s), static_cast<u32>(last));
    } else {
      limit = alloc_gpr();
      mov_imm(limit, last);
      a_.cmp(x86::gpq(s), x86::gpq(limit));
    }
    a_.ja(site_exit(ExitKind::Site, pc_, insn_ - 1));
    if (slow == Slow::Code && limit == 0)
      return i.op == Op::Store ? checked_store(ram, r, s, width) : checked_load(ram, r, s, width);
    if (slow == Slow::Code) {
      constexpr u8 kLoads = RamBlock::kWatchLoads | RamBlock::kUnmapped;
      const u8 mask = i.op == Op::Store ? RamBlock::kCode | RamBlock::kWatchStores | kLoads : kLoads;
      a_.shr(x86::gpq(s), 12);
      const u64 flags = reinterpret_cast<u64>(ram.page_flags.data());
      u8 f = last <= 0x7fffffff ? alloc_gpr() : limit;
      mov_imm(f, flags);
      a_.test(x86::ptr(x86::gpq(f), x86::gpq(s), 0, 0, 1), mask);
      a_.jnz(site_exit(ExitKind::Site, pc_, insn_ - 1));
      if (last <= 0x7fffffff) locked_ &= ~(1u << f);
    }
    locked_ &= ~(1u << s);
    if (last > 0x7fffffff) locked_ &= ~(1u << limit);
  } else if (slow != Slow::No) {
    a_.jmp(site_exit(ExitKind::Site, pc_, insn_ - 1));
  } else if (!narrow) {
    a_.cmp(x86::gpq(r), field(offsetof(CpuHeader, window_limit), 8));
    a_.jae(site_exit(ExitKind::Site, pc_, insn_ - 1));
  }
  m = narrow ? x86::ptr(x86::gpd(r), 0, width) : x86::ptr(x86::gpq(r), 0, width);
  m.setSegment(x86::gs);
  return m;
}

/// The flags of the page that holds `offset`, by way of `r` and `f`. An access that crosses into the next
/// page leaves: the alias knows nothing of that page's flags.
x86::Mem Emitter::page_flags(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const Label& leave) {
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
    a_.ja(leave);
    to_page();
  }
  a_.shr(x86::gpq(r), 12);
  mov_imm(f, reinterpret_cast<u64>(ram.page_flags.data()));
  return x86::ptr(x86::gpq(f), x86::gpq(r), 0, 0, 1);
}

/// A load from RAM whose page may be watched, or not be in the window: through the alias.
x86::Mem Emitter::checked_load(const RamBlock& ram, u8 r, u8 offset, unsigned width) {
  const Label leave = site_exit(ExitKind::Site, pc_, insn_ - 1);
  const u8 f = alloc_gpr();
  a_.test(page_flags(ram, r, f, offset, width, leave), RamBlock::kWatchLoads);
  a_.jnz(leave);
  mov_imm(f, reinterpret_cast<u64>(ram.host));
  locked_ &= ~(1u << r);
  return x86::ptr(x86::gpq(f), x86::gpq(offset), 0, 0, width);
}

/// A store into RAM that looks at the page's flags first. `offset`: register with the place in the block; `r`
/// is free. Where only other bytes of the page are watched, it goes through the alias, which is not
/// protected.
x86::Mem Emitter::checked_store(const RamBlock& ram, u8 r, u8 offset, unsigned width) {
  const Label leave = site_exit(ExitKind::Site, pc_, insn_ - 1);
  const Label store = a_.newLabel();
  const u8 f = alloc_gpr();
  const x86::Mem flags = page_flags(ram, r, f, offset, width, leave);
  a_.test(flags, RamBlock::kCode | RamBlock::kWatchStores | RamBlock::kWatchLoads);
  a_.jz(store);
  a_.test(flags, RamBlock::kCode);
  a_.jnz(leave);
  mov_imm(f, reinterpret_cast<u64>(&ram.watched_stores));
  a_.cmp(x86::gpq(offset), x86::ptr(x86::gpq(f), offsetof(decltype(ram.watched_stores), end), 8));
  a_.jae(store);
  a_.lea(x86::gpq(r), x86::ptr(x86::gpq(offset), static_cast<i32>(width)));
  a_.cmp(x86::gpq(r), x86::ptr(x86::gpq(f), offsetof(decltype(ram.watched_stores), begin), 8));
  a_.ja(leave);
  a_.bind(store);
  mov_imm(f, reinterpret_cast<u64>(ram.host));
  locked_ &= ~(1u << r);
  return x86::ptr(x86::gpq(f), x86::gpq(offset), 0, 0, width);
}

/// Whether it is a store, and the instruction's only access: one that the interpreter has to make is then
/// made with its whole instruction, of which nobody has been told yet.
bool Emitter::is_only_store(Value v) const {
  const auto accesses = [&](Value at) { return inst(at).op == Op::Load || inst(at).op == Op::Store; };
  if (inst(v).op != Op::Store) return false;
  for (Value at = v; at-- > 0 && inst(at).op != Op::InsnStart;)
    if (accesses(at)) return false;
  for (Value at = v + 1; at < unit_->insts.size() && inst(at).op != Op::InsnStart; ++at)
    if (accesses(at)) return false;
  return true;
}

/// Through the soft TLB. An access that crosses the page's end misses, since its last byte's page is
/// compared.
x86::Mem Emitter::translated_address(const ir::Inst& i, u8 r, unsigned width) {
  const bool write = i.op == Op::Store || ir::MemAttr::unpack(i.imm).store_intent;
  const Type t = env_.arch.address_bits() <= 32 ? Type::I32 : Type::I64;
  constexpr u32 kEntryShift = 5;
  const u32 page_bits = env_.arch.page_bits();
  if (t == Type::I32) a_.mov(x86::gpd(r), x86::gpd(r));
  const u8 entry = alloc_gpr(), page = alloc_gpr();
  const Label miss = a_.newLabel();
  const u32 again = static_cast<u32>(a_.offset());
  a_.mov(x86::gpq(entry), x86::gpq(r));
  a_.shr(x86::gpq(entry), page_bits - kEntryShift);
  a_.and_(x86::gpd(entry), (SoftTlb::kEntries - 1) << kEntryShift);
  a_.add(x86::gpq(entry), field(offsetof(CpuHeader, tlb), 8));
  a_.lea(gp(page, t), x86::ptr(x86::gpq(r), static_cast<i32>(width - 1)));
  a_.and_(gp(page, t), static_cast<i32>(~((u32{1} << page_bits) - 1)));
  const i32 tag = static_cast<i32>(write ? offsetof(SoftTlb::Entry, write) : offsetof(SoftTlb::Entry, read));
  a_.cmp(x86::gpq(page), x86::ptr(x86::gpq(entry), tag, 8));
  a_.jne(miss);
  const Miss what{add_site(pc_, insn_ - 1, {.insn = insn_ - 1, .begun = true}), write, is_only_store(at_),
                  static_cast<u8>(std::countr_zero(width))};
  a_.mov(x86::gpq(page), x86::ptr(x86::gpq(entry), static_cast<i32>(offsetof(SoftTlb::Entry, addend)), 8));
  const u32 done = static_cast<u32>(a_.offset());
  cold([this, again, done, miss, what, quick = quick_exit(), r, page] {
    const auto jump_back = [this](u8 condition, u32 to) {
      const u8 opcode[] = {0x0f, condition};
      a_.embed(opcode, sizeof opcode);
      a_.dd(to - (static_cast<u32>(a_.offset()) + 4));
    };
    constexpr u8 kCall = 0xe8, kJe = 0x84, kJa = 0x87;
    a_.bind(miss);
    a_.mov(field(offsetof(CpuHeader, scratch), 8), x86::gpq(r));
    a_.mov(field(offsetof(CpuHeader, scratch) + 8, 4), what.pack());
    jump_to(env_.fill, kCall);
    if (what.store) {
      a_.mov(x86::gpq(page), field(offsetof(CpuHeader, scratch), 8));  // flags stay
      jump_back(kJa, done);
    } else {
      jump_back(kJe, again);
    }
    leave(what.site, ExitKind::Site, quick);
  });
  locked_ &= ~(1u << entry);
  return x86::ptr(x86::gpq(page), x86::gpq(r), 0, 0, width);
}

bool Emitter::leaves_for_access(const ir::Inst& i) {
  const ir::MemAttr attr = ir::MemAttr::unpack(i.imm);
  if (!attr.big_endian && attr.space == 0) return false;
  a_.jmp(site_exit(ExitKind::Site, pc_, insn_ - 1));
  return true;
}

void Emitter::emit_load(Value v) {
  const ir::Inst& i = inst(v);
  const unsigned width = ir::bits_of(i.type) / 8;
  const Value ext = extended_by_[v];
  const Value result = ext == ir::kNoValue ? v : ext;
  if (ext != ir::kNoValue) {
    done_[ext] = true;
    uses_[v] = 0;
  }
  if (leaves_for_access(i)) {
    consume_args(i);
    if (ir::is_float(i.type))
      define_f(v, dest_f(v));
    else
      define(result, dest(result));
    return;
  }
  AccessOps observed = access_ops(v);
  if (observed.address >= 0) hint_[result] = -1;  // a callback sees the register as it was
  keep_address(i, observed);
  x86::Mem m = address(i, width);
  consume_args(i);
  if (failed_) return;
  if (ir::is_float(i.type)) {
    u8 d = dest_f(v);
    u32 begin = static_cast<u32>(a_.offset());
    if (width == 8)
      a_.vmovsd(x86::xmm(d), m);
    else
      a_.vmovss(x86::xmm(d), m);
    note_access(begin);
    if (observed.value) keep_value_f(d);
    define_f(v, d);
    emit_access_ops(observed);
    return;
  }
  // Here an address in a temporary may become the destination: the load reads before it writes.
  u8 d;
  if (hint_[result] >= 0 && env_.homes.gpr[hint_[result]] >= 0) {
    d = dest(result);
  } else {
    locked_ = 0;
    d = alloc_gpr();
  }
  const bool sign = ext != ir::kNoValue && inst(ext).op == Op::SExt;
  const bool w = ext != ir::kNoValue ? inst(ext).type == Type::I64 : wide(i.type);
  const u32 begin = static_cast<u32>(a_.offset());
  switch (width) {
    case 8: a_.mov(x86::gpq(d), m); break;
    case 4:
      if (sign && w)
        a_.movsxd(x86::gpq(d), m);
      else
        a_.mov(x86::gpd(d), m);
      break;
    default:
      if (sign)
        a_.movsx(w ? x86::gpq(d) : Gp(x86::gpd(d)), m);
      else
        a_.movzx(x86::gpd(d), m);
      break;
  }
  note_access(begin);
  if (observed.value) keep_value(d);
  define(result, d);
  emit_access_ops(observed);
}

void Emitter::emit_store(Value v) {
  const ir::Inst& i = inst(v);
  const Value value = i.args[1];
  const unsigned width = ir::bits_of(i.type) / 8;
  if (leaves_for_access(i)) {
    consume_args(i);
    return;
  }
  AccessOps observed = access_ops(v);
  keep_address(i, observed);
  if (observed.value) {
    const u32 locked = locked_;
    if (ir::is_float(i.type))
      keep_value_f(use_f(value));
    else
      keep_value(use(value));
    locked_ = locked;
  }
  x86::Mem m = address(i, width);
  if (failed_) return;
  u32 begin;
  if (ir::is_float(i.type)) {
    u8 from = use_f(value);
    begin = static_cast<u32>(a_.offset());
    if (width == 8)
      a_.vmovsd(m, x86::xmm(from));
    else
      a_.vmovss(m, x86::xmm(from));
  } else if (is_const(value) &&
             (width < 8 || static_cast<i64>(const_of(value)) == static_cast<i32>(const_of(value)))) {
    begin = static_cast<u32>(a_.offset());
    const u64 c = const_of(value);
    a_.mov(m, Imm(width == 1   ? static_cast<i64>(static_cast<i8>(c))
                  : width == 2 ? static_cast<i64>(static_cast<i16>(c))
                               : static_cast<i64>(static_cast<i32>(c))));
  } else {
    u8 from = use(value);
    begin = static_cast<u32>(a_.offset());
    switch (width) {
      case 8: a_.mov(m, x86::gpq(from)); break;
      case 4: a_.mov(m, x86::gpd(from)); break;
      case 2: a_.mov(m, x86::gpw(from)); break;
      default: a_.mov(m, x86::gpb_lo(from)); break;
    }
  }
  note_access(begin);
  consume_args(i);
  emit_access_ops(observed);
}

}  // namespace hindcast::jit
