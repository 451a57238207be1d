// The source format of device trees ("Devicetree Specification", chapter 6). A recursive-descent parser that
// builds the tree while it reads; references are filled in at the end, because labels may follow their use.
#include <fmt/format.h>

#include <cctype>
#include <map>

#include "targets/loader/device_tree.h"

namespace hindcast::loader {
namespace {

class SourceParser {
 public:
  SourceParser(const std::string& name, std::string_view text) : name_(name), text_(text) {}

  DeviceTree parse() {
    skip();
    if (!keyword("/dts-v1/")) fail("a device tree source begins with /dts-v1/;");
    expect(';');
    while (skip(), pos_ < text_.size()) top_level();
    if (!has_root_) fail("there is no root node: / { ... };");
    resolve();
    return std::move(tree_);
  }

 private:
  /// A place that waits for a label: a cell that becomes a phandle, or a whole value that becomes a path.
  struct Reference {
    DtNode* node;
    std::string property;
    std::size_t offset;
    std::string target;  // label, or path in "{/...}"
    unsigned line;
    bool path;
  };

  // ---- characters and words ----
  [[noreturn]] void fail(const std::string& what) const { fail(what, line_); }
  [[noreturn]] void fail(const std::string& what, unsigned line) const {
    throw Fatal(fmt::format("device tree '{}', line {}: {}", name_, line, what));
  }
  char peek() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }
  char next() {
    if (pos_ >= text_.size()) fail("the text ends too early");
    if (text_[pos_] == '\n') ++line_;
    return text_[pos_++];
  }
  bool ahead(std::string_view what) const { return text_.substr(pos_, what.size()) == what; }
  void skip() {
    while (pos_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(peek())) != 0) {
        next();
      } else if (ahead("//")) {
        while (pos_ < text_.size() && peek() != '\n') next();
      } else if (ahead("/*")) {
        next(), next();
        while (!ahead("*/")) next();
        next(), next();
      } else {
        return;
      }
    }
  }
  bool keyword(std::string_view what) {
    skip();
    if (!ahead(what)) return false;
    pos_ += what.size();
    return true;
  }
  bool accept(char c) {
    skip();
    if (peek() != c) return false;
    next();
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' expected", c));
  }
  /// Names of nodes and properties, labels included.
  std::string word() {
    skip();
    std::string result;
    while (std::isalnum(static_cast<unsigned char>(peek())) != 0 ||
           (peek() != '\0' && std::string_view(",._+-#?@").find(peek()) != std::string_view::npos))
      result += next();
    if (result.empty()) fail("a name expected");
    return result;
  }
  /// After '&': a label, or a path in braces.
  std::string reference() {
    if (!accept('{')) return word();
    std::string path = "{";
    while (peek() != '}') path += next();
    next();
    return path;
  }

  // ---- nodes ----
  void top_level() {
    if (keyword("/memreserve/")) {
      u64 base = primary();
      tree_.reserve(base, primary());
      expect(';');
    } else if (ahead("/include/") || ahead("#") || ahead("/incbin/") || ahead("/plugin/")) {
      fail("other files, preprocessor lines and overlays are not supported; compile it to a blob first");
    } else if (keyword("/delete-node/")) {
      expect('&');
      DtNode& node = lookup(reference(), line_);
      forget(node);
      node.parent()->remove_child(std::string(node.name()));
      expect(';');
    } else if (accept('&')) {
      body(lookup(reference(), line_), 1);
    } else if (accept('/')) {
      has_root_ = true;
      body(tree_.root(), 1);
    } else {
      std::string label = word();
      expect(':');
      bool root = accept('/');
      if (!root) expect('&');
      has_root_ |= root;
      DtNode& node = root ? tree_.root() : lookup(reference(), line_);
      labels_[label] = &node;
      body(node, 1);
    }
  }

  void body(DtNode& node, unsigned depth) {
    if (depth > kDeepestNode) fail("nested too deeply");
    expect('{');
    while (!accept('}')) statement(node, depth);
    expect(';');
  }

  void statement(DtNode& node, unsigned depth) {
    if (keyword("/delete-node/")) {
      std::string name = word();
      if (DtNode* child = node.child(name)) {
        forget(*child);
        node.remove_child(std::string(child->name()));
      }
      expect(';');
      return;
    }
    if (keyword("/delete-property/")) {
      std::string name = word();
      drop_references(node, name);
      node.remove(name);
      expect(';');
      return;
    }
    keyword("/omit-if-no-ref/");
    std::vector<std::string> labels;
    std::string name = word();
    while (accept(':')) {
      labels.push_back(name);
      name = word();
    }
    skip();
    if (peek() == '{') {
      DtNode& child = node.add_child(name);
      for (const std::string& label : labels) labels_[label] = &child;
      body(child, depth + 1);
      return;
    }
    drop_references(node, name);
    Bytes value;
    if (accept('=')) {
      do {
        one_value(node, name, value);
      } while (accept(','));
    }
    expect(';');
    node.set(name, std::move(value));
  }

  // ---- values ----
  void one_value(DtNode& node, const std::string& property, Bytes& value) {
    skip();
    if (peek() == '"') {
      for (char c : quoted('"')) value.push_back(static_cast<u8>(c));
      value.push_back(0);
    } else if (accept('[')) {
      while (!accept(']')) value.push_back(hex_byte());
    } else if (accept('&')) {
      references_.push_back({&node, property, value.size(), reference(), line_, true});
    } else if (keyword("/bits/")) {
      u64 bits = primary();
      if (bits != 8 && bits != 16 && bits != 32 && bits != 64) fail("/bits/ is 8, 16, 32 or 64");
      cells(node, property, value, static_cast<unsigned>(bits / 8));
    } else {
      cells(node, property, value, 4);
    }
  }

  void cells(DtNode& node, const std::string& property, Bytes& value, unsigned size) {
    expect('<');
    while (!accept('>')) {
      u64 cell = 0;
      if (accept('&')) {
        if (size != 4) fail("a reference needs a cell of 32 bits");
        references_.push_back({&node, property, value.size(), reference(), line_, false});
      } else {
        cell = primary();
      }
      for (unsigned i = size; i-- > 0;) value.push_back(static_cast<u8>(cell >> (8 * i)));
    }
  }

  u8 hex_byte() {
    skip();
    unsigned value = 0;
    for (int i = 0; i < 2; ++i) {
      char c = next();
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) fail("two hexadecimal digits expected");
      value = value * 16 + static_cast<unsigned>(
                               std::isdigit(static_cast<unsigned char>(c)) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return static_cast<u8>(value);
  }

  std::string quoted(char quote) {
    std::string result;
    next();
    while (peek() != quote) {
      char c = next();
      result += c == '\\' ? escape() : c;
    }
    next();
    return result;
  }

  char escape() {
    char c = next();
    switch (c) {
      case 'n': return '\n';
      case 't': return '\t';
      case 'r': return '\r';
      case 'a': return '\a';
      case 'b': return '\b';
      case 'f': return '\f';
      case 'v': return '\v';
      case 'x': return static_cast<char>(hex_byte());
      default: break;
    }
    if (c < '0' || c > '7') return c;
    unsigned value = static_cast<unsigned>(c - '0');
    for (int i = 0; i < 2 && peek() >= '0' && peek() <= '7'; ++i)
      value = value * 8 + static_cast<unsigned>(next() - '0');
    return static_cast<char>(value);
  }

  // ---- expressions: C's operators on 64-bit numbers ----
  u64 primary(unsigned depth = 0) {
    if (depth > kDeepestNode) fail("nested too deeply");
    if (accept('(')) {
      u64 value = ternary(depth + 1);
      expect(')');
      return value;
    }
    if (peek() == '\'') {
      std::string text = quoted('\'');
      if (text.size() != 1) fail("one character expected");
      return static_cast<u8>(text[0]);
    }
    if (std::isdigit(static_cast<unsigned char>(peek())) == 0) fail("a number expected");
    unsigned base = 10;
    if (ahead("0x") || ahead("0X")) {
      next(), next();
      base = 16;
    } else if (peek() == '0') {
      base = 8;
    }
    u64 value = 0;
    for (bool first = true;; first = false) {
      char c = static_cast<char>(std::tolower(static_cast<unsigned char>(peek())));
      unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                       : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                                              : 99;
      if (digit >= base) {
        if (first || std::isdigit(static_cast<unsigned char>(c)) != 0) fail("a digit expected");
        break;
      }
      if (value > (~u64{0} - digit) / base) fail("the number needs more than 64 bits");
      value = value * base + digit;
      next();
    }
    while (peek() == 'u' || peek() == 'U' || peek() == 'l' || peek() == 'L') next();
    return value;
  }

  u64 unary(unsigned depth) {
    if (depth > kDeepestNode) fail("nested too deeply");
    if (accept('-')) return u64{0} - unary(depth + 1);
    if (accept('~')) return ~unary(depth + 1);
    if (accept('!')) return unary(depth + 1) == 0 ? 1 : 0;
    return primary(depth);
  }

  u64 ternary(unsigned depth) {
    u64 condition = binary(0, depth);
    if (!accept('?')) return condition;
    u64 yes = ternary(depth + 1);
    expect(':');
    u64 no = ternary(depth + 1);
    return condition != 0 ? yes : no;
  }

  struct Operator {
    std::string_view text;
    unsigned precedence;
  };
  const Operator* operator_ahead() {
    // Longer ones first, so that "<<" is not read as "<".
    static constexpr Operator kOperators[] = {
        {"||", 1}, {"&&", 2}, {"==", 6}, {"!=", 6}, {"<<", 8}, {">>", 8}, {"<=", 7}, {">=", 7}, {"|", 3},
        {"^", 4},  {"&", 5},  {"<", 7},  {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10}};
    skip();
    for (const Operator& op : kOperators)
      if (ahead(op.text)) return &op;
    return nullptr;
  }
  u64 binary(unsigned lowest, unsigned depth) {
    u64 left = unary(depth);
    for (const Operator* op = operator_ahead(); op != nullptr && op->precedence > lowest;
         op = operator_ahead()) {
      pos_ += op->text.size();
      left = apply(op->text, left, binary(op->precedence, depth + 1));
    }
    return left;
  }
  u64 apply(std::string_view op, u64 a, u64 b) const {
    if (op == "||") return a != 0 || b != 0;
    if (op == "&&") return a != 0 && b != 0;
    if (op == "==") return a == b;
    if (op == "!=") return a != b;
    if (op == "<=") return a <= b;
    if (op == ">=") return a >= b;
    if (op == "<") return a < b;
    if (op == ">") return a > b;
    if (op == "<<") return b > 63 ? 0 : a << b;
    if (op == ">>") return b > 63 ? 0 : a >> b;
    if (op == "|") return a | b;
    if (op == "^") return a ^ b;
    if (op == "&") return a & b;
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    if (b == 0) fail("division by zero");
    return op == "/" ? a / b : a % b;
  }

  // ---- references ----
  DtNode& lookup(const std::string& target, unsigned line) const {
    if (target[0] == '{') {
      if (DtNode* node = tree_.find(std::string_view(target).substr(1))) return *node;
    } else if (auto it = labels_.find(target); it != labels_.end()) {
      return *it->second;
    }
    fail(fmt::format("no node is called '{}'", target[0] == '{' ? target.substr(1) : target), line);
  }
  void drop_references(const DtNode& node, const std::string& property) {
    std::erase_if(references_, [&](const Reference& r) { return r.node == &node && r.property == property; });
  }
  /// The node and all below are about to go.
  void forget(const DtNode& node) {
    if (node.parent() == nullptr) fail("the root cannot be deleted");
    auto inside = [&](const DtNode* n) {
      for (; n != nullptr; n = n->parent())
        if (n == &node) return true;
      return false;
    };
    std::erase_if(references_, [&](const Reference& r) { return inside(r.node); });
    std::erase_if(labels_, [&](const auto& entry) { return inside(entry.second); });
  }
  void resolve() {
    // From the back, so that a path inserted into a value does not move the references before it.
    for (auto it = references_.rbegin(); it != references_.rend(); ++it) {
      DtNode& target = lookup(it->target, it->line);
      Bytes value = *it->node->property(it->property);
      if (it->path) {
        std::string path = target.path();
        value.insert(value.begin() + static_cast<std::ptrdiff_t>(it->offset), path.c_str(),
                     path.c_str() + path.size() + 1);
      } else {
        u32 phandle = tree_.phandle(target);
        for (unsigned i = 0; i < 4; ++i) value[it->offset + i] = static_cast<u8>(phandle >> (24 - 8 * i));
      }
      it->node->set(it->property, std::move(value));
    }
  }

  const std::string& name_;
  std::string_view text_;
  std::size_t pos_ = 0;
  unsigned line_ = 1;
  bool has_root_ = false;
  DeviceTree tree_;
  std::map<std::string, DtNode*> labels_;
  std::vector<Reference> references_;
};

}  // namespace

DeviceTree DeviceTree::from_source(const std::string& name, std::string_view text) {
  return SourceParser(name, text).parse();
}

}  // namespace hindcast::loader
