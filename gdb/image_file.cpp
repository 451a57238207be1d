#include "gdb/image_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "gdb/packet.h"

namespace hindcast::gdb {
namespace {

// errno and open flags of the File-I/O protocol.
constexpr unsigned kEnoent = 2, kEbadf = 9, kEinval = 22, kEmfile = 24, kErofs = 30, kEnosys = 88;
constexpr u64 kWriteFlags = 0x1 | 0x2 | 0x8 | 0x200 | 0x400;
constexpr u64 kMaxOpen = 64;

std::string failed(unsigned error) { return fmt::format("F-1,{:x}", error); }

}  // namespace

std::string ImageFile::handle(std::string_view request) {
  Fields fields(request);
  const std::string_view operation = fields.until(':');
  if (operation == "open") return open(fields.rest());
  if (operation == "pread") return pread(fields.rest());
  if (operation == "fstat") return fstat(fields.rest());
  if (operation == "setfs") return "F0";
  if (operation == "close") {
    const auto fd = fields.number();
    return fd && open_.erase(*fd) != 0 ? "F0" : failed(kEbadf);
  }
  if (operation == "pwrite" || operation == "unlink") return failed(kErofs);
  if (operation == "readlink") return failed(kEinval);
  return failed(kEnosys);
}

std::string ImageFile::open(std::string_view arguments) {
  Fields fields(arguments);
  const auto name = from_hex(fields.until(','));
  const auto flags = fields.number();
  if (!name || !flags) return failed(kEinval);
  if (!exists() || *name != kName) return failed(kEnoent);
  if ((*flags & kWriteFlags) != 0) return failed(kErofs);
  u64 fd = 3;
  while (open_.contains(fd)) ++fd;
  if (fd >= kMaxOpen) return failed(kEmfile);
  open_.insert(fd);
  return fmt::format("F{:x}", fd);
}

std::string ImageFile::pread(std::string_view arguments) {
  Fields fields(arguments);
  const auto fd = fields.number();
  const auto count = fields.take(',') ? fields.number() : std::nullopt;
  const auto offset = fields.take(',') ? fields.number() : std::nullopt;
  if (!fd || !count || !offset) return failed(kEinval);
  if (!open_.contains(*fd)) return failed(kEbadf);
  const u64 from = std::min<u64>(*offset, data_.size());
  const u64 size = std::min({*count, data_.size() - from, u64{kMaxPacket / 4}});
  const std::string_view bytes(reinterpret_cast<const char*>(data_.data()) + from, size);
  return fmt::format("F{:x};{}", size, escape(bytes));
}

std::string ImageFile::fstat(std::string_view arguments) {
  const auto fd = Fields(arguments).number();
  if (!fd || !open_.contains(*fd)) return failed(kEbadf);
  // struct stat of the protocol, big-endian: dev, ino, mode, nlink, uid, gid, rdev (4 bytes each), size,
  // blksize, blocks (8), atime, mtime, ctime (4).
  std::string out;
  auto put = [&out](u64 value, unsigned size) {
    while (size-- > 0) out += static_cast<char>(value >> (8 * size));
  };
  constexpr u64 kRegularReadable = 0100444, kBlockSize = 4096;
  for (u64 value : {u64{0}, u64{1}, kRegularReadable, u64{1}, u64{0}, u64{0}, u64{0}}) put(value, 4);
  for (u64 value : {u64{data_.size()}, kBlockSize, (data_.size() + 511) / 512}) put(value, 8);
  for (int time = 0; time < 3; ++time) put(0, 4);
  return fmt::format("F{:x};{}", out.size(), escape(out));
}

}  // namespace hindcast::gdb
