// One row per instruction encoding. A row says everything: the encoding with its operand fields, the assembly
// syntax, the class that statistics count by, what the instruction needs, and the function that emits its IR.
// Decoder, disassembler, instruction classes and random-instruction tests derive from the rows.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "engine/types.h"
#include "targets/arm/features.h"

namespace hindcast::arm {

class Emitter;

/// Statistics classes.
enum class InsnClass : u8 {
  Arithmetic,
  Logical,
  Shift,
  Move,
  Bitfield,
  Multiply,
  Compare,
  Divide,
  Saturate,
  Load,
  Store,
  Branch,
  IfThen,
  Float,
  System
};
const char* to_string(InsnClass c);
/// The names of all.
std::vector<const char*> class_names();

/// How an immediate's bits make its value.
enum class ImmKind : u8 {
  Unsigned,
  Signed,
  Modified,   // ThumbExpandImm of 12 bits (DDI 0403, A5.3.2): stays encoded, expand_imm() does it
  ShiftBy32,  // a shift amount whose 0 means 32
  BranchT3,   // S imm6 J1 J2 imm11 (B<c>.W)
  BranchT4,   // S imm10 J1 J2 imm11 (B.W, BL)
  Loop,       // of low-overhead loops: the low bit comes first
  Float8,     // VFPExpandImm: stays encoded
};

/// The decoded operands of one instruction. Which fields an instruction has is its row's matter.
struct Operands {
  u8 d = 0, n = 0, m = 0, t = 0, u = 0, a = 0;  // Rd, Rn, Rm, Rt, Rt2 or RdHi, Ra
  u8 shift = 0;                                 // LSL, LSR, ASR, ROR
  u8 cond = 0;
  bool s = false;                        // sets flags
  bool p = false, v = false, w = false;  // P, U, W of addresses
  u32 imm = 0, imm2 = 0;
  u32 list = 0;  // register list
  u32 bits = 0;  // the instruction: a 16-bit one in the low half, else the first half-word on top
};

/// A row. The pattern has one character per instruction bit, highest first (spaces are for the reader):
///   0 1  fixed          -  ignored
///   d n m t u a  registers (of as many bits as there are letters; parts are joined from the left)
///   x  Rd and Rn at once     i j  immediates     h  shift type    c  condition    s  sets flags
///   P U W  address bits      l  register list
/// `fields`, separated by spaces: "i=u<<2", "i=s<<1", "i=mod", "i=32", "i=b3", "i=b4", "i=lo", "i=f8" (how
/// the immediate is made, default "i=u"; "j=u+1" adds one to j); "n=13" (an implied register); "d!pc" (no
/// instruction if Rd is 15), "d!sp" (if it is 13 or 15), "n~pc" (another row's if Rn is 15).
/// `syntax` is the operand list, with % letters (disasm.cpp).
struct InsnRow {
  struct Segment {
    u8 from = 0;  // lowest instruction bit
    u8 to = 0;    // where it goes in the value
    u8 width = 0;
  };
  struct Field {
    char letter = 0;
    u8 segments = 0;
    u8 width = 0;
    std::array<Segment, 5> segment{};
  };
  struct Rule {
    char letter = 0;
    bool sp = false;  // 13 is excluded as well as 15
  };

  const char* name;
  u64 needs;  // ext:: bits, all of them
  InsnClass insn_class;
  const char* pattern;
  const char* syntax;
  void (*emit)(Emitter&);

  // Derived from pattern and fields at compile time.
  u32 mask = 0;
  u32 match = 0;
  u8 length = 0;  // bytes
  u8 field_count = 0, rule_count = 0;
  ImmKind imm_kind = ImmKind::Unsigned;
  u8 imm_shift = 0;
  u8 imm2_add = 0;
  bool pc_is_another = false;  // with Rn 15 the bits are another row's, whose pattern may have fewer fixed
  std::array<Field, 10> field{};
  std::array<Rule, 6> rule{};
  Operands implied;

  constexpr InsnRow(const char* name_, u64 needs_, InsnClass class_, const char* pattern_,
                    const char* fields_, const char* syntax_, void (*emit_)(Emitter&));

