// Armv8.1-M.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"
#include "targets/arm/fp_helpers.h"

namespace hindcast::arm {
namespace {

enum class Other : u8 { Same, Increment, Invert, Negate };

/// Register 15 is zero here.
Value register_or_zero(Emitter& e, unsigned n) { return n == kPc ? e.b.i32(0) : e.r(n); }

template <Other other>
void csel(Emitter& e) {
  if (e.o.cond >= 14 || e.o.n == kSp || e.o.m == kSp) return e.undefined();
  const Value yes = register_or_zero(e, e.o.n);
  Value no = register_or_zero(e, e.o.m);
  switch (other) {
    case Other::Same: break;
    case Other::Increment: no = e.b.add(no, e.b.i32(1)); break;
    case Other::Invert: no = e.b.bnot(no); break;
    case Other::Negate: no = e.b.sub(e.b.i32(0), no); break;
  }
  e.set_rd(e.b.select(e.condition(e.o.cond), yes, no));
}

/// Bit 15 of the list is APSR.
void clrm(Emitter& e) {
  if (e.o.list == 0 || (e.o.list >> kSp & 1) != 0) return e.undefined();
  for (unsigned n = 0; n < kPc; ++n)
    if ((e.o.list >> n & 1) != 0) e.set_r(n, e.b.i32(0));
  if ((e.o.list >> kPc & 1) == 0) return;
  e.set_nzcv(e.b.i32(0));
  e.b.set(e.arch.q_row(), e.b.i32(0));
  e.b.set(e.arch.ge_row(), e.b.i32(0));
}

template <bool doubles>
void vscclrm(Emitter& e) {
  const u32 first = doubles ? 2u * e.o.d : (e.o.d & 15u) << 1 | e.o.d >> 4;
  if ((e.context() & context::kSecure) == 0 || e.o.imm == 0 || first + e.o.imm > kAllSingles)
    return e.undefined();
  e.b.call(helpers().clear_floats, e.b.i64(first), e.b.i64(e.o.imm));
  e.dispatch_next();
}

void dls(Emitter& e) { e.set_r(kLr, e.rn()); }

void wls(Emitter& e) {
  const Value count = e.rn();
  const u32 loops = e.b.new_block(), done = e.b.new_block();
  e.b.branch(e.b.compare(Op::CmpEq, count, e.b.i32(0)), done, loops);
  e.b.begin_block(done);
  e.b.goto_pc(e.pc + 4 + e.o.imm);
  e.b.begin_block(loops);
  e.set_r(kLr, count);
}

template <bool counts>
void loop_end(Emitter& e) {
  if (counts) {
    const Value left = e.r(kLr);
    const u32 again = e.b.new_block(), done = e.b.new_block();
    e.b.branch(e.b.compare(Op::CmpLtU, e.b.i32(1), left), again, done);
    e.b.begin_block(done);
    e.b.goto_pc(e.next);
    e.b.begin_block(again);
    e.set_r(kLr, e.b.sub(left, e.b.i32(1)));
  }
  e.branch(e.pc + 4 - e.o.imm);
}

void branch_future(Emitter& e) {
  if (e.o.imm == 0) e.undefined();
}

bool known(const Emitter& e, u32 number) {
  switch (number) {
    case fp_register::kFpscr:
    case fp_register::kNzcvqc: return true;
    case fp_register::kContextNs:
    case fp_register::kContextS: return (e.context() & context::kSecure) != 0;
    default: return false;
  }
}
void read_context(Emitter& e) {
  if (!known(e, e.o.n)) return e.undefined();
  e.b.call(helpers().check_fp_register, e.b.i64(e.o.n));
  const Value v = e.b.call(helpers().read_fp_register, e.b.i64(e.o.n));
  e.set_r(e.o.t, e.b.trunc(Type::I32, v));
  e.b.call(helpers().fp_register_read, e.b.i64(e.o.n));
  e.dispatch_next();
}
void write_context(Emitter& e) {
  if (!known(e, e.o.n)) return e.undefined();
  e.b.call(helpers().check_fp_register, e.b.i64(e.o.n));
  e.b.call(helpers().write_fp_register, e.b.i64(e.o.n), e.wide(e.rt()));
  e.dispatch_next();
}

struct Access {
  Value address, changed;
  bool writes_back;
};
template <bool indexed>
Access access(Emitter& e) {
  const Value changed = e.b.add(e.rn(), e.b.i32(e.o.v ? e.o.imm : u32{0} - e.o.imm));
  const bool writes_back = !indexed || e.o.w;
  if (writes_back && e.o.n == kSp) e.check_stack(e.o.v ? e.rn() : changed);
  return {indexed ? changed : e.rn(), changed, writes_back};
}
template <bool indexed>
void store_context(Emitter& e) {
  if (!known(e, e.o.m)) return e.undefined();
  e.b.call(helpers().check_fp_register, e.b.i64(e.o.m));
  const Access a = access<indexed>(e);
  const Value v = e.b.call(helpers().read_fp_register, e.b.i64(e.o.m));
  e.b.store(a.address, e.b.trunc(Type::I32, v), e.always_aligned());
  e.b.call(helpers().fp_register_read, e.b.i64(e.o.m));
  if (a.writes_back) e.set_r(e.o.n, a.changed);
  e.dispatch_next();
}
template <bool indexed>
void load_context(Emitter& e) {
  if (!known(e, e.o.m)) return e.undefined();
  e.b.call(helpers().check_fp_register, e.b.i64(e.o.m));
  const Access a = access<indexed>(e);
  const Value v = e.b.load(Type::I32, a.address, e.always_aligned());
  e.b.call(helpers().write_fp_register, e.b.i64(e.o.m), e.wide(v));
  if (a.writes_back) e.set_r(e.o.n, a.changed);
  e.dispatch_next();
}

}  // namespace

std::span<const InsnRow> rows_v81() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_v81.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
