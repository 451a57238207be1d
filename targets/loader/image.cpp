#include "targets/loader/image.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

#include "engine/large_bytes.h"

namespace hindcast::loader {
namespace {

bool starts_with(ByteView file, std::string_view magic) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

bool is_hex_digit(u8 c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

const char* to_string(Format format) {
  switch (format) {
    case Format::Raw: return "raw";
    case Format::Elf: return "ELF";
    case Format::IntelHex: return "Intel HEX";
    case Format::Uf2: return "UF2";
  }
  return "?";
}

const Symbol* Image::find_symbol(std::string_view name) const {
  for (const Symbol& s : symbols)
    if (s.name == name) return &s;
  return nullptr;
}

const Symbol* Image::symbol_at(GuestAddr address) const {
  auto after = std::upper_bound(symbols.begin(), symbols.end(), address,
                                [](GuestAddr a, const Symbol& s) { return a < s.address; });
  const Symbol* nearest = nullptr;
  // Labels may lie inside a function (local branch targets), so a function that contains the address wins.
  // Only a few symbols are looked at: the answer is for people, not worth a long search.
  for (int looked = 0; after != symbols.begin() && looked < 64; ++looked) {
    const Symbol& s = *--after;
    if (nearest == nullptr) nearest = &s;
    if (s.function && address - s.address < s.size) return &s;
  }
  return nearest;
}

GuestAddr Image::start() const {
  if (entry) return *entry;
  GuestAddr lowest = segments.empty() ? 0 : segments.front().address;
  for (const Segment& s : segments) lowest = std::min(lowest, s.address);
  return lowest;
}

Format detect_format(ByteView file) {
  if (starts_with(file,
                  "\x7f"
                  "ELF"))
    return Format::Elf;
  if (file.size() >= 512 && starts_with(file, "UF2\n\x57\x51\x5d\x9e")) return Format::Uf2;
  // A record is at least ":LLAAAATTCC". A raw image that begins like this by chance would need eleven text
  // bytes.
  if (file.size() >= 11 && file[0] == ':' && std::all_of(file.begin() + 1, file.begin() + 11, is_hex_digit))
    return Format::IntelHex;
  return Format::Raw;
}

namespace {
/// What a file is meant to be whose bytes say nothing: damage at its beginning does not make it raw bytes.
Format meant_format(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  std::string ending = dot == std::string::npos ? "" : name.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == "hex" || ending == "ihex" || ending == "ihx") return Format::IntelHex;
  if (ending == "elf" || ending == "axf") return Format::Elf;
  return ending == "uf2" ? Format::Uf2 : Format::Raw;
}
}  // namespace

Image parse_raw(ByteView file, GuestAddr address) {
  Image image;
  Bytes data;
  reserve_large(data, file.size());
  data.assign(file.begin(), file.end());
  image.segments.push_back({address, file.size(), std::move(data)});
  return image;
}

Image parse_image(const std::string& name, ByteView file, GuestAddr raw_address) {
  if (file.empty()) throw Fatal("'" + name + "' is empty: nothing to load");
  const Format format = detect_format(file);
  switch (format == Format::Raw ? meant_format(name) : format) {
    case Format::Elf: return parse_elf(name, file);
    case Format::IntelHex: return parse_intel_hex(name, file);
    case Format::Uf2: return parse_uf2(name, file);
    case Format::Raw: break;
  }
  return parse_raw(file, raw_address);
}

}  // namespace hindcast::loader
