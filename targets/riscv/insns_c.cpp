#include "targets/riscv/chapters.h"
#include "targets/riscv/emit_fp.h"
#include "targets/riscv/emit_int.h"
#include "targets/riscv/emit_system.h"

namespace hindcast::riscv {
namespace {

void invert(Emitter& e) { e.set_rd(e.b.bnot(e.rs1())); }

}  // namespace

std::span<const InsnRow> rows_c() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv32 = Xlen::Rv32, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_c.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
