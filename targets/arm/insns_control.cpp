// Branches and miscellaneous control.
#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {

void branch(Emitter& e) { e.branch(e.pc + 4 + e.o.imm); }

void branch_cond(Emitter& e) {
  if (e.o.cond >= 14) return e.undefined();
  const Value taken = e.condition(e.o.cond);
  e.leave_insn();
  e.b.branch_pc(taken, e.pc + 4 + e.o.imm, e.next);
  e.ended = true;
}

void bx(Emitter& e) { e.bx_write_pc(e.rm()); }

void blx(Emitter& e) {
  const Value target = e.rm();
  e.set_r(kLr, e.b.i32(e.next | 1));
  e.exchange(target);
}

void it(Emitter& e) {
  e.b.set(e.arch.it_row(), e.imm());
  e.b.set_context((e.context() & ~context::kIt) | e.o.imm);
}

void svc(Emitter& e) { e.raise(helpers().svc, e.b.i64(e.next)); }

void bkpt(Emitter& e) {
  e.b.call(helpers().bkpt, e.b.i64(e.o.imm), e.b.i64(e.next));
  e.dispatch_next();
}

void cps(Emitter& e) {
  e.b.call(helpers().cps, e.b.i64(e.o.imm), e.b.i64(e.o.imm2));
  e.dispatch_next();
}

void wfe(Emitter& e) {
  e.b.call(helpers().wfe);
  e.dispatch_next();
}
void wfi(Emitter& e) {
  e.b.call(helpers().wfi);
  e.dispatch_next();
}
void sev(Emitter& e) { e.b.set(e.arch.event_row(), e.b.i32(1)); }

namespace {

void bl(Emitter& e) {
  e.set_r(kLr, e.b.i32(e.next | 1));
  e.branch(e.pc + 4 + e.o.imm);
}

void msr(Emitter& e) {
  e.b.call(helpers().msr, e.b.i64(e.o.imm | e.o.imm2 << 8), e.wide(e.rn()));
  e.dispatch_next();
}
void mrs(Emitter& e) { e.set_rd(e.b.trunc(Type::I32, e.b.call(helpers().mrs, e.b.i64(e.o.imm)))); }

}  // namespace

std::span<const InsnRow> rows_control() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_control.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
