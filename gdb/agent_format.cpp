#include "gdb/agent_format.h"

#include <algorithm>
#include <cstdio>

namespace hindcast::gdb {
namespace {

constexpr unsigned kMaxField = 1000;
constexpr std::size_t kMaxText = 10'000;

class Formatter {
 public:
  Formatter(std::string_view format, std::span<const u64> arguments, AgentWorld& world)
      : rest_(format), arguments_(arguments), world_(world) {}

  std::optional<std::string> run() {
    while (!rest_.empty()) {
      const char c = next();
      const bool right = c == '%' ? conversion() : c == '\\' ? escape() : (out_ += c, true);
      if (!right || out_.size() > kMaxText) return std::nullopt;
    }
    return std::move(out_);
  }

 private:
  char next() {
    if (rest_.empty()) return '\0';
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  static bool is_octal(char c) { return c >= '0' && c <= '7'; }

  bool escape() {
    constexpr std::string_view kNames = "abfnrtve\\\"'", kMeanings = "\a\b\f\n\r\t\v\x1b\\\"'";
    const char c = next();
    if (const std::size_t at = kNames.find(c); c != '\0' && at != kNames.npos) {
      out_ += kMeanings[at];
      return true;
    }
    if (!is_octal(c)) return false;
    unsigned value = static_cast<unsigned>(c - '0');
    for (int more = 0; more < 2 && !rest_.empty() && is_octal(rest_.front()); ++more)
      value = value * 8 + static_cast<unsigned>(next() - '0');
    out_ += static_cast<char>(value);
    return value < 256;
  }

  /// Digits, at most kMaxField.
  bool field(std::string& spec) {
    unsigned value = 0;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value = value * 10 + static_cast<unsigned>(rest_.front() - '0');
      if (value > kMaxField) return false;
      spec += next();
    }
    return true;
  }

  bool conversion() {
    if (take('%')) {
      out_ += '%';
      return true;
    }
    std::string spec = "%";
    while (!rest_.empty() && std::string_view("-+ #0").find(rest_.front()) != std::string_view::npos)
      if (const char flag = next(); spec.find(flag) == spec.npos) spec += flag;
    if (!field(spec)) return false;
    if (take('.')) {
      spec += '.';
      if (!field(spec)) return false;
    }
    unsigned bits = 32;
    if (take('h')) {
      bits = take('h') ? 8 : 16;
    } else if (take('l')) {
      bits = take('l') ? 64 : world_.word_bits();
    } else if (take('z') || take('t')) {
      bits = world_.word_bits();
    } else if (take('j')) {
      bits = 64;
    }
    if (used_ == arguments_.size()) return false;
    const u64 value = arguments_[used_++];
    const char type = next();
    switch (type) {
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X': return integer(spec, type, value, bits);
      case 'c': out_ += static_cast<char>(value); return true;
      case 'p': return integer(spec.find('#') == spec.npos ? spec.insert(1, "#") : spec, 'x', value, 64);
      case 's': return string(spec, value);
      default: return false;
    }
  }
  bool integer(std::string spec, char type, u64 value, unsigned bits) {
    const unsigned unused = 64 - bits;
    const bool is_signed = type == 'd' || type == 'i';
    const u64 high = value << unused;
    const u64 cut = is_signed ? static_cast<u64>(static_cast<i64>(high) >> unused) : high >> unused;
    return append(spec + "ll" + type, static_cast<long long>(cut));
  }
  bool string(const std::string& spec, GuestAddr at) {
    std::string text;
    for (; text.size() < kMaxText; ++at) {
      const auto byte = world_.memory(at, 1);
      if (!byte) return false;
      if (*byte == 0) break;
      text += static_cast<char>(*byte);
    }
    return append(spec + 's', text.c_str());
  }
  /// `spec` has been checked: one conversion, of the argument's type, with bounded width and precision.
  template <typename T>
  bool append(const std::string& spec, T value) {
    char buffer[kMaxText + kMaxField + 1];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int size = std::snprintf(buffer, sizeof buffer, spec.c_str(), value);
#pragma GCC diagnostic pop
    if (size < 0) return false;
    out_.append(buffer, std::min<std::size_t>(static_cast<std::size_t>(size), sizeof buffer - 1));
    return true;
  }

  std::string_view rest_;
  std::span<const u64> arguments_;
  std::size_t used_ = 0;
  AgentWorld& world_;
  std::string out_;
};

}  // namespace

std::optional<std::string> format_text(std::string_view format, std::span<const u64> arguments,
                                       AgentWorld& world) {
  return Formatter(format, arguments, world).run();
}

}  // namespace hindcast::gdb
