#include "replay/output_hash.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace hindcast::replay {
namespace {

std::array<u8, 16> hash128(ByteView data) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data.data(), data.size()));
  std::array<u8, 16> out;
  std::memcpy(out.data(), canonical.digest, out.size());
  return out;
}

void append_le(Bytes& to, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) to.push_back(static_cast<u8>(value >> (8 * i)));
}

}  // namespace

void OutputHash::add(Channel channel, ByteView data) {
  if (data.empty()) return;
  if (channel != last_channel_) {
    // A change of channel is part of the stream, with its place, so that bytes cannot move between channels
    // unseen.
    Bytes mark;
    append_le(mark, channel, 2);
    append_le(mark, total_, 8);
    absorb(mark);
    last_channel_ = channel;
  }
  absorb(data);
  total_ += data.size();
}

void OutputHash::absorb(ByteView data) {
  while (!data.empty()) {
    const std::size_t n = std::min(data.size(), kBlock - block_.size());
    block_.insert(block_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(n));
    data = data.subspan(n);
    if (block_.size() < kBlock) return;
    block_.insert(block_.end(), chain_.begin(), chain_.end());
    chain_ = hash128(block_);
    block_.clear();
  }
}

std::array<u8, 16> OutputHash::digest() const {
  Bytes all(block_);
  all.insert(all.end(), chain_.begin(), chain_.end());
  append_le(all, total_, 8);
  return hash128(all);
}

void OutputHash::state(Archive& ar) {
  ar.section("output");
  ar.field("chain", chain_);
  ar.blob("block", block_, kBlock - 1);
  ar.field("total", total_);
  ar.field("last_channel", last_channel_);
}

}  // namespace hindcast::replay
