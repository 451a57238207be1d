// The source format of device trees ("Devicetree Specification", chapter 6). A recursive-descent parser that
// builds the tree while it reads; references are filled in at the end, because labels may follow their use.
#include <fmt/format.h>

#include <cctype>
#include <map>

#include "targets/loader/device_tree.h"

namespace hindcast::loader {
namespace {

constexpr std::size_t kCell = 4;

class SourceParser {
 public:
  SourceParser(const std::string& name, std::string_view text) : name_(name), text_(text) {}

  DeviceTree parse() {
    if (text_.size() > kLargestTree)
      fail(fmt::format("the text has {} bytes; at most {} are read", text_.size(), kLargestTree));
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
    std::size_t offset;  // in the value as it was read, in which a path takes no place
    std::string target;  // label, or path in "{/...}"
    unsigned line;
    bool path;
  };
  /// A value with references.
  struct Pending {
    DtNode* node;
    std::string property;
    std::vector<Reference> references;
    bool current = true;  // nothing has replaced the value
  };

  // ---- characters and words
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
    if (!accept('{')) {
      std::string label;
      while (std::isalnum(static_cast<unsigned char>(peek())) != 0 || peek() == '_') label += next();
      if (label.empty()) fail("a label expected");
      return label;
    }
    std::string path = "{";
    while (peek() != '}') path += next();
    next();
    return path;
  }

  // ---- nodes
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
      if (node.parent() == nullptr) fail("the root cannot be deleted");
      removed_.push_back(node.parent()->remove_child(node.name()));
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
      if (DtNode* child = node.child(name)) removed_.push_back(node.remove_child(child->name()));
      expect(';');
      return;
    }
    if (keyword("/delete-property/")) {
      std::string name = word();
      supersede(node, name);
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
      const std::size_t before = node.children().size();
      DtNode& child = node.add_child(name);
      nodes_ += node.children().size() - before;
      if (nodes_ > kMostNodes) fail(fmt::format("more than {} nodes", kMostNodes));
      for (const std::string& label : labels) labels_[label] = &child;
      body(child, depth + 1);
      return;
    }
    supersede(node, name);
    Bytes value;
    std::vector<Reference> references;
    if (accept('=')) {
      do {
        one_value(value, references);
      } while (accept(','));
    }
    expect(';');
    node.set(name, std::move(value));
    if (references.empty()) return;
    latest_[{&node, name}] = pending_.size();
    pending_.push_back({&node, name, std::move(references)});
  }

  // ---- values
  void one_value(Bytes& value, std::vector<Reference>& references) {
    skip();
    if (peek() == '"') {
      for (char c : quoted('"')) value.push_back(static_cast<u8>(c));
      value.push_back(0);
    } else if (accept('[')) {
      while (!accept(']')) value.push_back(hex_byte());
    } else if (accept('&')) {
      references.push_back({value.size(), reference(), line_, true});
    } else if (keyword("/bits/")) {
      u64 bits = primary();
      if (bits != 8 && bits != 16 && bits != 32 && bits != 64) fail("/bits/ is 8, 16, 32 or 64");
      cells(value, references, static_cast<unsigned>(bits / 8));
    } else {
      cells(value, references, 4);
    }
  }

  void cells(Bytes& value, std::vector<Reference>& references, unsigned size) {
    expect('<');
    while (!accept('>')) {
      u64 cell = 0;
      if (accept('&')) {
        if (size != 4) fail("a reference needs a cell of 32 bits");
        references.push_back({value.size(), reference(), line_, false});
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

  // ---- expressions: C's operators on 64-bit numbers
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

  // ---- references
  DtNode& lookup(const std::string& target, unsigned line) const {
    if (target[0] == '{') {
      if (DtNode* node = tree_.find(std::string_view(target).substr(1))) return *node;
    } else if (auto it = labels_.find(target); it != labels_.end() && attached(it->second)) {
      return *it->second;
    }
    fail(fmt::format("no node is called '{}'", target[0] == '{' ? target.substr(1) : target), line);
  }
  /// Whether the node is still part of the tree.
  bool attached(const DtNode* node) const {
    while (node->parent() != nullptr) node = node->parent();
    return node == &tree_.root();
  }
  /// The property is about to get another value, or to go.
  void supersede(const DtNode& node, const std::string& property) {
    auto it = latest_.find({&node, property});
    if (it != latest_.end()) pending_[it->second].current = false;
  }
  void resolve() {
    std::size_t total = 0;
    for (auto it = pending_.rbegin(); it != pending_.rend(); ++it) {
      if (!it->current || !attached(it->node)) continue;
      std::vector<Bytes> found(it->references.size());
      for (std::size_t i = found.size(); i-- > 0;) {
        found[i] = referenced(it->references[i]);
        total += found[i].size();
        if (total > kLargestResult) fail("its paths make more than 64 MiB", it->references[i].line);
      }
      const Bytes& read = *it->node->property(it->property);
      Bytes value;
      std::size_t at = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const Reference& reference = it->references[i];
        value.insert(value.end(), read.begin() + static_cast<std::ptrdiff_t>(at),
                     read.begin() + static_cast<std::ptrdiff_t>(reference.offset));
        value.insert(value.end(), found[i].begin(), found[i].end());
        at = reference.offset + (reference.path ? 0 : kCell);
      }
      value.insert(value.end(), read.begin() + static_cast<std::ptrdiff_t>(at), read.end());
      it->node->set(it->property, std::move(value));
    }
  }
  /// What a reference stands for: a path with its end, or a phandle.
  Bytes referenced(const Reference& reference) {
    DtNode& target = lookup(reference.target, reference.line);
    if (reference.path) {
      const std::string path = target.path();
      return Bytes(path.c_str(), path.c_str() + path.size() + 1);
    }
    const u32 phandle = tree_.phandle(target);
    Bytes cell;
    for (int shift = 24; shift >= 0; shift -= 8) cell.push_back(static_cast<u8>(phandle >> shift));
    return cell;
  }

  const std::string& name_;
  std::string_view text_;
  std::size_t pos_ = 0;
  unsigned line_ = 1;
  bool has_root_ = false;
  DeviceTree tree_;
  std::size_t nodes_ = 0;
  std::map<std::string, DtNode*> labels_;
  std::vector<std::unique_ptr<DtNode>> removed_;  // labels and values may still name them
  std::vector<Pending> pending_;                  // in the order of the text
  std::map<std::pair<const DtNode*, std::string>, std::size_t>
      latest_;  // only looked up: addresses have no order
};

}  // namespace

DeviceTree DeviceTree::from_source(const std::string& name, std::string_view text) {
  return SourceParser(name, text).parse();
}

}  // namespace hindcast::loader
