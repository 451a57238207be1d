// One row per instruction. A row says everything: the encoding with its operand fields, the assembly syntax,
// the class that statistics count by, what the instruction needs, and the function that emits its IR.
// Decoder, disassembler, instruction classes and random-instruction tests derive from the rows.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "engine/types.h"
#include "targets/riscv/features.h"

namespace hindcast::riscv {

class Emitter;

/// Statistics classes.
enum class InsnClass : u8 {
  Arithmetic,
  Load,
  Store,
  Branch,
  Jump,
  Multiply,
  Atomic,
  Float,
  System,
  Bitmanip
};
const char* to_string(InsnClass c);
/// The names of all.
std::vector<const char*> class_names();

/// What a bit pattern cannot say about its operands. An encoding that breaks its row's rule is not that
/// instruction: decoding goes on to the less specific rows.
enum class Rule : u8 {
  None,
  ImmNonzero,
  RdNonzero,
  Rs1Nonzero,
  Rs2Nonzero,
  EvenPair,        // rd and rs2 begin pairs of registers
  RoundNumber,     // of AES: 0 to 10
  ShiftBelowXlen,  // a shift amount that RV32 has no register bits for
};

/// The decoded operands of one instruction. Register numbers are of whichever file the syntax names.
struct Operands {
  u8 rd = 0, rs1 = 0, rs2 = 0, rs3 = 0;
  u8 rm = 0;    // rounding mode field
  u8 aqrl = 0;  // bit 1: aq, bit 0: rl
  u16 csr = 0;
  i64 imm = 0;
  u32 bits = 0;  // the instruction itself
};

/// Where a field's value comes from. A field is gathered from segments of instruction bits.
struct Field {
  struct Segment {
    u8 from = 0;  // lowest instruction bit
    u8 to = 0;    // where it goes in the value
    u8 width = 0;
  };
  char letter = 0;  // as in the pattern (below)
  u8 segments = 0;
  bool is_signed = false;
  u8 top = 0;  // number of value bits up to the highest
  std::array<Segment, 8> segment{};
};

using EmitFn = void (*)(Emitter&);

/// A row. The pattern has one character per instruction bit, highest first (spaces are for the reader):
///   0 1      fixed                    -  ignored
///   d s t r  rd, rs1, rs2, rs3        x  rd and rs1 at once
///   D S T X  the same in 3 bits, registers 8 to 15
///   i  immediate     c  CSR number    m  rounding mode    a  aq and rl
/// `fields` tells how the immediate's bits are scattered, in the manual's notation after "s" (sign-extended)
/// or "u": "i=s12|10:5|4:1|11"; the registers that the encoding implies: "d=1 s=2"; and the rule: "d!0",
/// "s!0", "t!0", "i!0" (not zero), "i<x" (below XLEN), "i<r" (a round's number) or "d%2" (rd and rs2 even).
/// `syntax` is the operand list, by letters:
///   d s t    integer registers      D S T R  floating-point registers
///   i  immediate, decimal           h  hexadecimal        u  its upper 20 bits       p  pc-relative target
///   c  CSR name                     z  rs1's number       m  ",rm" unless dynamic    f  fence sets
///   e  ",rm" unless zero (conversions that are always exact)
///   A  .aq/.rl suffix of the mnemonic; anything else is itself
/// If it holds a space, what precedes the space is the mnemonic to print instead of the name (of which "c."
/// is dropped).
struct InsnRow {
  const char* name;
  u64 needs;  // ext:: bits, all of them
  Xlen xlen;
  InsnClass insn_class;
  const char* pattern;
  const char* syntax;
  EmitFn emit;

  // Derived from pattern and fields at compile time.
  u32 mask = 0;
  u32 match = 0;
  u8 length = 0;  // bytes
  Rule rule = Rule::None;
  u8 field_count = 0;
  std::array<Field, 5> field{};
  Operands implied;

  constexpr InsnRow(const char* name_, u64 needs_, Xlen xlen_, InsnClass class_, const char* pattern_,
                    const char* fields_, const char* syntax_, EmitFn emit_);

