#include "engine/archive.h"

#include <bit>

namespace hindcast {
static_assert(std::endian::native == std::endian::little);

void SaveArchive::u32_le(u32 v) {
  for (int i = 0; i < 4; ++i) out_.push_back(static_cast<u8>(v >> (8 * i)));
}

void SaveArchive::section(std::string_view name) {
  u32_le(static_cast<u32>(name.size()));
  out_.insert(out_.end(), name.begin(), name.end());
}

void SaveArchive::raw(std::string_view, void* data, std::size_t size) {
  const u8* p = static_cast<const u8*>(data);
  out_.insert(out_.end(), p, p + size);
}

void SaveArchive::blob(std::string_view, Bytes& data, std::size_t) {
  u32_le(static_cast<u32>(data.size()));
  out_.insert(out_.end(), data.begin(), data.end());
}

void LoadArchive::take(void* data, std::size_t size, std::string_view name) {
  if (size > in_.size() - pos_) throw Fatal("saved state ends early, in field '" + std::string(name) + "'");
  if (size == 0) return;
  std::memcpy(data, in_.data() + pos_, size);
  pos_ += size;
}

u32 LoadArchive::u32_le() {
  u8 b[4];
  take(b, 4, "length");
  return u32{b[0]} | u32{b[1]} << 8 | u32{b[2]} << 16 | u32{b[3]} << 24;
}

void LoadArchive::section(std::string_view name) {
  u32 size = u32_le();
  if (size != name.size()) throw Fatal("saved state: section '" + std::string(name) + "' expected");
  std::string got(size, '\0');
  take(got.data(), size, name);
  if (got != name) throw Fatal("saved state: section '" + std::string(name) + "' expected");
}

void LoadArchive::raw(std::string_view name, void* data, std::size_t size) { take(data, size, name); }

void LoadArchive::blob(std::string_view name, Bytes& data, std::size_t max_size) {
  u32 size = u32_le();
  if (size > max_size || size > in_.size() - pos_)
    throw Fatal("saved state: field '" + std::string(name) + "' is too long");
  data.resize(size);
  take(data.data(), size, name);
}

void TextArchive::raw(std::string_view name, void* data, std::size_t size) {
  const u8* p = static_cast<const u8*>(data);
  fields_.push_back({section_, std::string(name), Bytes(p, p + size)});
}

void TextArchive::blob(std::string_view name, Bytes& data, std::size_t) {
  fields_.push_back({section_, std::string(name), data});
}

}  // namespace hindcast
