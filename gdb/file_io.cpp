#include "gdb/file_io.h"

#include <fmt/format.h>

#include <algorithm>

#include "gdb/packet.h"

namespace hindcast::gdb {
namespace {

/// More is asked for in several requests. Half of a small board's memory is smaller.
constexpr std::size_t kPiece = 16 * 1024;
/// struct stat of the protocol: big-endian, the size at byte 28.
constexpr std::size_t kStatBytes = 64, kStatSize = 28;

/// A signed hexadecimal number.
std::optional<i64> signed_number(Fields& fields) {
  const bool minus = fields.take('-');
  const auto value = fields.number();
  if (!value) return std::nullopt;
  return static_cast<i64>(minus ? 0 - *value : *value);  // of any size: the client's word
}

std::string signed_hex(i64 value) {
  return value < 0 ? fmt::format("-{:x}", -static_cast<u64>(value)) : fmt::format("{:x}", value);
}

}  // namespace

bool FileIo::place(const AddressSpace& memory, std::size_t size) {
  const RamBlock* largest = nullptr;
  for (const auto& block : memory.ram_blocks())
    if (!block->rom && (largest == nullptr || block->size > largest->size)) largest = block.get();
  if (largest == nullptr || largest->size < size) return false;
  base_ = largest->base;
  buffer_.assign(size, '\0');
  return true;
}

std::string FileIo::serve(std::string_view packet) {
  Fields fields(packet.substr(std::min<std::size_t>(packet.size(), 1)));
  const char kind = packet.empty() ? '\0' : packet.front();
  if (std::string_view("mxMX").find(kind) == std::string_view::npos || kind == '\0') return "";
  const auto address = fields.number();
  if (!address || !fields.take(',')) return "E01";
  const auto size = fields.number();
  // gdb finds out so whether X and x are known.
  if (size && *size == 0) return kind == 'm' || kind == 'M' ? "E01" : kind == 'x' ? "b" : "OK";
  if (!size || *address < base_ || *size > buffer_.size() || *address - base_ > buffer_.size() - *size)
    return "E0e";
  const std::size_t at = *address - base_;
  const std::string_view there = std::string_view(buffer_).substr(at, *size);
  if (kind == 'm') return to_hex(there);
  if (kind == 'x') return "b" + escape(there);
  if (!fields.take(':')) return "E01";
  const auto bytes = kind == 'M' ? from_hex(fields.rest()) : std::optional(unescape(fields.rest()));
  if (!bytes || bytes->size() != *size) return "E01";
  buffer_.replace(at, *size, *bytes);
  return "OK";
}

FileIo::Result FileIo::ask(const std::string& request) {
  if (!available()) return {-1, kUnknown, false, true};
  const auto reply = converse_(request, [this](std::string_view packet) { return serve(packet); });
  if (!reply) return {-1, kUnknown, false, true};
  Fields fields(*reply);
  Result result;
  fields.take('F');
  const auto value = signed_number(fields);
  if (!value) return {-1, kUnknown, false};
  result.value = *value;
  if (fields.take(',')) result.error = fields.number().value_or(0);
  result.interrupted = fields.take(",C");
  if (result.interrupted && interrupt_) interrupt_();
  // What Ctrl-C has kept from happening happens now: the guest stops behind it.
  return result;
}

std::string FileIo::name_field(GuestAddr at, std::string_view name) {
  buffer_.replace(at - base_, name.size(), name);  // and a zero behind it
  return fmt::format("{:x}/{:x}", at, name.size() + 1);
}

FileIo::Result FileIo::open(const AddressSpace& memory, std::string_view path, u32 flags, u32 mode) {
  if (!place(memory, path.size() + 1)) return {-1, kNameTooLong, false};
  return ask(fmt::format("Fopen,{},{:x},{:x}", name_field(base_, path), flags, mode));
}

FileIo::Result FileIo::close(i64 fd) { return ask("Fclose," + signed_hex(fd)); }

FileIo::Result FileIo::read(const AddressSpace& memory, i64 fd, u64 count, std::string& data) {
  const std::size_t piece = std::min<u64>(count, kPiece);
  data.clear();
  if (!place(memory, piece) && !place(memory, std::min<std::size_t>(piece, 1024)))
    return {-1, kUnknown, false};
  const Result result = ask(fmt::format("Fread,{},{:x},{:x}", signed_hex(fd), base_, buffer_.size()));
  if (result.value > static_cast<i64>(buffer_.size())) return {-1, kUnknown, result.interrupted};
  if (result.value > 0) data = buffer_.substr(0, static_cast<std::size_t>(result.value));
  return result;
}

FileIo::Result FileIo::write(const AddressSpace& memory, i64 fd, std::string_view data) {
  const std::size_t piece = std::min(data.size(), kPiece);
  if (!place(memory, piece) && !place(memory, std::min<std::size_t>(piece, 1024)))
    return {-1, kUnknown, false};
  buffer_ = data.substr(0, buffer_.size());
  Result result = ask(fmt::format("Fwrite,{},{:x},{:x}", signed_hex(fd), base_, buffer_.size()));
  if (result.value > static_cast<i64>(buffer_.size())) result = {-1, kUnknown, result.interrupted};
  return result;
}

FileIo::Result FileIo::seek(i64 fd, i64 offset, u32 whence) {
  return ask(fmt::format("Flseek,{},{},{:x}", signed_hex(fd), signed_hex(offset), whence));
}

FileIo::Result FileIo::unlink(const AddressSpace& memory, std::string_view path) {
  if (!place(memory, path.size() + 1)) return {-1, kNameTooLong, false};
  return ask("Funlink," + name_field(base_, path));
}

FileIo::Result FileIo::rename(const AddressSpace& memory, std::string_view from, std::string_view to) {
  if (!place(memory, from.size() + to.size() + 2)) return {-1, kNameTooLong, false};
  const std::string first = name_field(base_, from);
  return ask("Frename," + first + ',' + name_field(base_ + from.size() + 1, to));
}

FileIo::Result FileIo::size(const AddressSpace& memory, i64 fd) {
  if (!place(memory, kStatBytes)) return {-1, kUnknown, false};
  Result result = ask(fmt::format("Ffstat,{},{:x}", signed_hex(fd), base_));
  if (result.value < 0) return result;
  u64 size = 0;
  for (std::size_t i = 0; i < 8; ++i) size = size << 8 | static_cast<u8>(buffer_[kStatSize + i]);
  result.value = static_cast<i64>(size);
  return result;
}

}  // namespace hindcast::gdb
