// The condition flags.
//
// Guests set flags far more often than they look at them, so instructions leave behind what the flags can be
// made from, which costs a few stores:
//
//   nz       N is bit 63, Z is "the low half is 0": a sign-extended result (which can also say N and Z at
//            once, as MSR can)
//   cc_x/y   V: x - y overflows, as signed numbers
//   cc_kind  C: kSub: x >= y, unsigned; kAdd: x < y (then x = y + something, wrapped); kSign: bit 31 of cc_c
//
// A sum r = a + b is kept as (r, b): r - b overflows exactly if a + b did. A sum with a constant (other than
// 0 and 0x80000000) is the difference with its negation. Within a block the builder forwards these registers,
// so a compare and the branch after it become one comparison of the operands.
#pragma once
#include "targets/arm/state.h"

namespace hindcast::arm {

inline constexpr u32 kN = u32{1} << 31, kZ = 1 << 30, kC = 1 << 29, kV = 1 << 28;

/// N Z C V in bits 31 to 28.
inline u32 read_nzcv(const ArmState& s) {
  u32 flags = 0;
  if (static_cast<i64>(s.nz) < 0) flags |= kN;
  if (static_cast<u32>(s.nz) == 0) flags |= kZ;
  bool carry = false;
  switch (s.cc_kind) {
    case flag_kind::kSub: carry = s.cc_x >= s.cc_y; break;
    case flag_kind::kAdd: carry = s.cc_x < s.cc_y; break;
    default: carry = (s.cc_c >> 31) != 0; break;
  }
  if (carry) flags |= kC;
  if (((s.cc_x ^ s.cc_y) & (s.cc_x ^ (s.cc_x - s.cc_y))) >> 31 != 0) flags |= kV;
  return flags;
}

inline void write_nzcv(ArmState& s, u32 flags) {
  s.nz = ((flags & kN) != 0 ? u64{1} << 63 : 0) | ((flags & kZ) != 0 ? 0 : 1);
  s.cc_x = (flags & kV) != 0 ? u32{1} << 31 : 0;
  s.cc_y = (flags & kV) != 0 ? 1 : 0;
  s.cc_kind = flag_kind::kSign;
  s.cc_c = (flags & kC) != 0 ? u32{1} << 31 : 0;
}

}  // namespace hindcast::arm
