// Small pieces that every stored value is made of: byte order, LEB128, bounded LZ4, sealed values, hashes.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "storage/store_types.h"

namespace hindcast::storage {

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

/// Big-endian for keys (so that they sort by value), little-endian for everything else.
void put_be32(std::string& out, u32 value);
void put_be64(std::string& out, u64 value);
u32 get_be32(std::string_view bytes, std::size_t at);
u64 get_be64(std::string_view bytes, std::size_t at);
void put_le32(std::string& out, u32 value);
void put_le64(std::string& out, u64 value);
u32 get_le32(std::string_view bytes, std::size_t at);
u64 get_le64(std::string_view bytes, std::size_t at);

void put_leb(Bytes& out, u64 value);
/// Reads one number and advances `at`; nothing if it is cut off, too long or not in its shortest form.
std::optional<u64> get_leb(ByteView bytes, std::size_t& at);

/// CRC-32C in the form that the database's files have it.
u32 masked_crc32c(std::string_view bytes);
u64 hash64(std::string_view bytes, u64 seed);
/// Appends the LZ4 form of `raw` to `out`, or `raw` itself where that is not smaller: a stored size equal to
/// the raw size means "not compressed". `raw` may be at most kMaxValue bytes.
void pack(std::string& out, ByteView raw);
/// Undoes pack(). Throws StoreError unless exactly `raw_size` bytes come out; `limit` bounds what is
/// allocated.
Bytes unpack(std::string_view stored, u64 raw_size, std::size_t limit);

/// A sealed value is {u32 raw size, packed data, u64 xxh3}; the checksum covers the column family's name and
/// the key too, so that a value found in the wrong place is noticed.
std::string seal(std::string_view family, std::string_view key, ByteView raw);
Bytes unseal(std::string_view family, std::string_view key, std::string_view stored, std::size_t limit);

}  // namespace hindcast::storage
