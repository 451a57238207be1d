#include "tests/tidy/rules.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace hindcast::tidy {
namespace {

constexpr unsigned kMaxColumns = 110;
constexpr unsigned kMaxLines = 500;
constexpr std::size_t kMaxFunctionLines = 90;

/// What each folder may include of ours, itself included (docs/architecture.md, "The folders").
const std::map<std::string, std::set<std::string>>& allowed_folders() {
  static const std::map<std::string, std::set<std::string>> table = {
      {"engine", {"engine"}},
      {"storage", {"storage"}},
      {"semihost", {"engine", "semihost"}},
      {"targets", {"engine", "semihost", "targets"}},
      {"replay", {"engine", "storage", "replay"}},
      {"plugins", {"engine", "replay", "plugins"}},
      {"gdb", {"engine", "replay", "gdb"}},
  };
  return table;
}

/// Libraries and the only folders that may use them. `begin` is how their headers' paths begin.
struct Library {
  const char* begin;
  std::set<std::string> folders;
};
const std::vector<Library>& libraries() {
  static const std::vector<Library> table = {
      {"asmjit/", {"engine"}},
      {"rocksdb/", {"storage"}},
      {"flatbuffers/", {"storage"}},
      {"lz4", {"storage"}},
      {"zstd", {"storage"}},
      {"xxhash", {"storage", "replay", "engine"}},
      {"capstone/", {"targets", "plugins"}},
      {"libfdt", {"targets"}},
      {"CLI/", {"cli"}},
      {"nlohmann/", {"cli", "replay", "gdb"}},
      {"libslirp", {"replay"}},
      {"spdlog/", {"cli"}},
  };
  return table;
}

/// Headers through which a device could ask the host. engine/ needs some of them for memory and signals.
const std::regex& host_header() {
  static const std::regex re(
      R"(^(sys/.*|netinet/.*|arpa/.*|fstream|iostream|filesystem|thread|chrono|random|ctime|csignal|)"
      R"((unistd|fcntl|time|signal|poll|termios|netdb)\.h)$)");
  return re;
}

struct Banned {
  std::regex re;
  const char* why;
};
const std::vector<Banned>& banned() {
  static const std::vector<Banned> table = [] {
    std::vector<Banned> list;
    auto call = [&list](const char* names, const char* why) {
      list.push_back({std::regex("(^|[^A-Za-z0-9_.>])(std::|::)?(" + std::string(names) + R"()\s*\()"), why});
    };
    call("s?rand|rand_r|srandom|drand48|arc4random|getrandom|getentropy", "a host random number");
    call("clock_gettime|gettimeofday|localtime|gmtime|mktime|ftime", "the host's clock");
    // Names that our own functions may have too: the C library's by its argument or its namespace. What slips
    // through is found in the object files (test_symbols.cpp).
    list.push_back({std::regex(R"((^|[^A-Za-z0-9_.>])time\s*\(\s*(nullptr|NULL|0|&))"), "the host's clock"});
    list.push_back({std::regex(R"((^|[^A-Za-z0-9_])(std)?::(random|time|clock|times)\s*\()"), "the host"});
    call("__rdtsc|_rdtsc|__rdtscp|_rdrand\\d+_step|_rdseed\\d+_step|__builtin_ia32_rdtscp?",
         "a host counter");
    call("getenv|secure_getenv|setlocale|getpid|gettid|gethostname|uname", "the host's environment");
    list.push_back({std::regex(R"(\bstd::random_device\b)"), "a host random number"});
    list.push_back({std::regex(R"(\bstd::chrono::\w*_clock\b)"), "the host's clock"});
    list.push_back({std::regex(R"(\bstd::hash<[^>]*\*\s*>)"), "the value of a pointer"});
    list.push_back(
        {std::regex(R"(\b(asm|__asm__)\b.*\b(rdtsc|rdtscp|rdrand|rdseed|cpuid)\b)"), "a host counter"});
    return list;
  }();
  return table;
}

std::string folder_of(const std::string& path) {
  std::size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

bool is_source(const std::string& path) {
  for (const char* end : {".h", ".cpp", ".inc", ".def"})
    if (path.ends_with(end)) return true;
  return false;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool in_core(const std::string& path) {
  std::string folder = folder_of(path);
  return folder == "engine" || folder == "targets" ||
         (folder == "semihost" && path.find("semihost/host_files") != 0);
}

/// UTF-8 characters, which is what the eye counts.
unsigned columns(const std::string& line) {
  return static_cast<unsigned>(std::count_if(
      line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string without_comments(const std::string& text, bool strings_too) {
  std::string out = text;
  enum { Code, Line, Block, String, Char, Raw } state = Code;
  std::string raw_end;
  auto blank = [&out](std::size_t at) {
    if (out[at] != '\n') out[at] = ' ';
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
    switch (state) {
      case Code:
        if (c == '/' && (next == '/' || next == '*')) {
          state = next == '/' ? Line : Block;
          blank(i);
          blank(++i);
        } else if (c == 'R' && next == '"' &&
                   (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0)) {
          std::size_t open = text.find('(', i);
          if (open == std::string::npos) break;
          raw_end = ")" + text.substr(i + 2, open - i - 2) + "\"";
          i = open;
          state = Raw;
        } else if (c == '"') {
          state = String;
        } else if (c == '\'' && (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0)) {
          state = Char;  // not a digit separator
        }
        break;
      case Line:
        if (c == '\n')
          state = Code;
        else
          blank(i);
        break;
      case Block:
        if (c == '*' && next == '/') {
          blank(i);
          blank(++i);
          state = Code;
        } else {
          blank(i);
        }
        break;
      case String:
      case Char:
        if (c == (state == String ? '"' : '\'') || c == '\n') {
          state = Code;
        } else {
          if (c == '\\' && next != '\n' && next != '\0') {
            if (strings_too) blank(i);
            ++i;
          }
          if (strings_too) blank(i);
        }
        break;
      case Raw:
        if (text.compare(i, raw_end.size(), raw_end) == 0) {
          i += raw_end.size() - 1;
          state = Code;
        } else if (strings_too) {
          blank(i);
        }
        break;
    }
  }
  return out;
}

void check_includes(const SourceFile& file, std::vector<Finding>& out) {
  static const std::regex include(R"rx(^\s*#\s*include\s*["<]([^">]+)[">])rx");
  std::string folder = folder_of(file.path);
  auto allowed = allowed_folders().find(folder);
  auto lines = lines_of(without_comments(file.text, false));
  for (unsigned i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (!std::regex_search(lines[i], match, include)) continue;
    std::string path = match[1], from = folder_of(path);
    auto report = [&](const std::string& text) { out.push_back({"include", file.path, i + 1, text}); };
    bool ours = allowed_folders().contains(from) || from == "cli" || from == "tests";
    if (allowed != allowed_folders().end() && ours && !allowed->second.contains(from))
      report(folder + "/ may not use " + from + "/");
    if (folder == "targets" || (folder == "semihost" && in_core(file.path)))
      if (std::regex_match(path, host_header())) report("<" + path + ">: devices do not ask the host");
    if (allowed == allowed_folders().end() && folder != "cli") continue;  // tests use what they like
    for (const Library& library : libraries())
      if (path.starts_with(library.begin) && !library.folders.contains(folder))
        report("<" + path + "> has no business in " + folder + "/");
  }
}

void check_banned_calls(const SourceFile& file, std::vector<Finding>& out) {
  if (!in_core(file.path)) return;
  auto lines = lines_of(without_comments(file.text, true));
  auto with_strings = lines_of(without_comments(file.text, false));  // what an asm statement does is a string
  for (unsigned i = 0; i < lines.size(); ++i)
    for (const Banned& ban : banned()) {
      bool is_asm = lines[i].find("asm") != std::string::npos;
      if (std::regex_search(is_asm ? with_strings[i] : lines[i], ban.re))
        out.push_back({"banned", file.path, i + 1, std::string("depends on ") + ban.why});
    }
}

std::set<std::string> unordered_names(const std::string& text) {
  static const std::regex declared(R"(\bunordered_(?:multi)?(?:map|set)\s*<[^;(){]*>\s*&?\s*(\w+)\s*[;={(])");
  std::set<std::string> names;
  if (text.find("unordered_") == std::string::npos) return names;
  const std::string code = without_comments(text, true);
  for (std::sregex_iterator it(code.begin(), code.end(), declared), end; it != end; ++it)
    names.insert((*it)[1]);
  return names;
}

void check_hash_order(const SourceFile& file, const std::set<std::string>& members,
                      std::vector<Finding>& out) {
  if (!in_core(file.path)) return;
  std::set<std::string> names = unordered_names(file.text);
  names.insert(members.begin(), members.end());
  const std::string code = without_comments(file.text, true);
  auto lines = lines_of(code), raw = lines_of(file.text);
  auto excused = [&](unsigned i) {
    constexpr std::string_view kReason = "in any order";
    return raw[i].find(kReason) != std::string::npos ||
           (i != 0 && raw[i - 1].find(kReason) != std::string::npos);
  };
  for (const std::string& name : names) {
    std::regex walk(R"(for\s*\([^;]*:[^;:]*\b)" + name + R"(\s*\)|\b)" + name + R"((\.|->)c?begin\s*\()");
    for (unsigned i = 0; i < lines.size(); ++i)
      if (lines[i].find(name) != std::string::npos && std::regex_search(lines[i], walk) && !excused(i))
        out.push_back({"order", file.path, i + 1, "iterates over the unordered container '" + name + "'"});
  }
}

void check_architecture_names(const SourceFile& file, std::vector<Finding>& out) {
  static const std::set<std::string> neutral = {"engine", "storage", "semihost", "replay", "plugins", "gdb"};
  if (!neutral.contains(folder_of(file.path))) return;
  static const std::regex name(R"(\b\w*(risc-?v|rv32|rv64|aarch64|mips|sparc|xtensa|hexagon|s390)\w*)",
                               std::regex::icase);
  auto lines = lines_of(without_comments(file.text, false));
  for (unsigned i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (std::regex_search(lines[i], match, name))
      out.push_back({"name", file.path, i + 1, "names an architecture: '" + match[0].str() + "'"});
  }
}

void check_layout(const SourceFile& file, std::vector<Finding>& out) {
  static const std::regex unfinished(R"(\b(TODO|FIXME|HACK)\b)");
  auto lines = lines_of(file.text);
  bool rules_own = file.path.starts_with("tests/tidy/");
  for (unsigned i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    auto report = [&](const char* text) { out.push_back({"layout", file.path, i + 1, text}); };
    if (line.find('\t') != std::string::npos && !file.path.ends_with(".dts")) report("a tab");
    if (!line.empty() && (line.back() == ' ' || line.back() == '\r')) report("space at the end of the line");
    if (!rules_own && std::regex_search(line, unfinished))
      report("unfinished work; finish it or open an issue");
  }
  if (!file.text.empty() && file.text.back() != '\n')
    out.push_back({"layout", file.path, static_cast<unsigned>(lines.size()), "the last line has no end"});
}

void check_columns(const SourceFile& file, std::vector<Finding>& out) {
  if (!is_source(file.path)) return;
  auto lines = lines_of(file.text);
  for (unsigned i = 0; i < lines.size(); ++i)
    if (unsigned n = columns(lines[i]); n > kMaxColumns)
      out.push_back({"columns", file.path, i + 1, std::to_string(n) + " columns"});
}

void check_length(const SourceFile& file, std::vector<Finding>& out) {
  if (!is_source(file.path)) return;
  auto lines = std::count(file.text.begin(), file.text.end(), '\n');
  for (auto n = static_cast<std::ptrdiff_t>(kMaxLines); n < lines; ++n)
    out.push_back(
        {"length", file.path, static_cast<unsigned>(n + 1), "a line beyond the 500th; cut the file"});
}

namespace {

std::size_t indent_of(const std::string& line) { return std::min(line.find_first_not_of(' '), line.size()); }

/// Whether the text before a '{' begins a function's body: neither a type, a block inside a function, a
/// lambda nor a list of values.
bool begins_function(const std::string& text) {
  static const std::regex other(
      R"(^\s*(\}|namespace\b|class\b|struct\b|enum\b|union\b|if\b|for\b|while\b|switch\b|else\b|do\b|)"
      R"(catch\b|case\b|default\b|return\b|extern\b|using\b|typedef\b)|\[[&=\]\w]|[^=!<>]=[^=])");
  return text.find('(') != std::string::npos && !std::regex_search(text, other);
}

}  // namespace

void check_functions(const SourceFile& file, std::vector<Finding>& out) {
  const auto lines = lines_of(without_comments(file.text, true));
  auto continues = [&](std::size_t i) {  // the line is part of the statement that goes on after it
    const std::size_t last = lines[i].find_last_not_of(' ');
    return last != std::string::npos && lines[i][0] != '#' &&
           std::string_view(";{}").find(lines[i][last]) == std::string_view::npos &&
           !lines[i].ends_with("public:") && !lines[i].ends_with("private:") &&
           !lines[i].ends_with("protected:");
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].ends_with(" {")) continue;
    std::size_t head = i;
    while (head != 0 && continues(head - 1)) --head;
    std::string text;
    for (std::size_t k = head; k <= i; ++k) text += lines[k] + " ";
    if (!begins_function(text)) continue;
    const std::string end = std::string(indent_of(lines[head]), ' ') + "}";
    std::size_t last = i + 1;
    while (last < lines.size() && !lines[last].starts_with(end)) ++last;
    const std::size_t length = last - head + 1;
    if (length > kMaxFunctionLines)
      out.push_back({"function", file.path, static_cast<unsigned>(head + 1),
                     "a function of " + std::to_string(length) + " lines; at most 90, cut it"});
  }
}

std::vector<Finding> check(const SourceFile& file, const std::set<std::string>& members) {
  std::vector<Finding> out;
  if (is_source(file.path)) {
    check_includes(file, out);
    check_banned_calls(file, out);
    check_hash_order(file, members, out);
    check_architecture_names(file, out);
    check_columns(file, out);
    check_length(file, out);
    check_functions(file, out);
  }
  check_layout(file, out);
  return out;
}

}  // namespace hindcast::tidy
