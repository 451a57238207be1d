#include "targets/loader/arm_attributes.h"

#include <algorithm>
#include <cctype>

#include "targets/loader/image.h"

namespace hindcast::loader {
namespace {

constexpr u32 kElfArm = 40, kSectionAttributes = 0x70000003;
constexpr u64 kFile = 1;  // the subsection that is about the whole file
constexpr u64 kRawName = 4, kName = 5, kArchitecture = 6, kProfile = 7, kFp = 10, kFpUse = 27,
              kCompatibility = 32;
constexpr std::size_t kLongestName = 64;

/// Takes one thing after another from bytes that may be cut anywhere; what is not there is not taken.
class Cursor {
 public:
  Cursor(ByteView bytes, bool big) : rest_(bytes), big_(big) {}
  bool empty() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }
  std::optional<u32> word() {
    if (rest_.size() < 4) return std::nullopt;
    u32 value = 0;
    for (unsigned i = 0; i < 4; ++i) value |= u32{rest_[big_ ? 3 - i : i]} << (8 * i);
    rest_ = rest_.subspan(4);
    return value;
  }
  std::optional<u64> number() {  // ULEB128
    u64 value = 0;
    for (unsigned shift = 0; shift < 63 && !rest_.empty(); shift += 7) {
      const u8 byte = rest_[0];
      rest_ = rest_.subspan(1);
      value |= u64{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }
  std::optional<std::string> text() {
    const auto end = std::find(rest_.begin(), rest_.end(), u8{0});
    if (end == rest_.end()) return std::nullopt;
    std::string value(rest_.begin(), end);
    rest_ = rest_.subspan(value.size() + 1);
    return value;
  }
  /// The next `size` bytes, by themselves.
  std::optional<Cursor> part(u64 size) {
    if (size > rest_.size()) return std::nullopt;
    Cursor result(rest_.first(size), big_);
    rest_ = rest_.subspan(size);
    return result;
  }

 private:
  ByteView rest_;
  bool big_;
};

std::string for_message(const std::string& name) {
  std::string result;
  for (const char c : name.substr(0, kLongestName)) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0 || c == '-' || c == '+' || c == '.' || c == '_') result += c;
  }
  return result;
}

bool read_file_attributes(Cursor in, ArmAttributes& out) {
  while (!in.empty()) {
    const std::optional<u64> tag = in.number();
    if (!tag) return false;
    // From 32 on odd tags have texts; before it those that are named have.
    const bool is_text = *tag == kRawName || *tag == kName || (*tag > kCompatibility && *tag % 2 == 1);
    if (is_text) {
      const std::optional<std::string> value = in.text();
      if (!value) return false;
      if (*tag == kName) out.cpu = for_message(*value);
      continue;
    }
    const std::optional<u64> value = in.number();
    if (!value) return false;
    switch (*tag) {
      case kArchitecture: out.architecture = *value; break;
      case kProfile: out.profile = *value < 0x80 ? static_cast<char>(*value) : '\0'; break;
      case kFp: out.fp = *value; break;
      case kFpUse: out.fp_use = *value; break;
      case kCompatibility:
        if (!in.text()) return false;
        break;
      default: break;
    }
  }
  return true;
}

std::optional<ArmAttributes> parse(ByteView section, bool big) {
  if (section.empty() || section[0] != 'A') return std::nullopt;
  Cursor vendors(section.subspan(1), big);
  ArmAttributes out;
  bool found = false;
  while (!vendors.empty()) {
    const std::optional<u32> length = vendors.word();  // which counts itself
    if (!length || *length < 4) return std::nullopt;
    std::optional<Cursor> vendor = vendors.part(*length - 4);
    if (!vendor) return std::nullopt;
    const std::optional<std::string> name = vendor->text();
    if (!name) return std::nullopt;
    if (*name != "aeabi") continue;
    while (!vendor->empty()) {
      const std::size_t before = vendor->left();
      const std::optional<u64> tag = vendor->number();
      const std::optional<u32> size = tag ? vendor->word() : std::nullopt;  // which counts the tag and itself
      const std::size_t taken = before - vendor->left();
      if (!size || *size < taken) return std::nullopt;
      const std::optional<Cursor> part = vendor->part(*size - taken);
      if (!part) return std::nullopt;
      if (*tag != kFile) continue;
      if (!read_file_attributes(*part, out)) return std::nullopt;
      found = true;
    }
  }
  if (!found) return std::nullopt;
  return out;
}

}  // namespace

bool ArmAttributes::microcontroller() const {
  switch (architecture) {
    case kV6M:
    case kV6SM:
    case kV7EM:
    case kV8MBase:
    case kV8MMain:
    case kV81MMain: return true;
    case kV7: return profile == 'M';
    default: return false;
  }
}

bool ArmAttributes::double_precision() const {
  constexpr u64 kFirstFp = 1, kSinglePrecisionOnly = 1;
  return fp >= kFirstFp && fp_use != kSinglePrecisionOnly;
}

std::string ArmAttributes::architecture_name() const {
  switch (architecture) {
    case 1: return "Armv4";
    case 2: return "Armv4T";
    case 3: return "Armv5T";
    case 4: return "Armv5TE";
    case 5: return "Armv5TEJ";
    case 6: return "Armv6";
    case 7: return "Armv6KZ";
    case 8: return "Armv6T2";
    case 9: return "Armv6K";
    case kV7: return profile == 0 ? "Armv7" : std::string("Armv7-") + profile;
    case kV6M:
    case kV6SM: return "Armv6-M";
    case kV7EM: return "Armv7E-M";
    case kV8A: return "Armv8-A";
    case kV8R: return "Armv8-R";
    case kV8MBase: return "Armv8-M Baseline";
    case kV8MMain: return "Armv8-M Mainline";
    case kV81MMain: return "Armv8.1-M Mainline";
    case 22: return "Armv9-A";
    default: return "an unknown architecture";
  }
}

std::optional<ArmAttributes> read_arm_attributes(ByteView file) {
  const std::optional<ElfIdentity> id = identify_elf(file);
  if (!id || id->machine != kElfArm) return std::nullopt;
  try {
    return parse(elf_section("image", file, kSectionAttributes), id->big_endian);
  } catch (const Fatal&) {
    return std::nullopt;
  }
}

}  // namespace hindcast::loader
