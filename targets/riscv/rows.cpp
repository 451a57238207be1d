#include "targets/riscv/rows.h"

#include <cstring>
#include <vector>

#include "targets/riscv/chapters.h"

namespace hindcast::riscv {

namespace {
constexpr const char* kClassNames[] = {"Arithmetic", "Load",   "Store", "Branch", "Jump",
                                       "Multiply",   "Atomic", "Float", "System", "Bitmanip"};
}  // namespace

const char* to_string(InsnClass c) { return kClassNames[static_cast<unsigned>(c)]; }
std::vector<const char*> class_names() { return {std::begin(kClassNames), std::end(kClassNames)}; }

Operands InsnRow::decode(u32 bits) const {
  Operands o = implied;
  o.bits = bits;
  for (unsigned i = 0; i < field_count; ++i) {
    const Field& f = field[i];
    u64 value = 0;
    for (unsigned s = 0; s < f.segments; ++s) {
      const Field::Segment& seg = f.segment[s];
      value |= u64{bits >> seg.from & ((u32{1} << seg.width) - 1)} << seg.to;
    }
    const u8 reg = static_cast<u8>(value);
    switch (f.letter) {
      case 'd': o.rd = reg; break;
      case 's': o.rs1 = reg; break;
      case 't': o.rs2 = reg; break;
      case 'r': o.rs3 = reg; break;
      case 'x': o.rd = o.rs1 = reg; break;
      case 'D': o.rd = reg + 8; break;
      case 'S': o.rs1 = reg + 8; break;
      case 'T': o.rs2 = reg + 8; break;
      case 'X': o.rd = o.rs1 = reg + 8; break;
      case 'm': o.rm = reg; break;
      case 'a': o.aqrl = reg; break;
      case 'c': o.csr = static_cast<u16>(value); break;
      default:
        if (f.is_signed) value = static_cast<u64>(static_cast<i64>(value << (64 - f.top)) >> (64 - f.top));
        o.imm = static_cast<i64>(value);
    }
  }
  return o;
}

bool InsnRow::allows(const Operands& o, const Features& cpu) const {
  switch (rule) {
    case Rule::None: break;
    case Rule::ImmNonzero:
      if (o.imm == 0) return false;
      break;
    case Rule::RdNonzero:
      if (o.rd == 0) return false;
      break;
    case Rule::Rs1Nonzero:
      if (o.rs1 == 0) return false;
      break;
    case Rule::Rs2Nonzero:
      if (o.rs2 == 0) return false;
      break;
    case Rule::EvenPair:
      if (((o.rd | o.rs2) & 1) != 0) return false;
      break;
    case Rule::RoundNumber:
      if (o.imm > 10) return false;
      break;
    case Rule::ShiftBelowXlen:
      if (o.imm >= cpu.xlen) return false;
      break;
  }
  if (!cpu.has(ext::E)) return true;
  // RV32E/RV64E: registers 16 to 31 do not exist. The syntax's small letters are the integer registers.
  const char* operands = std::strchr(syntax, ' ');
  for (const char* p = operands != nullptr ? operands : syntax; *p != 0; ++p) {
    if ((*p == 'd' && o.rd >= 16) || (*p == 's' && o.rs1 >= 16) || (*p == 't' && o.rs2 >= 16)) return false;
  }
  return true;
}

std::span<const InsnRow* const> all_rows() {
  static const std::vector<const InsnRow*> rows = [] {
    std::vector<const InsnRow*> all;
    for (const auto chapter : {rows_i(), rows_m(), rows_a(), rows_fd(), rows_zfh(), rows_c(), rows_zb(),
                               rows_zk(), rows_h(), rows_system()}) {
      for (const InsnRow& row : chapter) all.push_back(&row);
    }
    return all;
  }();
  return rows;
}

}  // namespace hindcast::riscv
