#include "replay/event_format.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "replay/frame_text.h"

namespace hindcast::replay {
namespace {

struct KindRow {
  u8 kind;
  bool answer;
  const char* name;
};

constexpr u8 number(InputKind kind) { return static_cast<u8>(kind); }

constexpr KindRow kKinds[] = {
    {number(InputKind::Entropy), true, "entropy"},
    {number(InputKind::RealTime), true, "realtime"},
    {number(InputKind::Serial), false, "serial"},
    {number(InputKind::Semihost), true, "semihost"},
    {number(InputKind::SemihostConsole), false, "semihost-console"},
    {number(InputKind::Warp), false, "warp"},
    {number(InputKind::Reset), false, "reset"},
    {number(InputKind::RegisterWrite), false, "register-write"},
    {number(InputKind::MemoryWrite), false, "memory-write"},
    {number(InputKind::Network), false, "network"},
    {number(InputKind::Disk), true, "disk"},
    {number(InputKind::Clock), false, "clock"},
    {kHashGrid, false, "hash"},
    {kCheckpointRoot, false, "checkpoint"},
    {kBoundary, false, "boundary"},
};

const KindRow* find(u8 kind) {
  for (const KindRow& row : kKinds)
    if (row.kind == kind) return &row;
  return nullptr;
}

std::string quoted(ByteView bytes, std::size_t max) {
  std::string out = "\"";
  for (u8 b : bytes) {
    if (out.size() >= max) return out + "\"...";
    if (b == '\n')
      out += "\\n";
    else if (b == '\r')
      out += "\\r";
    else if (b == '"' || b == '\\')
      (out += '\\') += static_cast<char>(b);
    else if (b >= 0x20 && b < 0x7f)
      out += static_cast<char>(b);
    else
      out += fmt::format("\\x{:02x}", b);
  }
  return out + "\"";
}

std::string hex_shortened(ByteView bytes, std::size_t max) {
  if (bytes.size() * 2 <= max) return hex(bytes);
  return hex(bytes.first(max / 2)) + "...";
}

}  // namespace

bool is_answer(u8 kind) {
  const KindRow* row = find(kind);
  return row != nullptr && row->answer;
}

bool is_known(u8 kind) { return find(kind) != nullptr; }

std::string kind_name(u8 kind) {
  const KindRow* row = find(kind);
  return row != nullptr ? row->name : fmt::format("kind {}", kind);
}

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const KindRow& row : kKinds) names.emplace_back(row.name);
  return names;
}

u32 request_hash(ByteView request) { return static_cast<u32>(XXH3_64bits(request.data(), request.size())); }

void put_le(Bytes& to, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) to.push_back(static_cast<u8>(value >> (8 * i)));
}

u64 get_le(ByteView from, std::size_t offset, unsigned size) {
  u64 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= u64{from[offset + i]} << (8 * i);
  return value;
}

Bytes encode(const HashPoint& point) {
  Bytes out;
  put_le(out, point.state, 8);
  put_le(out, point.output, 8);
  return out;
}

std::optional<HashPoint> decode_hash_point(ByteView payload) {
  if (payload.size() != 16) return std::nullopt;
  return HashPoint{get_le(payload, 0, 8), get_le(payload, 8, 8)};
}

std::string hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (u8 b : bytes) out += fmt::format("{:02x}", b);
  return out;
}

std::string describe(const storage::EventRecord& event, std::size_t max) {
  const ByteView payload = event.payload;
  switch (event.kind) {
    case number(InputKind::Serial):
    case number(InputKind::SemihostConsole): return payload.empty() ? "end of input" : quoted(payload, max);
    case number(InputKind::Network): return frame_text(payload);
    case number(InputKind::Warp):
    case number(InputKind::Clock):
      if (payload.size() == 8) return fmt::format("to {} ns", get_le(payload, 0, 8));
      break;
    case number(InputKind::RegisterWrite):
      if (payload.size() == 16)
        return fmt::format("vcpu {} row {} = {:#x}", get_le(payload, 0, 4), get_le(payload, 4, 4),
                           get_le(payload, 8, 8));
      break;
    case number(InputKind::MemoryWrite):
      if (payload.size() >= 8)
        return fmt::format("{:#x}: {}", get_le(payload, 0, 8), hex_shortened(payload.subspan(8), max));
      break;
    case kHashGrid:
      if (auto point = decode_hash_point(payload))
        return fmt::format("state {:016x} output {:016x}", point->state, point->output);
      break;
    case number(InputKind::RealTime):
      if (payload.size() == 12) return fmt::format("{} ns", get_le(payload, 4, 8));
      break;
    default: break;
  }
  if (is_answer(event.kind) && payload.size() >= 4) return hex_shortened(payload.subspan(4), max);
  return hex_shortened(payload, max);
}

}  // namespace hindcast::replay
