#include "targets/riscv/chapters.h"
#include "targets/riscv/csr.h"
#include "targets/riscv/emit_system.h"

namespace hindcast::riscv {

void ebreak(Emitter& e) {
  e.b.call(helpers().ebreak, e.b.i64(e.next));
  e.dispatch_next();
}

namespace {

/// vCPUs run in turn and translated code is always coherent with memory: there is nothing to order.
void nothing(Emitter&) {}

/// Of the hints only PAUSE does something (Zihintpause): whoever is waited for runs.
void fence(Emitter& e) {
  constexpr u32 kPause = 0x0100000f;
  if (e.o.bits != kPause) return;
  e.b.call(helpers().pause);
  e.jump_next();
}

void ecall(Emitter& e) { e.raise(helpers().ecall, e.b.i64(e.o.bits)); }

void mret(Emitter& e) { e.dispatch(e.b.call(helpers().mret, e.b.i64(e.o.bits))); }

void sret(Emitter& e) { e.dispatch(e.b.call(helpers().sret, e.b.i64(e.o.bits))); }

void sfence(Emitter& e) { e.b.call(helpers().sfence, e.b.i64(e.o.bits)); }

void invalidation_fence(Emitter& e) { e.b.call(helpers().invalidation_fence, e.b.i64(e.o.bits)); }

void wait_on_reservation(Emitter& e) {
  e.b.call(helpers().wait_on_reservation, e.b.i64(e.o.bits));
  e.dispatch_next();
}

void cache_block(Emitter& e) { e.b.call(helpers().cache_block, e.b.i64(e.o.bits), e.wide(e.rs1())); }

/// The helper has found that every byte can be written.
void cache_block_zero(Emitter& e) {
  const Value block = e.low(e.xt, e.b.call(helpers().cache_block, e.b.i64(e.o.bits), e.wide(e.rs1())));
  for (unsigned at = 0; at < kCacheBlock; at += 8) {
    MemAttr attr;
    attr.offset = static_cast<i32>(at);
    e.b.store(block, e.b.i64(0), attr);
  }
}

void wfi(Emitter& e) {
  e.b.call(helpers().wfi, e.b.i64(e.o.bits));
  e.dispatch_next();
}

void csr(Emitter& e) {
  const bool immediate = (e.o.bits >> 14 & 1) != 0;
  const Value operand = immediate ? e.b.i64(e.o.rs1) : e.wide(e.rs1());
  const Value old = e.b.call(helpers().csr, e.b.i64(e.o.bits), operand);
  e.set_rd(e.low(e.xt, old));
  if (csr_access(e.o.bits).writes && csr_write_ends_block(e.o.csr)) e.jump_next();
}

}  // namespace

std::span<const InsnRow> rows_system() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_system.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
