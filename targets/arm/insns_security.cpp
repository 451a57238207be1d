// The security extension.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {
namespace {

bool secure(const Emitter& e) { return (e.context() & context::kSecure) != 0; }

/// Bit 0 of the target says which security state it is of: set for Secure.
void bxns(Emitter& e) {
  if (!secure(e)) return e.undefined();
  const Value target = e.rm();
  const u32 stays = e.b.new_block(), leaves = e.b.new_block();
  const Value is_secure = e.b.compare(Op::CmpNe, e.b.band(target, e.b.i32(1)), e.b.i32(0));
  // FNC_RETURN and EXC_RETURN values are returns whatever their bit 0.
  const Value returns = e.b.compare(Op::CmpGeU, target, e.b.i32(0xfefffffe));
  e.b.branch(e.b.bor(is_secure, returns), stays, leaves);
  e.b.begin_block(leaves);
  e.leave_insn();
  e.b.exit_dispatch(e.b.call(helpers().branch_non_secure, e.wide(target)));
  e.b.begin_block(stays);
  e.bx_write_pc(target);
}

void blxns(Emitter& e) {
  if (!secure(e)) return e.undefined();
  const Value target = e.rm();
  const u32 stays = e.b.new_block(), leaves = e.b.new_block();
  e.b.branch(e.b.compare(Op::CmpNe, e.b.band(target, e.b.i32(1)), e.b.i32(0)), stays, leaves);
  e.b.begin_block(leaves);
  e.leave_insn();
  e.b.exit_dispatch(e.b.call(helpers().call_non_secure, e.wide(target), e.b.i64(e.next)));
  e.b.begin_block(stays);
  e.set_r(kLr, e.b.i32(e.next | 1));
  e.exchange(target);
}

/// 1: as unprivileged code; 2: as the Non-secure state, for Secure code only.
template <unsigned options>
void test_target(Emitter& e) {
  if ((options & 2) != 0 && !secure(e)) return e.undefined();
  const Value answer = e.b.call(helpers().test_target, e.wide(e.rn()), e.b.i64(options));
  e.set_rd(e.b.trunc(Type::I32, answer));
}

/// No operation without a floating-point unit.
void lazy_transfer(Emitter& e, u32 helper) {
  if (!secure(e)) return e.undefined();
  if (!e.arch.has(ext::Vfp)) return;
  e.b.call(helper, e.wide(e.rn()));
  e.dispatch_next();
}
void lazy_store(Emitter& e) { lazy_transfer(e, helpers().lazy_store); }
void lazy_load(Emitter& e) { lazy_transfer(e, helpers().lazy_load); }

}  // namespace

std::span<const InsnRow> rows_security() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_security.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