  bool matches(u32 bits) const { return (bits & mask) == match; }
  Operands decode(u32 bits) const;
  /// Whether `operands` (of this row) satisfy the rule on a CPU.
  bool allows(const Operands& operands, const Features& cpu) const;
};

/// All rows of all chapters, whatever the CPU. The order is fixed.
std::span<const InsnRow* const> all_rows();
/// Encodings that the disassembler shows by a friendlier name ("nop", "ret"); they have no emit function.
std::span<const InsnRow> alias_rows();

namespace detail {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Reads a decimal number; a malformed row fails to compile here.
constexpr unsigned number(const char*& p) {
  if (!is_digit(*p)) throw "a number is expected in the fields";
  unsigned n = 0;
  while (is_digit(*p)) n = n * 10 + static_cast<unsigned>(*p++ - '0');
  return n;
}

constexpr Rule rule_of(char letter, char relation, char bound) {
  if (relation == '<' && letter == 'i' && bound == 'x') return Rule::ShiftBelowXlen;
  if (relation == '<' && letter == 'i' && bound == 'r') return Rule::RoundNumber;
  if (relation == '%' && letter == 'd' && bound == '2') return Rule::EvenPair;
  if (relation != '!' || bound != '0') throw "no such rule";
  switch (letter) {
    case 'i': return Rule::ImmNonzero;
    case 'd': return Rule::RdNonzero;
    case 's': return Rule::Rs1Nonzero;
    case 't': return Rule::Rs2Nonzero;
    default: throw "no such rule";
  }
}

/// The instruction bits that carry `letter`, highest first.
struct BitList {
  std::array<u8, 32> bit{};
  unsigned count = 0;
};

constexpr BitList bits_with(const char* pattern, unsigned total, char letter) {
  BitList list;
  unsigned bit = total;
  for (const char* p = pattern; *p != 0; ++p) {
    if (*p == ' ') continue;
    --bit;
    if (*p == letter) list.bit[list.count++] = static_cast<u8>(bit);
  }
  return list;
}

constexpr void add_bit(Field& f, unsigned from, unsigned to) {
  if (to + 1u > f.top) f.top = static_cast<u8>(to + 1);
  if (f.segments > 0) {
    Field::Segment& last = f.segment[f.segments - 1u];
    if (last.from == from + 1u && last.to == to + 1u) {
      --last.from;
      --last.to;
      ++last.width;
      return;
    }
  }
  f.segment[f.segments++] = {static_cast<u8>(from), static_cast<u8>(to), 1};
}

}  // namespace detail

constexpr InsnRow::InsnRow(const char* name_, u64 needs_, Xlen xlen_, InsnClass class_, const char* pattern_,
                           const char* fields_, const char* syntax_, EmitFn emit_)
    : name(name_),
      needs(needs_),
      xlen(xlen_),
      insn_class(class_),
      pattern(pattern_),
      syntax(syntax_),
      emit(emit_) {
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
  // Plain fields: contiguous, most significant bit first.
  for (const char* letters = "dstrxDSTXcma"; *letters != 0; ++letters) {
    const detail::BitList list = detail::bits_with(pattern, total, *letters);
    if (list.count == 0) continue;
    Field& f = field[field_count++];
    f.letter = *letters;
    for (unsigned i = 0; i < list.count; ++i) detail::add_bit(f, list.bit[i], list.count - 1 - i);
  }
  // The immediate and the implied registers.
  const detail::BitList imm = detail::bits_with(pattern, total, 'i');
  unsigned placed = 0;
  for (const char* p = fields_; *p != 0;) {
    if (*p == ' ') {
      ++p;
      continue;
    }
    const char letter = *p++, relation = *p++;
    if (relation == '!' || relation == '<' || relation == '%') {
      if (rule != Rule::None) throw "a row has one rule at most";
      rule = detail::rule_of(letter, relation, *p++);
      continue;
    }
    if (relation != '=') throw "fields are written x=...";
    if (letter != 'i') {
      const u8 n = static_cast<u8>(detail::number(p));
      if (letter == 'd')
        implied.rd = n;
      else if (letter == 's')
        implied.rs1 = n;
      else if (letter == 't')
        implied.rs2 = n;
      else
        throw "only d, s and t can be implied";
      continue;
    }
    Field& f = field[field_count++];
    f.letter = 'i';
    if (*p != 's' && *p != 'u') throw "an immediate is s(igned) or u(nsigned)";
    f.is_signed = *p++ == 's';
    for (;;) {
      const unsigned high = detail::number(p);
      unsigned low = high;
      if (*p == ':') {
        ++p;
        low = detail::number(p);
      }
      for (unsigned to = high + 1; to-- > low;) {
        if (placed >= imm.count) throw "the immediate has more bits than the pattern";
        detail::add_bit(f, imm.bit[placed++], to);
      }
      if (*p != '|') break;
      ++p;
    }
  }
  if (placed != imm.count) throw "the pattern has more immediate bits than the fields tell";
}

}  // namespace hindcast::riscv
