// The chapters of the instruction table. Each is an insns_*.inc beside the .cpp with its emit functions.
#pragma once
#include "targets/arm/rows.h"

namespace hindcast::arm {

std::span<const InsnRow> rows_t16();       // 16-bit encodings
std::span<const InsnRow> rows_data();      // 32-bit data processing
std::span<const InsnRow> rows_multiply();  // multiplication, division, bit fields, saturation
std::span<const InsnRow> rows_memory();    // single and dual loads and stores, exclusives
std::span<const InsnRow> rows_multiple();  // multiple loads and stores, table branches
std::span<const InsnRow> rows_control();   // branches, system
std::span<const InsnRow> rows_security();  // Armv8-M: security extension, TT
std::span<const InsnRow> rows_v81();       // what Armv8.1-M adds
std::span<const InsnRow> rows_dsp();       // the DSP extension
std::span<const InsnRow> rows_half();      // half precision
std::span<const InsnRow> rows_vfp();       // floating point

}  // namespace hindcast::arm

/// What an .inc's rows expand to: a constexpr row. Names of features are the including function's. (The emit
/// function is the variable part because of the commas of its template arguments.)
#define ARM(name, needs, klass, pattern, fields, syntax, ...) \
  InsnRow(name, needs, InsnClass::klass, pattern, fields, syntax, __VA_ARGS__),
