// Unified assembly text from the rows' syntax.
#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "targets/arm/arm.h"

namespace hindcast::arm {
namespace {

constexpr const char* kConditions[] = {"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                       "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};
constexpr const char* kShifts[] = {"lsl", "lsr", "asr", "ror"};

std::string reg(unsigned n) {
  switch (n) {
    case kSp: return "sp";
    case kLr: return "lr";
    case kPc: return "pc";
    default: return fmt::format("r{}", n);
  }
}

std::string special_register(const Operands& o) {
  constexpr u32 kNonSecureAlias = 0x80;
  if ((o.imm & kNonSecureAlias) != 0) {
    Operands own;
    own.imm = o.imm & ~kNonSecureAlias;
    return own.imm == 24 ? "sp_ns" : special_register(own) + "_ns";
  }
  switch (o.imm) {
    case 0: return "apsr";
    case 1: return "iapsr";
    case 2: return "eapsr";
    case 3: return "xpsr";
    case 5: return "ipsr";
    case 6: return "epsr";
    case 7: return "iepsr";
    case 8: return "msp";
    case 9: return "psp";
    case 10: return "msplim";
    case 11: return "psplim";
    case 16: return "primask";
    case 17: return "basepri";
    case 18: return "basepri_max";
    case 19: return "faultmask";
    case 20: return "control";
    default: return fmt::format("{}", o.imm);
  }
}

std::string barrier_option(u32 option) {
  return option == 15 ? std::string("sy") : fmt::format("#{}", option);
}

/// The letters behind "it": t as the first condition, e as its opposite.
std::string if_then(u32 bits) {
  const u32 cond = bits >> 4 & 15;
  std::string suffix;
  // The mask ends with a 1; what is above are the conditions' low bits.
  const int last = std::countr_zero(bits & 15);
  for (int i = 3; i > last; --i) suffix += (bits >> i & 1) == (cond & 1) ? 't' : 'e';
  return suffix + " " + kConditions[cond];
}

struct Subject {
  const InsnRow& row;
  const Operands& o;
  u32 pc;