  bool matches(u32 bits) const { return (bits & mask) == match; }
  Operands decode(u32 bits) const;
  /// Whether `operands` (of this row) are such as the row allows.
  bool allows(const Operands& operands) const;
};

/// All rows of all chapters, whatever the CPU. The order is fixed.
std::span<const InsnRow* const> all_rows();

/// ThumbExpandImm. `rotated`: whether the carry becomes bit 31 of the result.
u32 expand_imm(u32 imm12, bool* rotated = nullptr);

namespace detail {

/// Joins the bits that carry `letter`, highest first, into a field. A malformed row fails to compile.
constexpr bool make_field(const char* pattern, unsigned total, char letter, InsnRow::Field& f) {
  std::array<u8, 32> at{};
  unsigned count = 0, bit = total;
  for (const char* p = pattern; *p != 0; ++p) {
    if (*p == ' ') continue;
    --bit;
    if (*p == letter) at[count++] = static_cast<u8>(bit);
  }
  if (count == 0) return false;
  f.letter = letter;
  f.width = static_cast<u8>(count);
  for (unsigned i = 0; i < count; ++i) {
    const u8 to = static_cast<u8>(count - 1 - i);
    if (f.segments > 0 && f.segment[f.segments - 1u].from == at[i] + 1) {
      InsnRow::Segment& last = f.segment[f.segments - 1u];
      last = {at[i], to, static_cast<u8>(last.width + 1)};
    } else {
      if (f.segments == f.segment.size()) throw "a field has too many parts";
      f.segment[f.segments++] = {at[i], to, 1};
    }
  }
  return true;
}

constexpr unsigned number(const char*& p) {
  if (*p < '0' || *p > '9') throw "a number is expected in the fields";
  unsigned n = 0;
  while (*p >= '0' && *p <= '9') n = n * 10 + static_cast<unsigned>(*p++ - '0');
  return n;
}

constexpr bool skip(const char*& p, const char* word) {
  const char* at = p;
  for (; *word != 0; ++word, ++at)
    if (*at != *word) return false;
  p = at;
  return true;
}

constexpr void set_register(Operands& o, char letter, u8 value) {
  switch (letter) {
    case 'd': o.d = value; break;
    case 'n': o.n = value; break;
    case 'm': o.m = value; break;
    case 't': o.t = value; break;
    case 'u': o.u = value; break;
    case 'a': o.a = value; break;
    case 'x': o.d = o.n = value; break;
    default: throw "no such register field";
  }
}

}  // namespace detail

constexpr InsnRow::InsnRow(const char* name_, u64 needs_, InsnClass class_, const char* pattern_,
                           const char* fields_, const char* syntax_, void (*emit_)(Emitter&))
    : name(name_), needs(needs_), insn_class(class_), pattern(pattern_), syntax(syntax_), emit(emit_) {
  unsigned total = 0;
  for (const char* p = pattern; *p != 0; ++p) total += *p != ' ';
  if (total != 16 && total != 32) throw "a pattern has 16 or 32 bits";
  length = static_cast<u8>(total / 8);
  unsigned bit = total;
  for (const char* p = pattern; *p != 0; ++p) {
    if (*p == ' ') continue;
    --bit;
    if (*p == '0' || *p == '1') mask |= u32{1} << bit;
    if (*p == '1') match |= u32{1} << bit;
  }
  for (const char* letters = "dnmtuaxijhcsPUWl"; *letters != 0; ++letters) {
    Field f;
    if (detail::make_field(pattern, total, *letters, f)) field[field_count++] = f;
  }
  for (const char* p = fields_; *p != 0;) {
    if (*p == ' ') {
      ++p;
      continue;
    }
    const char letter = *p++;
    if (detail::skip(p, "!pc")) {
      rule[rule_count++] = {letter, false};
    } else if (letter == 'n' && detail::skip(p, "~pc")) {
      rule[rule_count++] = {letter, false};
      pc_is_another = true;
    } else if (detail::skip(p, "!sp")) {
      rule[rule_count++] = {letter, true};
    } else if (letter == 'i' && detail::skip(p, "=mod")) {
      imm_kind = ImmKind::Modified;
    } else if (letter == 'i' && detail::skip(p, "=32")) {
      imm_kind = ImmKind::ShiftBy32;
    } else if (letter == 'i' && detail::skip(p, "=b3")) {
      imm_kind = ImmKind::BranchT3;
    } else if (letter == 'i' && detail::skip(p, "=b4")) {
      imm_kind = ImmKind::BranchT4;
    } else if (letter == 'i' && detail::skip(p, "=lo")) {
      imm_kind = ImmKind::Loop;
    } else if (letter == 'i' && detail::skip(p, "=f8")) {
      imm_kind = ImmKind::Float8;
    } else if (letter == 'i') {
      if (detail::skip(p, "=s")) {
        imm_kind = ImmKind::Signed;
      } else if (!detail::skip(p, "=u")) {
        throw "no such kind of immediate";
      }
      if (detail::skip(p, "<<")) imm_shift = static_cast<u8>(detail::number(p));
    } else if (letter == 'j') {
      if (!detail::skip(p, "=u+")) throw "j is only ever j=u+1";
      imm2_add = static_cast<u8>(detail::number(p));
    } else if (detail::skip(p, "=")) {
      detail::set_register(implied, letter, static_cast<u8>(detail::number(p)));
    } else {
      throw "the fields are malformed";
    }
  }
}

}  // namespace hindcast::arm
