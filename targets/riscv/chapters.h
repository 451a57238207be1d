// The chapters of the instruction table. Each is an insns_*.inc beside the .cpp with its emit functions.
#pragma once
#include "targets/riscv/rows.h"

namespace hindcast::riscv {

std::span<const InsnRow> rows_i();       // RV32I/RV64I
std::span<const InsnRow> rows_m();       // integer multiplication and division
std::span<const InsnRow> rows_a();       // atomics
std::span<const InsnRow> rows_fd();      // single and double precision
std::span<const InsnRow> rows_zfh();     // half precision
std::span<const InsnRow> rows_c();       // compressed, with Zcb
std::span<const InsnRow> rows_zb();      // Zba, Zbb, Zbc, Zbs, Zicond
std::span<const InsnRow> rows_zk();      // scalar cryptography
std::span<const InsnRow> rows_h();       // hypervisor
std::span<const InsnRow> rows_system();  // Zicsr, Zifencei, privileged

}  // namespace hindcast::riscv

/// What an .inc's rows expand to: a constexpr row. Names of extensions and register widths are the including
/// function's. (The emit function is the variable part because of the commas of its template arguments.)
#define RV(name, needs, xlen, klass, pattern, fields, syntax, ...) \
  InsnRow(name, needs, xlen, InsnClass::klass, pattern, fields, syntax, __VA_ARGS__),
