// What the bundled plugins share: options, text, numbers. They use the public interface alone.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/include/qemu-plugin.h"

namespace plugin {

/// Text by a printf format.
[[gnu::format(printf, 1, 2)]] inline std::string format(const char* text, ...) {
  std::va_list args, again;
  va_start(args, text);
  va_copy(again, args);
  std::string out(static_cast<std::size_t>(std::vsnprintf(nullptr, 0, text, args)), '\0');
  std::vsnprintf(out.data(), out.size() + 1, text, again);
  va_end(again);
  va_end(args);
  return out;
}

/// To the log.
inline void print(const std::string& text) { qemu_plugin_outs(text.c_str()); }

/// What a plugin does with its options: each is given to the handler of its name. A handler returns whether
/// the value makes sense.
class Options {
 public:
  using Handler = std::function<bool(const char* value)>;
  Options& add(const char* name, Handler handler) {
    handlers_.emplace_back(name, std::move(handler));
    return *this;
  }
  Options& flag(const char* name, bool& value) {
    return add(name, [name, &value](const char* text) { return qemu_plugin_bool_parse(name, text, &value); });
  }
  Options& number(const char* name, uint64_t& value, uint64_t least = 0) {
    return add(name,
               [&value, least](const char* text) { return parse_number(text, value) && value >= least; });
  }
  Options& text(const char* name, std::string& value) {
    return add(name, [&value](const char* text) { return value = text, true; });
  }

  /// False after a line in the log, which is then the reason why the command refuses to run.
  bool parse(int argc, char** argv) const {
    for (int i = 0; i < argc; ++i) {
      const char* equals = std::strchr(argv[i], '=');
      const std::string name(
          argv[i], equals == nullptr ? std::strlen(argv[i]) : static_cast<std::size_t>(equals - argv[i]));
      const Handler* handler = find(name);
      if (handler == nullptr) {
        print(format("the option '%s' is not known; there is %s\n", name.c_str(), names().c_str()));
        return false;
      }
      if (!(*handler)(equals == nullptr ? "on" : equals + 1)) {
        print(format("'%s' makes no sense\n", argv[i]));
        return false;
      }
    }
    return true;
  }

  static bool parse_number(const char* text, uint64_t& value) {
    if (*text < '0' || *text > '9') return false;
    char* end = nullptr;
    value = std::strtoull(text, &end, 0);
    return *end == '\0';
  }

 private:
  const Handler* find(const std::string& name) const {
    for (const auto& [known, handler] : handlers_)
      if (name == known) return &handler;
    return nullptr;
  }
  std::string names() const {
    std::string out;
    for (const auto& [known, handler] : handlers_) out += (out.empty() ? "" : ", ") + std::string(known);
    return out.empty() ? "none" : out;
  }

  std::vector<std::pair<const char*, Handler>> handlers_;
};

/// The instruction's text.
inline std::string text_of(const qemu_plugin_insn* insn) {
  char* text = qemu_plugin_insn_disas(insn);
  std::string out = text == nullptr ? "" : text;
  g_free(text);
  return out;
}

}  // namespace plugin

/// Every plugin begins with this.
#define BUNDLED_PLUGIN                                              \
  extern "C" {                                                      \
  QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION; \
  }
