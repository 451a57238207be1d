#include "targets/arm/rows.h"

#include <vector>

#include "targets/arm/chapters.h"

namespace hindcast::arm {

namespace {
constexpr const char* kClassNames[] = {"Arithmetic", "Logical", "Shift",  "Move",     "Bitfield",
                                       "Multiply",   "Compare", "Divide", "Saturate", "Load",
                                       "Store",      "Branch",  "IfThen", "Float",    "System"};
}  // namespace

const char* to_string(InsnClass c) { return kClassNames[static_cast<unsigned>(c)]; }
std::vector<const char*> class_names() { return {std::begin(kClassNames), std::end(kClassNames)}; }

u32 expand_imm(u32 imm12, bool* rotated) {
  const u32 byte = imm12 & 0xff;
  if (rotated != nullptr) *rotated = imm12 >> 10 != 0;
  switch (imm12 >> 8) {
    case 0: return byte;
    case 1: return byte << 16 | byte;
    case 2: return byte << 24 | byte << 8;
    case 3: return byte * 0x01010101;
    default: break;
  }
  const u32 value = 0x80 | byte, by = imm12 >> 7;  // 8 to 31
  return value >> by | value << (32 - by);
}

namespace {

u32 immediate(ImmKind kind, u32 value, unsigned width, unsigned shift) {
  const auto sign_extend = [](u32 v, unsigned bits) {
    return static_cast<u32>(static_cast<i32>(v << (32 - bits)) >> (32 - bits));
  };
  switch (kind) {
    case ImmKind::Unsigned: return value << shift;
    case ImmKind::Signed: return sign_extend(value, width) << shift;
    case ImmKind::ShiftBy32: return value == 0 ? 32 : value;
    case ImmKind::BranchT3: {
      const u32 s = value >> 19, imm6 = value >> 13 & 0x3f, j1 = value >> 12 & 1, j2 = value >> 11 & 1;
      return sign_extend(s << 20 | j2 << 19 | j1 << 18 | imm6 << 12 | (value & 0x7ff) << 1, 21);
    }
    case ImmKind::BranchT4: {
      const u32 s = value >> 23, imm10 = value >> 13 & 0x3ff, j1 = value >> 12 & 1, j2 = value >> 11 & 1;
      const u32 i1 = j1 ^ s ^ 1, i2 = j2 ^ s ^ 1;
      return sign_extend(s << 24 | i1 << 23 | i2 << 22 | imm10 << 12 | (value & 0x7ff) << 1, 25);
    }
    case ImmKind::Loop: return ((value & 0x3ff) << 1 | value >> 10) << 1;
    case ImmKind::Modified:
    case ImmKind::Float8: break;
  }
  return value;
}

}  // namespace

Operands InsnRow::decode(u32 bits) const {
  Operands o = implied;
  o.bits = bits;
  for (unsigned i = 0; i < field_count; ++i) {
    const Field& f = field[i];
    u32 value = 0;
    for (unsigned s = 0; s < f.segments; ++s) {
      const Segment& seg = f.segment[s];
      value |= (bits >> seg.from & ((u32{1} << seg.width) - 1)) << seg.to;
    }
    switch (f.letter) {
      case 'i': o.imm = immediate(imm_kind, value, f.width, imm_shift); break;
      case 'j': o.imm2 = value + imm2_add; break;
      case 'h': o.shift = static_cast<u8>(value); break;
      case 'c': o.cond = static_cast<u8>(value); break;
      case 's': o.s = value != 0; break;
      case 'P': o.p = value != 0; break;
      case 'U': o.v = value != 0; break;
      case 'W': o.w = value != 0; break;
      case 'l': o.list = value; break;
      default: detail::set_register(o, f.letter, static_cast<u8>(value)); break;
    }
  }
  return o;
}

bool InsnRow::allows(const Operands& o) const {
  for (unsigned i = 0; i < rule_count; ++i) {
    u8 reg = 0;
    switch (rule[i].letter) {
      case 'd':
      case 'x': reg = o.d; break;
      case 'n': reg = o.n; break;
      case 'm': reg = o.m; break;
      case 't': reg = o.t; break;
      case 'u': reg = o.u; break;
      default: reg = o.a; break;
    }
    if (reg == 15 || (rule[i].sp && reg == 13)) return false;
  }
  return true;
}

std::span<const InsnRow* const> all_rows() {
  static const std::vector<const InsnRow*> rows = [] {
    std::vector<const InsnRow*> all;
    for (const auto chapter :
         {rows_t16(), rows_data(), rows_multiply(), rows_memory(), rows_multiple(), rows_control(),
          rows_security(), rows_v81(), rows_dsp(), rows_vfp(), rows_half()}) {
      for (const InsnRow& row : chapter) all.push_back(&row);
    }
    return all;
  }();
  return rows;
}

}  // namespace hindcast::arm
