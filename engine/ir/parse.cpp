// Reads the text form (print.cpp has the grammar). Checks syntax only; verify() checks the rest.
#include <algorithm>
#include <charconv>
#include <map>

#include "engine/helpers.h"
#include "engine/ir/text.h"

namespace hindcast::ir {

namespace {

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
         c == '-';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Unit run() {
    while (next_line()) {
      if (at_end()) continue;
      if (!seen_unit_) {
        unit_line();
      } else if (take_word_if("block")) {
        block_line();
      } else {
        op_line();
      }
      if (!at_end()) fail("unexpected '" + std::string(line_) + "'");
    }
    if (!seen_unit_) fail("the text has no 'unit' line");
    for (const Reference& r : references_) {
      const auto it = names_.find(r.name);
      line_number_ = r.line;
      if (it == names_.end()) fail("no value is named %" + std::string(r.name));
      unit_.insts[r.inst].args[r.operand] = it->second;
    }
    return std::move(unit_);
  }

 private:
  struct Reference {
    u32 inst;
    unsigned operand;
    std::string_view name;
    unsigned line;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw Fatal("IR text, line " + std::to_string(line_number_) + ": " + what);
  }

  // ---- characters
  bool next_line() {
    if (pos_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\n', pos_), text_.size());
    line_ = text_.substr(pos_, end - pos_);
    line_ = line_.substr(0, line_.find('#'));
    pos_ = end + 1;
    ++line_number_;
    skip_blanks();
    return true;
  }
  void skip_blanks() {
    while (!line_.empty() && (line_[0] == ' ' || line_[0] == '\t' || line_[0] == '\r'))
      line_.remove_prefix(1);
  }
  bool at_end() const { return line_.empty(); }
  bool take(char c) {
    if (line_.empty() || line_[0] != c) return false;
    line_.remove_prefix(1);
    skip_blanks();
    return true;
  }
  std::string_view peek_word() const {
    std::size_t n = 0;
    while (n < line_.size() && is_word(line_[n])) ++n;
    return line_.substr(0, n);
  }
  std::string_view word(const char* what) {
    const std::string_view w = peek_word();
    if (w.empty()) fail(std::string("expected ") + what);
    line_.remove_prefix(w.size());
    skip_blanks();
    return w;
  }
  bool take_word_if(std::string_view wanted) {
    if (peek_word() != wanted) return false;
    word("");
    return true;
  }
  u64 number(u64 max = ~u64{0}) {
    std::string_view w = word("a number");
    const std::string all(w);
    const bool hex = w.starts_with("0x");
    if (hex) w.remove_prefix(2);
    u64 v = 0;
    const auto [end, error] = std::from_chars(w.data(), w.data() + w.size(), v, hex ? 16 : 10);
    if (error != std::errc() || end != w.data() + w.size()) fail("'" + all + "' is not a number");
    if (v > max) fail("'" + all + "' is too large");
    return v;
  }
  bool take_key(std::string_view key) {
    if (peek_word() != key) return false;
    word("");
    if (!take('=')) fail("expected '=' after '" + std::string(key) + "'");
    return true;
  }
  u64 required(std::string_view key, u64 max = ~u64{0}) {
    if (!take_key(key)) fail("expected '" + std::string(key) + "='");
    return number(max);
  }
  u64 optional(std::string_view key, u64 max) { return take_key(key) ? number(max) : 0; }

  // ---- lines
  void unit_line() {
    if (!take_word_if("unit")) fail("expected 'unit'");
    unit_.pc = required("pc");
    unit_.context = required("context");
    seen_unit_ = true;
  }

  void block_line() {
    if (number() != unit_.blocks.size()) fail("blocks are numbered from 0 in order");
    unit_.blocks.push_back({static_cast<u32>(unit_.insts.size()), 0});
  }

  void op_line() {
    if (unit_.blocks.empty()) fail("an op before the first block");
    const u32 index = static_cast<u32>(unit_.insts.size());
    std::string_view result;
    if (take('%')) {
      result = word("a value's name");
      if (!take('=')) fail("expected '='");
      if (!names_.emplace(result, index).second) fail("a second value is named %" + std::string(result));
    }
    Inst inst;
    operation(inst);
    if ((result_type(inst) != Type::Void) != !result.empty()) {
      fail(result.empty() ? "the op's result needs a name" : "the op has no result");
    }
    if (attributes_of(inst.op) == Attributes::Helper) helper_name(inst);
    operands(index);
    attributes(inst);
    unit_.insts.push_back(inst);
    ++unit_.blocks.back().count;
    if (inst.op == Op::InsnStart) ++unit_.insn_count;
  }

  void operation(Inst& inst) {
    const std::string_view w = word("an operation");
    const std::size_t dot = w.find('.');
    const std::string_view name = w.substr(0, dot);
    unsigned op = 0;
    while (op < kOpCount && name != info(static_cast<Op>(op)).name) ++op;
    if (op == kOpCount) fail("there is no operation '" + std::string(name) + "'");
    inst.op = static_cast<Op>(op);
    if (dot == std::string_view::npos) return;
    const std::string_view type = w.substr(dot + 1);
    for (unsigned t = 1; t <= static_cast<unsigned>(Type::F64); ++t) {
      if (type == to_string(static_cast<Type>(t))) inst.type = static_cast<Type>(t);
    }
    if (inst.type == Type::Void) fail("there is no type '" + std::string(type) + "'");
  }

  void helper_name(Inst& inst) {
    if (!take('@')) fail("expected '@' and a helper's name");
    const std::string_view name = word("a helper's name");
    const u32 n = find_helper(name);
    if (n == kNoHelper) fail("there is no helper '" + std::string(name) + "'");
    inst.imm = n;
  }

  void operands(u32 index) {
    for (unsigned i = 0; take('%'); ++i) {
      if (i == 3) fail("an op has at most three operands");
      references_.push_back({index, i, word("a value's name"), line_number_});
      if (!take(',')) return;
      if (line_.empty() || line_[0] != '%') fail("expected an operand");
    }
  }

  void memory_attributes(Inst& inst) {
    MemAttr attr;
    if (take_key("offset")) {
      const std::string_view w = peek_word();
      const bool negative = w.starts_with('-');
      if (negative) line_.remove_prefix(1);
      const i64 v = static_cast<i64>(number(negative ? 0x80000000 : 0x7fffffff));
      attr.offset = static_cast<i32>(negative ? -v : v);
    }
    attr.big_endian = take_word_if("be");
    attr.must_align = take_word_if("align");
    attr.store_intent = take_word_if("intent");
    attr.space = static_cast<u8>(optional("space", 0xff));
    inst.imm = attr.pack();
  }

  void rounding(Inst& inst) {
    if (!take_key("round")) fail("expected 'round='");
    const std::string_view w = word("a rounding mode");
    for (const unsigned r : {0u, 1u, 2u, 3u, 4u, 7u}) {
      if (w != round_name(static_cast<Round>(r))) continue;
      inst.aux = r;
      inst.flags = static_cast<u8>(optional("neg", 3));
      return;
    }
    fail("there is no rounding mode '" + std::string(w) + "'");
  }

  void attributes(Inst& inst) {
    constexpr u64 kMax32 = 0xffffffff;
    switch (attributes_of(inst.op)) {
      case Attributes::None:
      case Attributes::Helper: break;
      case Attributes::Constant: inst.imm = number(); break;
      case Attributes::Register: inst.imm = required("reg"); break;
      case Attributes::Memory: memory_attributes(inst); break;
      case Attributes::Rounding: rounding(inst); break;
      case Attributes::Insn:
        inst.imm = required("pc");
        inst.flags = static_cast<u8>(required("len", 0xff));
        break;
      case Attributes::Jump: inst.aux = static_cast<u32>(required("to", kMax32)); break;
      case Attributes::Branch:
        inst.aux = static_cast<u32>(required("then", kMax32));
        inst.imm = required("else", kMax32);
        break;
      case Attributes::Pc: inst.imm = required("pc"); break;
      case Attributes::PcReason:
        inst.imm = required("pc");
        inst.aux = static_cast<u32>(optional("reason", kMax32));
        break;
    }
  }

  std::string_view text_;
  std::size_t pos_ = 0;
  std::string_view line_;
  unsigned line_number_ = 0;
  bool seen_unit_ = false;
  Unit unit_;
  std::map<std::string_view, u32> names_;
  std::vector<Reference> references_;
};

}  // namespace

Unit parse(std::string_view text) { return Parser(text).run(); }

}  // namespace hindcast::ir
