#include "targets/machines/arm_images.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/arm/features.h"
#include "targets/loader/arm_attributes.h"
#include "targets/machines/arm_board_table.h"
#include "targets/machines/arm_boards.h"

namespace hindcast::machines {
namespace {

using loader::ArmAttributes;
using loader::DtRange;
using loader::Segment;

/// What each architecture has, the one before it has too, or nearly: v8-M runs what is made for v7E-M.
enum class Level { V6M, V7M, V7EM, V8M, V81M };

Level level_of(const ArmAttributes& image) {
  switch (image.architecture) {
    case ArmAttributes::kV6M:
    case ArmAttributes::kV6SM: return Level::V6M;
    case ArmAttributes::kV7EM: return Level::V7EM;
    case ArmAttributes::kV8MBase:
    case ArmAttributes::kV8MMain: return Level::V8M;
    case ArmAttributes::kV81MMain: return Level::V81M;
    default: return Level::V7M;
  }
}

Level level_of(const arm::Features& cpu) {
  if (cpu.has(arm::ext::V81)) return Level::V81M;
  if (cpu.has(arm::ext::V8)) return Level::V8M;
  if (!cpu.has(arm::ext::Main)) return Level::V6M;
  return cpu.has(arm::ext::Dsp) ? Level::V7EM : Level::V7M;
}

/// A board's memories, as images see them.
class Memories {
 public:
  explicit Memories(const ArmBoard& board) : vectors_{board.vectors} {
    const loader::DeviceTree tree = tree_of(board);
    cpu_ = arm::parse_cpu(board.cpu != nullptr ? board.cpu : "", cortex_m_of(tree));
    for (const NodeRange& memory : flash_and_memory(tree)) ranges_.push_back(memory.range);
    tree.for_each([&](const loader::DtNode& node) {
      note_mirrors(node, board.vectors);
      // Flash and pages of settings that a model has.
      if (node.compatible_with("nordic,nrf51-flash-controller") || node.compatible_with("nordic,nrf-ficr"))
        for (const DtRange& range : node.reg()) ranges_.push_back(range);
      const std::vector<u32> shadows = node.cells("hindcast,shadows");
      for (std::size_t i = 0; i + 2 < shadows.size(); i += 3)
        shadows_.push_back({shadows[i], shadows[i + 1], shadows[i + 2]});
    });
  }
  const arm::Features& cpu() const { return cpu_; }
  /// The vector table's addresses.
  const std::vector<GuestAddr>& vectors() const { return vectors_; }
  /// All of it, as the loader takes it: headers before memory, and zeros whose place is used elsewhere, may
  /// lie outside.
  bool hold(const Segment& s) const {
    const u64 needed = s.used_elsewhere ? s.data.size() : s.memory_size;
    for (u64 at = std::min<u64>(s.header_bytes, needed); at < needed;) {
      const u64 here = bytes_at(s.address + at);
      if (here == 0) return false;
      at += here;
    }
    return true;
  }
  u64 bytes_at(GuestAddr at) const {
    for (const Shadow& s : shadows_)
      if (at - s.base < s.size) {
        at = at - s.base + s.memory;
        break;
      }
    for (const DtRange& range : ranges_)
      if (at - range.base < range.size) return range.size - (at - range.base);
    return 0;
  }

 private:
  struct Shadow {
    GuestAddr base, memory;
    u64 size;
  };
  /// A vector table in memory that shows at several addresses is at all of them.
  void note_mirrors(const loader::DtNode& node, GuestAddr vectors) {
    std::vector<NodeRange> places = mirrors(node);
    if (places.empty()) return;
    places.push_back({&node, node.reg().front()});
    for (const NodeRange& p : places)
      if (vectors - p.range.base < p.range.size)
        for (const NodeRange& other : places)
          if (other.range.base != p.range.base) vectors_.push_back(vectors - p.range.base + other.range.base);
  }

