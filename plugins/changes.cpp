#include "plugins/changes.h"

#include <algorithm>

#include "replay/event_format.h"

namespace hindcast::plugins {

using replay::get_le;
using replay::put_le;

namespace {
/// Of a piece of memory: an event has room for more, but none is needed.
constexpr std::size_t kMostBytes = std::size_t{1} << 20;
}  // namespace

void Changes::write_register(unsigned vcpu, unsigned row, u64 value) {
  Bytes payload;
  put_le(payload, vcpu, 4);
  put_le(payload, row, 4);
  put_le(payload, value, 8);
  changes_.push_back({InputKind::RegisterWrite, std::move(payload)});
}

void Changes::write_memory(GuestAddr physical, ByteView data) {
  while (!data.empty()) {
    const ByteView piece = data.first(std::min(data.size(), kMostBytes));
    Bytes payload;
    put_le(payload, physical, 8);
    payload.insert(payload.end(), piece.begin(), piece.end());
    changes_.push_back({InputKind::MemoryWrite, std::move(payload)});
    physical += piece.size();
    data = data.subspan(piece.size());
  }
}

void Changes::move_time(VirtualNs when) {
  Bytes payload;
  put_le(payload, when, 8);
  changes_.push_back({InputKind::Clock, std::move(payload)});
}

std::optional<u64> Changes::of_register(unsigned vcpu, unsigned row) const {
  for (auto it = changes_.rbegin(); it != changes_.rend(); ++it)
    if (it->kind == InputKind::RegisterWrite && get_le(it->payload, 0, 4) == vcpu &&
        get_le(it->payload, 4, 4) == row)
      return get_le(it->payload, 8, 8);
  return std::nullopt;
}

void Changes::overlay(GuestAddr physical, u8* data, std::size_t size) const {
  for (const replay::GuestChange& change : changes_) {
    if (change.kind != InputKind::MemoryWrite) continue;
    const GuestAddr at = get_le(change.payload, 0, 8);
    const ByteView bytes = ByteView(change.payload).subspan(8);
    const GuestAddr begin = std::max(at, physical);
    const GuestAddr end = std::min(at + bytes.size(), physical + size);
    if (begin < end) std::copy_n(bytes.data() + (begin - at), end - begin, data + (begin - physical));
  }
}

}  // namespace hindcast::plugins