  u32 aligned() const { return (pc + 4) & ~u32{3}; }
  bool bit(unsigned n) const { return (o.bits >> n & 1) != 0; }
  u32 list() const {
    if (row.length == 4) return o.list;
    const bool push = std::strcmp(row.name, "push") == 0;
    return (o.list & 0xff) | (o.list >> 8 & 1) << (push ? kLr : kPc);
  }
  std::string register_list() const {
    std::string text;
    for (unsigned n = 0; n < 16; ++n)
      if ((list() >> n & 1) != 0) text += (text.empty() ? "" : ", ") + reg(n);
    return "{" + text + "}";
  }
  /// CLRM's: bit 15 is APSR.
  std::string clear_list() const {
    std::string text;
    for (unsigned n = 0; n < 16; ++n)
      if ((o.list >> n & 1) != 0) text += (text.empty() ? "" : ", ") + (n == kPc ? "apsr" : reg(n));
    return "{" + text + "}";
  }
  static std::string fp_register(unsigned n) {
    switch (n) {
      case 1: return "fpscr";
      case 2: return "fpscr_nzcvqc";
      case 14: return "fpcxtns";
      case 15: return "fpcxts";
      default: return fmt::format("#{}", n);
    }
  }
  static unsigned single(unsigned field) { return (field & 15) << 1 | field >> 4; }
  static std::string float_list(char letter, unsigned first, unsigned count) {
    return count <= 1 ? fmt::format("{{{}{}}}", letter, first)
                      : fmt::format("{{{}{}-{}{}}}", letter, first, letter, first + count - 1);
  }
  std::string address(bool indexed, bool add, bool writeback) const {
    const char* sign = add ? "" : "-";
    if (!indexed) return fmt::format("[{}], #{}{}", reg(o.n), sign, o.imm);
    if (o.imm == 0 && !writeback && add) return fmt::format("[{}]", reg(o.n));
    return fmt::format("[{}, #{}{}]{}", reg(o.n), sign, o.imm, writeback ? "!" : "");
  }
  std::string shifted() const {
    const bool right = o.shift == 1 || o.shift == 2;
    if (o.imm == 0 && o.shift == 0) return reg(o.m);
    if (o.imm == 0 && o.shift == 3) return reg(o.m) + ", rrx";
    return fmt::format("{}, {} #{}", reg(o.m), kShifts[o.shift], o.imm == 0 && right ? 32 : o.imm);
  }
  /// The text of one letter of a row's syntax.
  std::string operand(char letter) const {
    switch (letter) {
      case 'd': return reg(o.d);
      case 'n': return reg(o.n);
      case 'm': return reg(o.m);
      case 't': return reg(o.t);
      case 'u': return reg(o.u);
      case 'a': return reg(o.a);
      case 'c': return kConditions[o.cond];
      case 'i': return fmt::format("#{}", o.imm);
      case 'j': return fmt::format("#{}", o.imm2);
      case 'z': return o.n == kPc ? "zr" : reg(o.n);
      case 'Z': return o.m == kPc ? "zr" : reg(o.m);
      case 'h': return clear_list();
      case 'R': return fmt::format("0x{:x}", pc + 4 - o.imm);
      case 'K': return fp_register(o.n);
      case 'H': return fp_register(o.m);
      case 'x': return fmt::format("#0x{:x}", o.imm);
      case 'e': return fmt::format("#0x{:x}", expand_imm(o.imm));
      case 'M': return fmt::format("#0x{:x}", o.imm2 << 12 | o.imm);
      case 'b': return fmt::format("0x{:x}", pc + 4 + o.imm);
      case 'p': return fmt::format("0x{:x}", aligned() + o.imm);
      case 'P': return fmt::format("0x{:x}", aligned() - o.imm);
      case 'L': return fmt::format("#{}{}", bit(23) ? "" : "-", o.imm);
      case 'o': return o.imm == 0 ? "" : fmt::format(", #{}", o.imm);
      case 'N': return fmt::format("{}", o.imm);
      case 'A': return address(o.p, o.v, o.w);
      case 'D': return address(bit(24), o.v, bit(21));
      case 'k': return o.imm == 0 ? "" : fmt::format(", lsl #{}", o.imm);
      case 's': return shifted();
      case 'S':
        return o.imm == 0 && o.shift == 0 ? "" : fmt::format(", {} #{}", o.shift != 0 ? "asr" : "lsl", o.imm);
      case 'r': return o.imm == 0 ? "" : fmt::format(", ror #{}", 8 * o.imm);
      case 'G': return fmt::format("#{}", o.imm == 0 ? 32 : o.imm);
      case 'B': return fmt::format("#{}", o.imm2 - o.imm + 1);
      case 'l': return register_list();
      case '1': return fmt::format("s{}", single(o.d));
      case '2': return fmt::format("s{}", o.n);
      case '3': return fmt::format("s{}", single(o.m));
      case '4': return fmt::format("d{}", o.d);
      case '5': return fmt::format("d{}", (o.n & 1) << 4 | o.n >> 1);
      case '6': return fmt::format("d{}", o.m);
      case '7': return fmt::format("s{}", single(o.m) + 1);
      case 'v': return fmt::format("#0x{:02x}", o.imm);
      case 'f':
        return fmt::format("#{}", ((o.bits >> 7 & 1) != 0 ? 32 : 16) - ((o.imm & 15) << 1 | o.imm >> 4));
      case 'V':
        return o.n == kPc ? fmt::format("[pc, #{}{}]", o.v ? "" : "-", o.imm) : address(true, o.v, false);
      case 'X': return float_list('s', single(o.d), o.imm);
      case 'Y': return float_list('d', o.d, o.imm / 2);
      case 'F': return o.t == kPc ? std::string("apsr_nzcv") : reg(o.t);
      case 'w': return o.w ? "!" : "";
      case '!': return (o.list >> o.n & 1) != 0 ? "" : "!";
      case 'y': return special_register(o);
      case 'q': return barrier_option(o.imm);
      case 'I': return if_then(o.imm);
      case 'C':
        return fmt::format("{} {}{}", o.imm != 0 ? "id" : "ie", (o.imm2 & 2) != 0 ? "i" : "",
                           (o.imm2 & 1) != 0 ? "f" : "");
      default: return std::string(1, letter);
    }
  }
  std::string expand(const char* text) const {
    std::string out;
    for (; *text != 0; ++text) {
      if (*text == '%' && text[1] != 0) {
        out += operand(*++text);
      } else {
        out += *text;
      }
    }
    return out;
  }
  std::string text() const {
    std::string name = expand(row.name);
    if (o.s) {  // before ".w"
      const std::size_t dot = name.find('.');
      name.insert(dot == std::string::npos ? name.size() : dot, "s");
    }
    const std::string operands = expand(row.syntax);
    if (operands.empty()) return name;
    const bool joined = row.syntax[1] == 'I' || row.syntax[1] == 'C';  // more of the name comes first
    return name + (joined ? "" : " ") + operands;
  }
};

}  // namespace

unsigned ArmArch::disassemble(GuestAddr pc, ByteView code, std::string& text) const {
  const Fetched insn = fetch(code);
  if (insn.length == 0) return 0;
  Operands o;
  const InsnRow* row = decode(insn.bits, insn.length, &o);
  if (row == nullptr) {
    text = insn.length == 2 ? fmt::format(".short 0x{:04x}", insn.bits)
                            : fmt::format(".inst.w 0x{:08x}", insn.bits);
  } else {
    text = Subject{*row, o, static_cast<u32>(pc)}.text();
  }
  return insn.length;
}

}  // namespace hindcast::arm
