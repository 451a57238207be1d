#include "replay/host_drives.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "replay/event_format.h"

namespace hindcast::replay {
namespace {

constexpr u64 kSector = 512;
/// What follows the first byte of a request: drive, offset, size.
constexpr std::size_t kHeader = 1 + 4 + 8 + 4;
/// No device asks for more at once.
constexpr u64 kMostBytes = 1u << 20;

}  // namespace

HostDrives::~HostDrives() {
  for (const Drive& drive : drives_) ::close(drive.fd);
}

u64 HostDrives::add(const std::string& path, Format format, bool writable) {
  auto problem = [&](const std::string& what) { return Fatal(fmt::format("--drive {}: {}", path, what)); };
  const int fd = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) throw problem(std::strerror(errno));
  drives_.push_back({fd, 0, writable, nullptr});  // closes it, whatever happens
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw problem(std::strerror(errno));
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) throw problem("neither a file nor a disk");
  if (::flock(fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0)
    throw problem("in use by another hindcast that writes to it, or to which write=on would do so");
  const off_t size = ::lseek(fd, 0, SEEK_END);
  if (size < 0) throw problem(std::strerror(errno));
  if (size == 0) throw problem("empty; make it as large as the drive is to be ('truncate -s 1G FILE')");
  drives_.back().bytes = static_cast<u64>(size);
  if (format == Format::Qcow2 || (format == Format::Detect && Qcow2::begins_like_one(fd))) {
    if (writable) throw problem("a qcow2 image, which is only read; write=on needs a raw one");
    try {
      drives_.back().qcow2 = std::make_unique<Qcow2>(fd);
    } catch (const Fatal& what) {
      throw problem(what.what());
    }
    drives_.back().bytes = drives_.back().qcow2->bytes();
    if (drives_.back().bytes == 0) throw problem("a qcow2 image of a disk without bytes");
  }
  return (drives_.back().bytes + kSector - 1) / kSector * kSector;
}

Bytes HostDrives::serve(ByteView request) {
  if (request.size() < kHeader) return {};
  const u64 number = get_le(request, 1, 4), offset = get_le(request, 5, 8), size = get_le(request, 13, 4);
  if (number >= drives_.size()) return {};
  const Drive& drive = drives_[number];
  const ByteView data = request.subspan(kHeader);
  bool done = false;
  if (request[0] == kDiskRead) return size <= kMostBytes ? read(drive, offset, size) : Bytes();
  if (request[0] == kDiskWrite && data.size() == size) done = write(drive, offset, data);
  if (request[0] == kDiskClear) done = clear(drive, offset, size);
  if (request[0] == kDiskFlush) done = ::fdatasync(drive.fd) == 0;
  return done ? Bytes(1) : Bytes();
}

bool HostDrives::has_effects(ByteView request) const { return !request.empty() && request[0] != kDiskRead; }

/// All of it, with zeros in the part of the last sector that the file does not have; or nothing.
Bytes HostDrives::read(const Drive& drive, u64 offset, u64 size) {
  Bytes out(size);
  const u64 there = std::min(size, drive.bytes - std::min(drive.bytes, offset));
  if (drive.qcow2 != nullptr) return drive.qcow2->read(offset, std::span(out).first(there)) ? out : Bytes();
  for (u64 done = 0; done < there;) {
    const ssize_t n = ::pread(drive.fd, out.data() + done, there - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};  // an error; or the file has become shorter
    done += static_cast<u64>(n);
  }
  return out;
}

bool HostDrives::write(const Drive& drive, u64 offset, ByteView data) {
  if (!drive.writable) return false;
  for (std::size_t done = 0; done < data.size();) {
    const ssize_t n =
        ::pwrite(drive.fd, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

bool HostDrives::clear(const Drive& drive, u64 offset, u64 size) {
  if (!drive.writable) return false;
  if (::fallocate(drive.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(size)) == 0)
    return true;
  const Bytes zeros(std::min(size, kMostBytes));
  for (u64 done = 0; done < size; done += zeros.size())
    if (!write(drive, offset + done, {zeros.data(), std::min<u64>(zeros.size(), size - done)})) return false;
  return true;
}

}  // namespace hindcast::replay
