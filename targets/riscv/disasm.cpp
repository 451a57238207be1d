// GNU-style text from the rows' syntax, with the friendlier names of aliases.inc.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "targets/riscv/chapters.h"
#include "targets/riscv/csr.h"
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {
namespace {

constexpr const char* kRounding[] = {"rne", "rtz", "rdn", "rup", "rmm", "rm5", "rm6", "dyn"};
constexpr u8 kDynamic = 7;

/// A fence's predecessor or successor set.
std::string fence_set(unsigned bits) {
  std::string text;
  for (unsigned i = 0; i < 4; ++i) {
    if ((bits >> (3 - i) & 1) != 0) text += "iorw"[i];
  }
  return text.empty() ? "0" : text;
}

/// Everything about one instruction that its text may need.
struct Subject {
  const RiscvArch& arch;
  const Operands& o;
  GuestAddr pc;

  std::string x(unsigned n) const { return arch.registers()[n].abi_name; }
  std::string f(unsigned n) const { return arch.registers()[arch.f_row(n)].abi_name; }

  /// The text of one letter of a row's syntax.
  std::string operand(char letter) const {
    switch (letter) {
      case 'd': return x(o.rd);
      case 's': return x(o.rs1);
      case 't': return x(o.rs2);
      case 'D': return f(o.rd);
      case 'S': return f(o.rs1);
      case 'T': return f(o.rs2);
      case 'R': return f(o.rs3);
      case 'i': return std::to_string(o.imm);
      case 'h': return fmt::format("{:#x}", o.imm);
      case 'u': return fmt::format("{:#x}", static_cast<u64>(o.imm) >> 12 & 0xfffff);
      case 'p': return fmt::format("{:#x}", arch.truncate(pc + static_cast<u64>(o.imm)));
      case 'c': return csr_name(o.csr) != nullptr ? csr_name(o.csr) : fmt::format("{:#x}", o.csr);
      case 'z': return std::to_string(o.rs1);
      case 'm': return o.rm == kDynamic ? "" : std::string(",") + kRounding[o.rm];
      case 'e': return o.rm == 0 ? "" : std::string(",") + kRounding[o.rm];
      case 'f': return fence_set(static_cast<unsigned>(o.imm >> 4)) + "," + fence_set(o.imm & 15);
      default: return std::string(1, letter);
    }
  }
};

constexpr const char* kOrdering[] = {"", ".rl", ".aq", ".aqrl"};

std::string text_of(const InsnRow& row, const Subject& subject) {
  const char* operands = row.syntax;
  std::string text = std::strncmp(row.name, "c.", 2) == 0 ? row.name + 2 : row.name;
  if (const char* space = std::strchr(row.syntax, ' '); space != nullptr) {
    text.assign(row.syntax, space);
    operands = space + 1;
  }
  if (*operands == 'A') {
    text += kOrdering[subject.o.aqrl];
    ++operands;
  }
  if (*operands != 0) text += ' ';
  for (; *operands != 0; ++operands) text += subject.operand(*operands);
  return text;
}

/// fsgnj with equal sources moves, negates, or takes the absolute value.
std::string sign_alias(const InsnRow& row, const Subject& subject) {
  const Operands& o = subject.o;
  const std::string_view name = row.name;
  if (o.rs1 != o.rs2 || !name.starts_with("fsgnj")) return {};
  const char* verb = name[5] == 'n' ? "fneg" : name[5] == 'x' ? "fabs" : "fmv";
  return fmt::format("{}{} {},{}", verb, name.substr(name.find('.')), subject.f(o.rd), subject.f(o.rs1));
}

/// Aliases, the most specific first.
const std::vector<const InsnRow*>& sorted_aliases() {
  static const std::vector<const InsnRow*> sorted = [] {
    std::vector<const InsnRow*> rows;
    for (const InsnRow& row : alias_rows()) rows.push_back(&row);
    std::stable_sort(rows.begin(), rows.end(), [](const InsnRow* a, const InsnRow* b) {
      return std::popcount(a->mask) > std::popcount(b->mask);
    });
    return rows;
  }();
  return sorted;
}

}  // namespace

std::span<const InsnRow> alias_rows() {
  using namespace ext;
  constexpr Xlen any = Xlen::Any, rv32 = Xlen::Rv32, rv64 = Xlen::Rv64;
#define ALIAS(name, needs, xlen, pattern, fields, syntax) \
  InsnRow(name, needs, xlen, InsnClass::System, pattern, fields, syntax, nullptr),
  static constexpr InsnRow rows[] = {
#include "targets/riscv/aliases.inc"
  };
#undef ALIAS
  return rows;
}

unsigned RiscvArch::disassemble(GuestAddr pc, ByteView code, std::string& text) const {
  const Fetched insn = fetch(code);
  if (insn.length == 0) return 0;
  Operands o;
  const InsnRow* row = decode(insn.bits, &o);
  const Subject subject{*this, o, pc};
  for (const InsnRow* alias : sorted_aliases()) {
    if (alias->length != insn.length || !alias->matches(insn.bits)) continue;
    if (!cpu_.has(alias->needs) || !cpu_.in(alias->xlen)) continue;
    const Operands alias_operands = alias->decode(insn.bits);
    if (!alias->allows(alias_operands, cpu_)) continue;
    o = alias_operands;
    text = text_of(*alias, subject);
    return insn.length;
  }
  if (row == nullptr) {
    text = fmt::format("{} {:#x}", insn.length == 2 ? ".2byte" : ".4byte", insn.bits);
    return insn.length;
  }
  text = sign_alias(*row, subject);
  if (text.empty()) text = text_of(*row, subject);
  return insn.length;
}

}  // namespace hindcast::riscv
