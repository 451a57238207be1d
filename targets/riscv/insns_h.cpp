#include "targets/riscv/chapters.h"
#include "targets/riscv/emitter.h"

namespace hindcast::riscv {
namespace {

void fence(Emitter& e) { e.b.call(helpers().hypervisor_fence, e.b.i64(e.o.bits)); }

// A device may have been reached: the block ends, as after a CSR write.
void guest_load(Emitter& e) {
  const Value loaded = e.b.call(helpers().guest_load, e.b.i64(e.o.bits), e.wide(e.rs1()));
  e.set_rd(e.low(e.xt, loaded));
  e.jump_next();
}
void guest_store(Emitter& e) {
  e.b.call(helpers().guest_store, e.b.i64(e.o.bits), e.wide(e.rs1()), e.wide(e.rs2()));
  e.jump_next();
}

}  // namespace

std::span<const InsnRow> rows_h() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_h.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
