#include "storage/bundle.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "storage/codec.h"

namespace hindcast::storage {
namespace {

constexpr std::string_view kTitle = "hindcast export, format ";
constexpr u32 kFormat = 1;
constexpr std::size_t kTitleSize = 32;
constexpr std::size_t kHeaderSize = 64;  // title, file size, unpacked size, sections, checksum
constexpr std::size_t kFrameSize = 40;   // section, number, stored size, raw size, sum, chain
/// Twice as small as LZ4 for memory and events; higher levels gain a few percent for several times the time.
constexpr int kLevel = 9;

std::string header(u64 file_size, u64 raw, u64 sections) {
  std::string out = fmt::format("{}{}\n", kTitle, kFormat);
  out.resize(kTitleSize, '\n');
  put_le64(out, file_size);
  put_le64(out, raw);
  put_le64(out, sections);
  put_le64(out, hash64(out, 0));
  return out;
}

std::string why(int error) { return std::strerror(error); }

/// An open file that cannot be an accident: empty, or an export.
bool may_replace(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  struct stat info {};
  char text[kTitle.size()];
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  const ssize_t size = regular ? ::pread(fd, text, sizeof text, 0) : -1;
  ::close(fd);
  return size == 0 ||
         (size == static_cast<ssize_t>(kTitle.size()) && std::string_view(text, kTitle.size()) == kTitle);
}

}  // namespace

BundleWriter::BundleWriter(const std::string& path) : path_(path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && !may_replace(path))
    throw StoreError(fmt::format("{} exists and is no export: not replaced", path));
  temporary_ = path + ".XXXXXX";
  fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
  if (fd_ < 0) throw StoreError(fmt::format("{} cannot be written: {}", path, why(errno)));
  try {
    write(0, header(0, 0, 0));
  } catch (const StoreError&) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
    throw;
  }
}

BundleWriter::~BundleWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void BundleWriter::fail(const std::string& what, int error) const {
  throw StoreError(fmt::format("{} cannot be {}: {}", path_, what, why(error)));
}

void BundleWriter::write(u64 at, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("written", n < 0 ? errno : ENOSPC);
    at += static_cast<u64>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    size_ = std::max(size_, at);
  }
}

void BundleWriter::put(Section section, ByteView raw) {
  if (raw.size() > kMaxSection)
    throw StoreError(fmt::format("{}: the machine's state is too large to be exported", path_));
  std::string packed(ZSTD_compressBound(raw.size()), '\0');
  const std::size_t size = ZSTD_compress(packed.data(), packed.size(), raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) || size >= raw.size())
    packed = as_text(raw);
  else
    packed.resize(size);
  std::string frame;
  put_le32(frame, static_cast<u32>(section));
  put_le32(frame, static_cast<u32>(sections_));
  put_le64(frame, packed.size());
  put_le64(frame, raw.size());
  put_le64(frame, hash64(packed, 0));
  chain_ = hash64(frame, chain_);
  put_le64(frame, chain_);
  write(size_, frame);
  write(size_, packed);
  raw_ += raw.size();
  sections_++;
}

