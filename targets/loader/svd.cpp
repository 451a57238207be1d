#include "targets/loader/svd.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <map>
#include <pugixml.hpp>
#include <set>

namespace hindcast::loader {
namespace {

// Bounds that no microcontroller comes near, and that a hostile file cannot get past.
constexpr std::size_t kMostRegisters = 500'000, kMostPeripherals = 10'000, kMostNesting = 8;
constexpr u64 kLongestArray = 65'536;
/// What is looked at in all: arrays of clusters multiply, with or without registers in them.
constexpr u64 kMostVisits = 4'000'000;
constexpr std::size_t kLongestName = 100, kLongestDescription = 300;

/// What an element has unless those inside it say otherwise.
struct Inherited {
  u64 size_bits = 32;
};

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  std::shared_ptr<RegisterNames> read(ByteView data) {
    pugi::xml_document document;
    const pugi::xml_parse_result result =
        document.load_buffer(data.data(), data.size(), pugi::parse_default, pugi::encoding_auto);
    if (!result) fail(fmt::format("at byte {}: {}", result.offset, result.description()));
    const pugi::xml_node device = document.child("device");
    if (!device) fail("has no <device>: this is no CMSIS-SVD file");
    const Inherited inherited = inherit({}, device);
    for (const pugi::xml_node node : device.child("peripherals").children("peripheral"))
      by_name_.emplace(node.child_value("name"), node);
    for (const pugi::xml_node node : device.child("peripherals").children("peripheral"))
      peripheral(node, inherited);
    if (names_->peripherals().empty()) fail("describes no peripherals");
    names_->finish();
    return names_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Fatal(fmt::format("--svd {}: {}", file_, what));
  }

  /// The text as people may see it: printable, of one line, not too long.
  static std::string clean(std::string_view text, std::size_t most) {
    std::string out;
    bool space = false;
    for (const char c : text) {
      if (c >= '!' && c <= '~') {
        if (space && !out.empty()) out += ' ';
        space = false;
        out += c;
      } else {
        space = true;
      }
      if (out.size() >= most) break;
    }
    return out;
  }

  std::string name_of(const pugi::xml_node& node) const {
    std::string name = clean(node.child_value("name"), kLongestName);
    if (name.empty()) fail(fmt::format("a <{}> has no name (at byte {})", node.name(), node.offset_debug()));
    return name;
  }

  /// scaledNonNegativeInteger: 0x.., #binary or decimal.
  u64 number(const pugi::xml_node& parent, const char* child, std::optional<u64> otherwise) const {
    const std::string_view whole = parent.child_value(child);
    if (whole.empty()) {
      if (otherwise) return *otherwise;
      fail(fmt::format("<{}> has no <{}> (at byte {})", parent.name(), child, parent.offset_debug()));
    }
    std::string_view text = whole;
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
      base = 16;
      text.remove_prefix(2);
    } else if (text.starts_with('#')) {
      base = 2;
      text.remove_prefix(1);
    }
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
      fail(fmt::format("<{}> is no number: '{}' (at byte {})", child, clean(whole, 40),
                       parent.offset_debug()));
    return value;
  }

  Inherited inherit(Inherited from, const pugi::xml_node& node) const {
    from.size_bits = number(node, "size", from.size_bits);
    return from;
  }

  void peripheral(const pugi::xml_node& node, const Inherited& device) {
    if (names_->peripherals().size() >= kMostPeripherals) fail("describes too many peripherals");
    const GuestAddr base = number(node, "baseAddress", std::nullopt);
    const u32 index = names_->add(RegisterNames::Peripheral{
        name_of(node), base, clean(node.child_value("description"), kLongestDescription)});
    // Derived from another: its registers, unless there are own ones. Chains end where they would go round.
    pugi::xml_node with = node;
    std::set<std::string> seen;
    while (!with.child("registers")) {
      visit(1);
      const std::string from = with.attribute("derivedFrom").value();
      const auto other = by_name_.find(from);
      if (from.empty() || other == by_name_.end() || !seen.insert(from).second) return;
      with = other->second;
    }
    group(with.child("registers"), inherit(device, with), index, base, "", 0);
  }

