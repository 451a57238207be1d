#include "storage/codec.h"

#include <lz4.h>
#include <nmmintrin.h>
#include <xxhash.h>

#include <cstring>

namespace hindcast::storage {
namespace {

template <typename T>
void put(std::string& out, T value, bool big) {
  for (std::size_t i = 0; i < sizeof(T); i++) {
    const std::size_t byte = big ? sizeof(T) - 1 - i : i;
    out.push_back(static_cast<char>(value >> (8 * byte)));
  }
}

template <typename T>
T get(std::string_view bytes, std::size_t at, bool big) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) throw StoreError("value too short");
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); i++) {
    const std::size_t byte = big ? sizeof(T) - 1 - i : i;
    value |= static_cast<T>(static_cast<u8>(bytes[at + i])) << (8 * byte);
  }
  return value;
}

u64 seal_sum(std::string_view family, std::string_view key, std::string_view body) {
  return hash64(body, hash64(key, hash64(family, 0)));
}

}  // namespace

void put_be32(std::string& out, u32 value) { put(out, value, true); }
void put_be64(std::string& out, u64 value) { put(out, value, true); }
u32 get_be32(std::string_view bytes, std::size_t at) { return get<u32>(bytes, at, true); }
u64 get_be64(std::string_view bytes, std::size_t at) { return get<u64>(bytes, at, true); }
void put_le32(std::string& out, u32 value) { put(out, value, false); }
void put_le64(std::string& out, u64 value) { put(out, value, false); }
u32 get_le32(std::string_view bytes, std::size_t at) { return get<u32>(bytes, at, false); }
u64 get_le64(std::string_view bytes, std::size_t at) { return get<u64>(bytes, at, false); }

void put_leb(Bytes& out, u64 value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<u8>(value) | 0x80);
  out.push_back(static_cast<u8>(value));
}

std::optional<u64> get_leb(ByteView bytes, std::size_t& at) {
  u64 value = 0;
  for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
    const u8 byte = bytes[at++];
    if (shift == 63 && byte > 1) return std::nullopt;
    value |= u64{byte & 0x7fu} << shift;
    if (byte < 0x80) {
      if (byte == 0 && shift != 0) return std::nullopt;
      return value;
    }
  }
  return std::nullopt;
}

__attribute__((target("sse4.2"))) u32 masked_crc32c(std::string_view bytes) {
  u64 crc = 0xffffffff;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    u64 word;
    std::memcpy(&word, bytes.data() + at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto low = static_cast<u32>(crc);
  for (; at < bytes.size(); at++) low = _mm_crc32_u8(low, static_cast<u8>(bytes[at]));
  low = ~low;
  return ((low >> 15) | (low << 17)) + 0xa282ead8u;
}

u64 hash64(std::string_view bytes, u64 seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

void pack(std::string& out, ByteView raw) {
  if (raw.size() > kMaxValue) throw StoreError("value too large to be stored");
  const std::size_t start = out.size();
  // One byte less than the raw size: LZ4 gives up where it would gain nothing.
  const std::size_t room = raw.empty() ? 0 : raw.size() - 1;
  out.resize(start + raw.size());
  const int size = room == 0
                       ? 0
                       : LZ4_compress_default(reinterpret_cast<const char*>(raw.data()), out.data() + start,
                                              static_cast<int>(raw.size()), static_cast<int>(room));
  if (size > 0) {
    out.resize(start + static_cast<std::size_t>(size));
  } else {
    out.replace(start, raw.size(), as_text(raw));
  }
}

Bytes unpack(std::string_view stored, u64 raw_size, std::size_t limit) {
  // LZ4 makes at most 255 bytes of one, so a size beyond that is a lie that need not be allocated.
  if (raw_size > limit || stored.size() > raw_size || raw_size / 256 > stored.size()) {
    throw StoreError("impossible size");
  }
  Bytes raw(raw_size);
  if (stored.size() == raw_size) {
    std::copy(stored.begin(), stored.end(), raw.begin());
    return raw;
  }
  const int size = LZ4_decompress_safe(stored.data(), reinterpret_cast<char*>(raw.data()),
                                       static_cast<int>(stored.size()), static_cast<int>(raw_size));
  if (size < 0 || static_cast<u64>(size) != raw_size) throw StoreError("compressed data is damaged");
  return raw;
}

std::string seal(std::string_view family, std::string_view key, ByteView raw) {
  std::string out;
  out.reserve(raw.size() + 12);
  put_le32(out, static_cast<u32>(raw.size()));
  pack(out, raw);
  put_le64(out, seal_sum(family, key, out));
  return out;
}

Bytes unseal(std::string_view family, std::string_view key, std::string_view stored, std::size_t limit) {
  if (stored.size() < 12) throw StoreError("value too short");
  const std::string_view body = stored.substr(0, stored.size() - 8);
  if (get_le64(stored, body.size()) != seal_sum(family, key, body)) throw StoreError("checksum differs");
  return unpack(body.substr(4), get_le32(body, 0), limit);
}

}  // namespace hindcast::storage