u64 BundleWriter::finish() {
  write(0, header(size_, raw_, sections_));
  if (::fsync(fd_) != 0) fail("written", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("given its name", errno);
  ::close(fd_);
  fd_ = -1;
  return size_;
}

BundleReader::BundleReader(const std::string& path, u64 limit) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd_ < 0) throw StoreError(fmt::format("{} cannot be read: {}", path, why(errno)));
  try {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) throw StoreError(fmt::format("{} cannot be read: {}", path, why(errno)));
    if (!S_ISREG(info.st_mode)) throw StoreError(fmt::format("{} is not an export: not a plain file", path));
    size_ = static_cast<u64>(info.st_size);
    std::string text(std::min<u64>(size_, kHeaderSize), '\0');
    read(0, text.data(), text.size());
    if (!text.starts_with(kTitle)) throw StoreError(fmt::format("{} is not an export of hindcast", path));
    if (text.size() < kHeaderSize) throw StoreError(fmt::format("{} is cut off in its header", path));
    const std::string title = header(0, 0, 0).substr(0, kTitleSize);
    if (!text.starts_with(title)) {
      const std::string_view format =
          std::string_view(text).substr(kTitle.size(), kTitleSize - kTitle.size());
      const std::string number(format.substr(0, format.find_first_not_of("0123456789")));
      if (number.empty()) throw StoreError(fmt::format("{} is damaged: its title is unreadable", path));
      throw StoreError(
          fmt::format("{} has export format {}, this program reads format {}: use another version", path,
                      number, kFormat));
    }
    if (get_le64(text, 56) != hash64(std::string_view(text).substr(0, 56), 0))
      throw StoreError(fmt::format("{} is damaged: the checksum of its header differs", path));
    const u64 whole = get_le64(text, 32);
    raw_total_ = get_le64(text, 40);
    sections_total_ = get_le64(text, 48);
    if (whole != size_) {
      throw StoreError(fmt::format("{} is damaged: it has {} bytes instead of {}{}", path, size_, whole,
                                   size_ < whole ? "; it was cut off" : ""));
    }
    limit_ = limit != 0 ? limit : std::max(kFloor, size_ > ~u64{0} / kRatio ? ~u64{0} : size_ * kRatio);
    charge(raw_total_);
  } catch (const StoreError&) {
    ::close(fd_);
    throw;
  }
  at_ = kHeaderSize;
}

BundleReader::~BundleReader() { ::close(fd_); }

void BundleReader::damaged(const std::string& what) const {
  throw StoreError(fmt::format("{} is damaged in its section at byte {}: {}", path_, section_at_, what));
}

void BundleReader::charge(u64 bytes) {
  if (bytes > limit_ - used_) {
    throw StoreError(
        fmt::format("{} would unpack to more than the limit of {} bytes; if you trust it, give a "
                    "higher --limit",
                    path_, limit_));
  }
  used_ += bytes;
}

void BundleReader::read(u64 at, char* to, std::size_t size) const {
  while (size != 0) {
    const ssize_t n = ::pread(fd_, to, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw StoreError(fmt::format("{} cannot be read: {}", path_, why(errno)));
    if (n == 0) throw StoreError(fmt::format("{} is damaged: it was cut off", path_));
    at += static_cast<u64>(n);
    to += n;
    size -= static_cast<std::size_t>(n);
  }
}

Section BundleReader::next(Bytes& raw) {
  section_at_ = at_;
  if (size_ - at_ < kFrameSize) damaged("it is cut off");
  std::string frame(kFrameSize, '\0');
  read(at_, frame.data(), frame.size());
  at_ += kFrameSize;
  const u64 chain = hash64(std::string_view(frame).substr(0, 32), chain_);
  if (get_le64(frame, 32) != chain) damaged("the checksum of its frame differs");
  chain_ = chain;
  const u32 section = get_le32(frame, 0);
  const u64 stored = get_le64(frame, 8), size = get_le64(frame, 16);
  if (section < static_cast<u32>(Section::Head) || section > static_cast<u32>(Section::Tail))
    damaged(fmt::format("it is of unknown kind {}", section));
  if (get_le32(frame, 4) != static_cast<u32>(sections_)) damaged("it is not the section that should be here");
  if (size > kMaxSection || stored > size || stored > size_ - at_ || size > raw_total_ - raw_)
    damaged("its size is impossible");
  raw_ += size;
  sections_++;
  std::string packed(stored, '\0');
  read(at_, packed.data(), packed.size());
  at_ += stored;
  if (get_le64(frame, 24) != hash64(packed, 0)) damaged("its checksum differs");
  raw.resize(size);
  if (stored == size) {
    std::copy(packed.begin(), packed.end(), raw.begin());
  } else {
    const std::size_t got = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
    if (ZSTD_isError(got) || got != size) damaged("it does not unpack");
  }
  if (section == static_cast<u32>(Section::Tail) &&
      (at_ != size_ || raw_ != raw_total_ || sections_ != sections_total_))
    damaged("the file does not end with it");
  return static_cast<Section>(section);
}

}  // namespace hindcast::storage