  /// The registers and clusters in a node.
  void group(const pugi::xml_node& node, const Inherited& inherited, u32 peripheral, GuestAddr base,
             const std::string& prefix, std::size_t depth) {
    if (depth > kMostNesting) fail("clusters are nested too deeply");
    for (const pugi::xml_node child : node.children()) {
      visit(1 + static_cast<u64>(std::distance(child.begin(), child.end())));
      const std::string_view kind = child.name();
      if (kind != "register" && kind != "cluster") continue;
      const Inherited own = inherit(inherited, child);
      const u64 offset = number(child, "addressOffset", std::nullopt);
      const u64 count = number(child, "dim", 1), step = number(child, "dimIncrement", 0);
      if (count > kLongestArray) fail(fmt::format("an array of {} elements is too long", count));
      const std::string name = name_of(child);
      for (u64 i = 0; i < count; ++i) {
        visit(1);
        const std::string full = prefix + element_name(child, name, i, count);
        const GuestAddr at = base + offset + i * step;
        if (kind == "cluster")
          group(child, own, peripheral, at, full + ".", depth + 1);
        else
          add(child, own, peripheral, at, full);
      }
    }
  }

  void visit(u64 nodes) {
    visits_ += nodes;
    if (visits_ > kMostVisits) fail("describes too many registers and clusters");
  }

  void add(const pugi::xml_node& node, const Inherited& own, u32 peripheral, GuestAddr at, std::string name) {
    if (names_->registers().size() >= kMostRegisters) fail("describes too many registers");
    if (own.size_bits == 0 || own.size_bits > 64)
      fail(fmt::format("register {} has {} bits", name, own.size_bits));
    if (name.size() > kLongestName) name.resize(kLongestName);
    names_->add(RegisterNames::Register{at, static_cast<u32>((own.size_bits + 7) / 8), peripheral,
                                        std::move(name),
                                        clean(node.child_value("description"), kLongestDescription)});
  }

  /// An array's names have %s where the index goes: from dimIndex ("A,B,C" or "3-7"), else from 0.
  std::string element_name(const pugi::xml_node& node, std::string name, u64 i, u64 count) const {
    const std::size_t at = name.find("%s");
    if (at == std::string::npos) return count > 1 ? fmt::format("{}{}", name, i) : name;
    std::string index = fmt::format("{}", i);
    const std::string given = clean(node.child_value("dimIndex"), 4096);
    if (const std::size_t dash = given.find('-'); dash != std::string::npos) {
      u64 first = 0;
      std::from_chars(given.data(), given.data() + dash, first);
      index = fmt::format("{}", first + i);
    } else if (!given.empty()) {
      std::size_t from = 0;
      for (u64 n = 0; n < i && from != std::string::npos; ++n) {
        from = given.find(',', from);
        if (from != std::string::npos) ++from;
      }
      if (from != std::string::npos) index = given.substr(from, given.find(',', from) - from);
    }
    // "CH[%s]" is an array to C; people write CH3.
    const bool bracketed = at > 0 && name[at - 1] == '[' && name.compare(at, 3, "%s]") == 0;
    return bracketed ? name.replace(at - 1, 4, index) : name.replace(at, 2, index);
  }

  const std::string& file_;
  std::shared_ptr<RegisterNames> names_ = std::make_shared<RegisterNames>();
  std::map<std::string, pugi::xml_node> by_name_;
  u64 visits_ = 0;
};

}  // namespace

std::shared_ptr<RegisterNames> read_svd(const std::string& name, ByteView data) {
  return Reader(name).read(data);
}

void add_register_names(Machine& machine, const MachineConfig& config) {
  for (const MachineFile& file : config.files)
    if (file.role == "svd") machine.set_extension(RegisterNames::kExtension, read_svd(file.name, file.data));
}

}  // namespace hindcast::loader