  std::vector<GuestAddr> vectors_;
  arm::Features cpu_;
  std::vector<DtRange> ranges_;
  std::vector<Shadow> shadows_;
};

/// A word of the image; 0 where it has none.
u32 word_at(const std::vector<Segment>& segments, GuestAddr at) {
  for (const Segment& s : segments) {
    if (at - s.address >= s.data.size() || s.data.size() - (at - s.address) < 4) continue;
    u32 word = 0;
    for (unsigned i = 0; i < 4; ++i) word |= u32{s.data[at - s.address + i]} << (8 * i);
    return word;
  }
  return 0;
}

/// The board has memory for all, and its vector table is in the image.
bool hold(const Memories& board, const std::vector<Segment>& segments) {
  return std::any_of(board.vectors().begin(), board.vectors().end(),
                     [&](GuestAddr at) { return word_at(segments, at + 4) != 0; }) &&
         std::all_of(segments.begin(), segments.end(), [&](const Segment& s) { return board.hold(s); });
}

/// An M-profile image, as far as it says so.
struct ArmImage {
  ArmAttributes attributes;
  loader::Image image;
};

/// None if it is no image for Arm, or damaged: then it is what its loading says.
std::optional<ArmImage> read(ByteView file) {
  const auto id = loader::identify_elf(file);
  if (!id || id->machine != kElfArmMachine) return std::nullopt;
  try {
    ArmImage result;
    result.image = loader::parse_elf("image", file);
    if (const auto attributes = loader::read_arm_attributes(file)) {
      result.attributes = *attributes;
    } else {
      result.attributes.architecture = ArmAttributes::kV7;
      // The M profile begins in Thumb state.
      result.attributes.profile = (result.image.entry.value_or(1) & 1) != 0 ? 'M' : 'A';
    }
    return result;
  } catch (const Fatal&) {
    return std::nullopt;
  }
}

bool for_microcontrollers(const ArmImage& image) {
  return !image.image.big_endian && image.attributes.microcontroller();
}

/// In this order; the first that holds the image takes it. Boards of one maker's part take none unasked:
/// their peripherals are not what an architecture says.
std::vector<std::string_view> candidates(const ArmImage& image) {
  switch (level_of(image.attributes)) {
    case Level::V6M: {
      // The small part, if the first stack pointer is in its memory too.
      constexpr GuestAddr kRam = 0x20000000, kRamSize = 0x4000;
      const u32 stack = word_at(image.image.segments, 0);
      if (stack > kRam && stack - kRam <= kRamSize) return {"microbit", "mps2-an385"};
      return {"mps2-an385"};
    }
    case Level::V7M: return {"mps2-an385"};
    case Level::V7EM:
      if (image.attributes.double_precision()) return {"mps2-an500"};
      return {"mps2-an386", "mps2-an500"};
    case Level::V8M: return {"mps2-an505", "mps2-an521", "mps3-an547"};
    case Level::V81M: return {"mps3-an547"};
  }
  return {};
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

std::vector<std::string> boards_that_hold(const std::vector<Segment>& segments, Level least) {
  std::vector<std::string> names;
  for (const ArmBoard& board : arm_board_table()) {
    const Memories memories(board);
    if (level_of(memories.cpu()) >= least && hold(memories, segments)) names.emplace_back(board.name);
  }
  return names;
}

}  // namespace

std::string board_for_image(ByteView image) {
  const std::optional<ArmImage> arm = read(image);
  if (!arm || !for_microcontrollers(*arm)) return {};
  for (const std::string_view name : candidates(*arm))
    for (const ArmBoard& board : arm_board_table())
      if (board.name == name && hold(Memories(board), arm->image.segments)) return std::string(name);
  return {};
}

std::string why_no_board(const std::string& name, ByteView image) {
  const std::optional<ArmImage> arm = read(image);
  if (!arm) return {};
  const ArmAttributes& says = arm->attributes;
  const std::string architecture =
      says.architecture_name() + (says.cpu.empty() || says.cpu.find('-') == 1 ? "" : " (" + says.cpu + ")");
  if (!for_microcontrollers(*arm))
    return fmt::format("'{}' is for {}{}: of Arm there are boards with the M profile only", name,
                       arm->image.big_endian ? "big-endian " : "", architecture);
  GuestAddr lowest = arm->image.segments.front().address;
  for (const Segment& s : arm->image.segments) lowest = std::min(lowest, s.address);
  const std::vector<std::string> boards = boards_that_hold(arm->image.segments, level_of(says));
  return fmt::format("'{}' is for {}, at 0x{:x}: {}", name, architecture, lowest,
                     boards.empty()
                         ? "no board has memory for all of it there; describe yours with --board FILE"
                         : "say which board with -M: " + listed(boards) + " would hold it");
}

std::string other_boards(const BootPlan& plan, const std::string& board) {
  std::vector<Segment> segments;
  for (const Placed& p : plan.placed) segments.push_back(p.segment);
  std::vector<std::string> boards = boards_that_hold(segments, Level::V6M);
  std::erase(boards, board);
  return boards.empty() ? "" : "; -M " + listed(boards) + " would hold it";
}

}  // namespace hindcast::machines
