#include "targets/riscv/chapters.h"
#include "targets/riscv/emit_int.h"

namespace hindcast::riscv {

std::span<const InsnRow> rows_i() {
  using ext::I;
  constexpr Xlen any = Xlen::Any, rv64 = Xlen::Rv64;
  static constexpr InsnRow rows[] = {
#include "targets/riscv/insns_i.inc"
  };
  return rows;
}

}  // namespace hindcast::riscv
