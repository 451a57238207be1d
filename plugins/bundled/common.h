// What the bundled plugins share: options, text, numbers. They use the public interface alone.
#pragma once
#include <cctype>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/include/hindcast-plugin.h"

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
  /// Not empty.
  Options& text(const char* name, std::string& value) {
    return add(name, [&value](const char* text) { return value = text, !value.empty(); });
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
    return parse_whole(text, 0, value);
  }
  /// Digits of this base alone, and not more than 64 bits.
  static bool parse_whole(const char* text, int base, uint64_t& value) {
    if (std::isxdigit(static_cast<unsigned char>(*text)) == 0) return false;
    char* end = nullptr;
    errno = 0;
    value = std::strtoull(text, &end, base);
    return errno == 0 && *end == '\0';
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

/// What a plugin saves in one process for merging in another (hindcast-plugin.h).
class Saved {
 public:
  explicit Saved(GByteArray* out) : out_(out) {}
  Saved& number(uint64_t value) {
    g_byte_array_append(out_, reinterpret_cast<const guint8*>(&value), sizeof value);
    return *this;
  }
  Saved& text(const std::string& text) {
    number(text.size());
    g_byte_array_append(out_, reinterpret_cast<const guint8*>(text.data()), static_cast<guint>(text.size()));
    return *this;
  }

 private:
  GByteArray* out_;
};
/// Reads it back, in the same order; past the end: 0 and "", and ok() is false.
class Loaded {
 public:
  Loaded(const uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  uint64_t number() {
    uint64_t value = 0;
    if (take(sizeof value)) std::memcpy(&value, data_ - sizeof value, sizeof value);
    return value;
  }
  std::string text() {
    const uint64_t size = number();
    return take(size) ? std::string(reinterpret_cast<const char*>(data_ - size), size) : std::string();
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && left_ == 0; }

 private:
  bool take(uint64_t size) {
    ok_ = ok_ && size <= left_;
    if (!ok_) return false;
    data_ += size;
    left_ -= size;
    return true;
  }
  const uint8_t* data_;
  std::size_t left_;
  bool ok_ = true;
};

/// Whether an option of this name is among them.
inline bool has_option(int argc, char** argv, const char* name) {
  const std::size_t n = std::strlen(name);
  for (int i = 0; i < argc; ++i)
    if (std::strncmp(argv[i], name, n) == 0 && (argv[i][n] == '=' || argv[i][n] == '\0')) return true;
  return false;
}

/// A counter grows by what another process has counted.
inline void add_to(qemu_plugin_u64 counter, unsigned vcpu, uint64_t more) {
  if (more != 0) qemu_plugin_u64_add(counter, vcpu, more);
}
inline unsigned vcpus() { return static_cast<unsigned>(qemu_plugin_num_vcpus()); }

/// Elements of a scoreboard by vCPU, without a call for each look: here they stay where they are.
template <typename T>
class PerVcpu {
 public:
  explicit PerVcpu(qemu_plugin_scoreboard* scoreboard = nullptr) {
    for (unsigned i = 0; scoreboard != nullptr && i < vcpus(); ++i)
      elements_.push_back(static_cast<T*>(qemu_plugin_scoreboard_find(scoreboard, i)));
  }
  T& operator[](unsigned vcpu) const { return *elements_[vcpu]; }

 private:
  std::vector<T*> elements_;
};

/// Whether the file can be written, which is said now and not after the run. It is there then.
inline bool can_write(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "abe");
  if (file != nullptr && std::fclose(file) == 0) return true;
  print(format("%s cannot be written: %s\n", path.c_str(), std::strerror(errno)));
  return false;
}

/// The instruction's text.
inline std::string text_of(const qemu_plugin_insn* insn) {
  char* text = qemu_plugin_insn_disas(insn);
  std::string out = text == nullptr ? "" : text;
  g_free(text);
  return out;
}

}  // namespace plugin

/// A plugin that can take part in analyses by several processes ends with this; `possible` may be nullptr.
#define SEGMENTS_ANNOUNCED(possible, save, merge, begin, announce)                              \
  extern "C" QEMU_PLUGIN_EXPORT const struct hindcast_plugin_segments hindcast_plugin_segments; \
  const struct hindcast_plugin_segments hindcast_plugin_segments = {3,     possible, save,      \
                                                                    merge, begin,    announce};
#define SEGMENTS_AGAIN(possible, save, merge, begin) SEGMENTS_ANNOUNCED(possible, save, merge, begin, false)
#define SEGMENTS(possible, save, merge) SEGMENTS_AGAIN(possible, save, merge, nullptr)

/// Every plugin begins with this.
#define BUNDLED_PLUGIN                                              \
  extern "C" {                                                      \
  QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION; \
  }
