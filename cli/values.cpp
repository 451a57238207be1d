#include "cli/values.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "engine/large_bytes.h"

namespace hindcast::cli {
namespace {

constexpr u64 kMaxFile = 4ull << 30;
constexpr u64 kLargestSize = kNever >> 1;

enum class Number : u8 { None, Fits, TooLarge };

/// The number at the front of `text`, the largest there is for one that is TooLarge. `rest` is what follows.
Number take_number(std::string_view text, u64* value, std::string_view* rest) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  *rest = text.substr(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc::result_out_of_range) return error == std::errc() ? Number::Fits : Number::None;
  *value = kNever;
  return Number::TooLarge;
}

}  // namespace

u64 parse_number(const std::string& option, const std::string& text, u64 min, u64 max) {
  u64 value = 0;
  std::string_view rest;
  const Number number = take_number(text, &value, &rest);
  if (number == Number::None || !rest.empty())
    throw Fatal(fmt::format("{}: '{}' is not a number", option, printable(text)));
  if (number == Number::TooLarge || value < min || value > max)
    throw Fatal(fmt::format("{}: {} is out of range ({} to {})", option, printable(text), min, max));
  return value;
}

u64 parse_size(const std::string& option, const std::string& text, u64 unit) {
  u64 value = 0;
  std::string_view rest;
  bool ok = take_number(text, &value, &rest) != Number::None;
  if (ok && !rest.empty()) {
    std::size_t power = std::string_view("KMGTPE").find(static_cast<char>(rest[0] & ~0x20));
    bool plain_bytes = rest == "B" || rest == "b";
    ok = plain_bytes || (power != std::string_view::npos &&
                         (rest.size() == 1 || rest.substr(1) == "B" || rest.substr(1) == "iB"));
    unit = plain_bytes ? 1 : u64{1} << (10 * (power + 1) % 64);
  }
  if (!ok)
    throw Fatal(fmt::format("{}: '{}' is not a size; write it like 128M or 2G", option, printable(text)));
  if (value == 0) throw Fatal(fmt::format("{}: the size must be at least 1 byte", option));
  return value > kLargestSize / unit ? kLargestSize : value * unit;
}

u64 parse_duration(const std::string& option, const std::string& text) {
  static constexpr std::pair<std::string_view, u64> kUnits[] = {
      {"ms", 1'000'000},       {"s", 1'000'000'000},     {"sec", 1'000'000'000},
      {"min", 60'000'000'000}, {"h", 3'600'000'000'000}, {"d", 86'400'000'000'000}};
  u64 value = 0;
  std::string_view rest;
  if (take_number(text, &value, &rest) != Number::None)
    for (const auto& [name, unit] : kUnits) {
      if (rest != name) continue;
      if (value == 0 || value > (kNever >> 2) / unit)
        throw Fatal(fmt::format("{}: the time {} is out of range", option, printable(text)));
      return value * unit;
    }
  throw Fatal(fmt::format("{}: '{}' is not a time; write it like 30s, 5min or 2h", option, printable(text)));
}

bool parse_switch(const std::string& option, const std::string& text) {
  if (text == "on" || text == "yes" || text == "true") return true;
  if (text == "off" || text == "no" || text == "false") return false;
  throw Fatal(fmt::format("{}: '{}' is neither on nor off", option, printable(text)));
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ',') {
      parts.back() += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == ',') {
      parts.back() += text[i++];
    } else {
      parts.emplace_back();
    }
  }
  return parts;
}

std::pair<std::string, std::string> split_pair(const std::string& text) {
  std::size_t equals = text.find('=');
  if (equals == std::string::npos) return {text, "on"};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::pair<std::string, u64> split_address(const std::string& option, const std::string& text) {
  std::size_t at = text.rfind('@');
  if (at == std::string::npos || at == 0)
    throw Fatal(fmt::format("{}: '{}' has no address; write FILE@ADDR", option, printable(text)));
  return {text.substr(0, at), parse_number(option, text.substr(at + 1))};
}

Bytes read_file(const std::string& option, const std::string& path) {
  auto fail = [&](const char* why) -> Fatal {
    return Fatal(fmt::format("{} {}: {}", option, printable(path), why));
  };
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) throw fail(std::strerror(errno));
  struct stat info {};
  Bytes data;
  const char* problem = nullptr;
  if (::fstat(fd, &info) != 0) {
    problem = std::strerror(errno);
  } else if (!S_ISREG(info.st_mode)) {
    problem = "not a regular file";
  } else if (static_cast<u64>(info.st_size) > kMaxFile) {
    problem = "larger than 4 GiB";
  } else {
    reserve_large(data, static_cast<std::size_t>(info.st_size));
    data.resize(static_cast<std::size_t>(info.st_size));
    std::size_t done = 0;
    while (done < data.size() && problem == nullptr) {
      ssize_t got = ::read(fd, data.data() + done, data.size() - done);
      if (got > 0) done += static_cast<std::size_t>(got);
      if (got == 0) data.resize(done);  // it shrank meanwhile
      if (got < 0 && errno != EINTR) problem = std::strerror(errno);
    }
  }
  ::close(fd);
  if (problem != nullptr) throw fail(problem);
  return data;
}

void complain(const std::string& text) {
  // Not fmt::print, which throws where nothing may be thrown any more.
  std::fputs(("hindcast: " + text + "\n").c_str(), stderr);
}

namespace {

/// The length of the UTF-8 sequence that the text begins with, if a terminal shows it; 0: it is none, or a
/// control character (U+0000 to U+001F, U+007F to U+009F).
std::size_t shown(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  const std::size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return length == 2 && byte(0) == 0xc2 && byte(1) < 0xa0 ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = shown(text);
    if (length == 0)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace hindcast::cli
