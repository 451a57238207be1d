// Loads and stores: straight into the memory window where the context allows it. All others:
// emit_anywhere.cpp.
#include "engine/jit/emitter.h"
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
  if (!may_fault_) return;
  out_->accesses.push_back(
      {begin, static_cast<u32>(a_.offset()), static_cast<u32>(out_->sites.size()), pc_, quick_exit()});
  add_site(pc_, insn_ - 1, {.insn = insn_ - 1, .begun = true});
}

x86::Mem Emitter::address(const ir::Inst& i, unsigned width) {
  const ir::MemAttr attr = ir::MemAttr::unpack(i.imm);
  const Value base = i.args[0];
  const bool narrow = env_.arch.address_bits() <= 32;
  const bool anywhere = env_.context.anywhere.contains(pc_);
  const bool computed = !env_.context.flat || anywhere || (attr.must_align && width > 1) || is_const(base) ||
                        (!narrow && (attr.offset >= kUncheckedOffset || attr.offset < -kUncheckedOffset));
  may_fault_ = true;
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
  if (is_const(base) && narrow && env_.context.flat && !anywhere && static_cast<u32>(at) <= INT32_MAX &&
      (!attr.must_align || at % width == 0)) {
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
  if (!env_.context.flat) return translated_address(i, r, width);
  if (anywhere) return checked_address(i, r, width);
  if (!narrow) {
    a_.cmp(x86::gpq(r), field(offsetof(CpuHeader, window_limit), 8));
    a_.jae(site_exit(ExitKind::Site, pc_, insn_ - 1));
  }
  m = narrow ? x86::ptr(x86::gpd(r), 0, width) : x86::ptr(x86::gpq(r), 0, width);
  m.setSegment(x86::gs);
  return m;
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
