#include "storage/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "storage/codec.h"

namespace hindcast::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kMarkerName[] = "RECORDING", kIdentityName[] = "IDENTITY";
constexpr std::string_view kTitle = "hindcast recording, schema ";
constexpr std::size_t kSlotSize = 64;  // the title has the first slot, two marks take turns in the others
constexpr std::size_t kMarkerSize = 3 * kSlotSize;
/// The database starts a new file long before (its log at 64 MiB, tables at 16 MiB), so that nothing larger
/// need be read through before it is refused.
constexpr u64 kMaxFile = u64{1} << 30;
constexpr u64 kCreated = 1, kClosed = 2;

std::string why(int error) { return std::strerror(error); }

std::string title_slot(u32 schema) {
  std::string text = fmt::format("{}{}\n", kTitle, schema);
  text.resize(kSlotSize, '\n');
  return text;
}

std::string encode_mark(const Mark& mark) {
  std::string slot;
  for (const u64 field : {mark.generation, mark.covered_icount, mark.chunks, mark.chain, mark.db_sequence,
                          (mark.created ? kCreated : 0) | (mark.closed ? kClosed : 0), mark.identity}) {
    put_le64(slot, field);
  }
  put_le64(slot, hash64(slot, 0));
  return slot;
}

std::optional<Mark> decode_mark(std::string_view slot) {
  if (slot.size() != kSlotSize || get_le64(slot, 56) != hash64(slot.substr(0, 56), 0)) return std::nullopt;
  Mark mark;
  mark.generation = get_le64(slot, 0);
  mark.covered_icount = get_le64(slot, 8);
  mark.chunks = get_le64(slot, 16);
  mark.chain = get_le64(slot, 24);
  mark.db_sequence = get_le64(slot, 32);
  const u64 flags = get_le64(slot, 40);
  mark.created = (flags & kCreated) != 0;
  mark.closed = (flags & kClosed) != 0;
  mark.identity = get_le64(slot, 48);
  return mark;
}

std::string read_marker(int fd) {
  std::string text(kMarkerSize, '\0');
  const ssize_t size = pread(fd, text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

/// All or, from a writer that was stopped in the middle of writing it, the beginning of a title.
bool is_title_start(std::string_view marker) { return kTitle.starts_with(marker.substr(0, kTitle.size())); }

/// The schema version in the title; nothing if this is no marker of ours.
std::optional<u32> schema_of(std::string_view marker) {
  if (!marker.starts_with(kTitle)) return std::nullopt;
  const std::string_view number = marker.substr(kTitle.size());
  u32 version = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), version);
  if (error != std::errc() || end == number.data() + number.size() || *end != '\n') return std::nullopt;
  return version;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Names that the writer and its database give to files. Nothing else is ever deleted.
bool is_ours(std::string_view name) {
  if (name == kMarkerName || name == "CURRENT" || name == "LOCK" || name == "LOG" || name == kIdentityName)
    return true;
  for (const std::string_view prefix : {"MANIFEST-", "OPTIONS-"}) {
    if (name.starts_with(prefix)) {
      const std::string_view number = name.substr(prefix.size());
      return all_digits(number) ||
             (number.ends_with(".dbtmp") && all_digits(number.substr(0, number.size() - 6)));
    }
  }
  if (name.starts_with("LOG.old.")) return all_digits(name.substr(8));
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || !all_digits(name.substr(0, dot))) return false;
  const std::string_view suffix = name.substr(dot);
  return suffix == ".log" || suffix == ".sst" || suffix == ".blob" || suffix == ".dbtmp";
}

struct Entry {
  std::string name;
  bool regular = false;
};
std::vector<Entry> list(const std::string& path) {
  std::error_code error;
  std::vector<Entry> entries;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    entries.push_back({it->path().filename(), it->symlink_status(ignored).type() == fs::file_type::regular});
  }
  if (error) throw StoreError(fmt::format("recording {}: cannot list the folder: {}", path, error.message()));
  return entries;
}

/// Throws unless it is a file that can be read, and of a size that our writer makes.
void check_entry(const std::string& path, const Entry& entry) {
  const std::string file = path + "/" + entry.name;
  if (!entry.regular) {
    // A link or a pipe would lead out of the recording, or block. (A writer's file may vanish while being
    // listed.)
    std::error_code error;
    if (!fs::exists(fs::symlink_status(file, error))) return;
    throw Damaged(fmt::format("recording {} is damaged: {} is not a plain file", path, entry.name));
  }
  if (::access(file.c_str(), R_OK) != 0 && errno != ENOENT)
    throw StoreError(fmt::format("recording {}: cannot open {}: {}", path, entry.name, why(errno)));
  std::error_code error;
  const u64 size = fs::file_size(file, error);
  if (!error && size > kMaxFile)
    throw Damaged(fmt::format("recording {} is damaged: {} is impossibly large", path, entry.name));
}

void remove_recording(const std::string& path) {
  const std::vector<Entry> entries = list(path);
  if (entries.empty()) return;
  const std::string marker = path + "/" + kMarkerName;
  const int fd = ::open(marker.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) throw StoreError(fmt::format("{} is not a recording: not replaced", path));
  struct Close {
    int fd;
    ~Close() { ::close(fd); }
  } close{fd};
  const std::string text = read_marker(fd);
  if (!is_title_start(text)) throw StoreError(fmt::format("{} is not a recording: not replaced", path));
  for (const Entry& entry : entries) {
    if (!entry.regular || !is_ours(entry.name)) {
      throw StoreError(
          fmt::format("{} holds {}, which is no part of a recording: not replaced", path, entry.name));
    }
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    throw StoreError(fmt::format("recording {} is in use by another process: not replaced", path));
  }
  // CURRENT first and the marker last: killed in between, the rest is still known as ours, and as no whole
  // recording.
  const auto remove = [&](const std::string& name) {
    if (unlink((path + "/" + name).c_str()) != 0 && errno != ENOENT) {
      throw StoreError(fmt::format("recording {}: cannot remove {}: {}", path, name, why(errno)));
    }
  };
  remove("CURRENT");
  for (const Entry& entry : entries) {
    if (entry.name != kMarkerName) remove(entry.name);
  }
  remove(kMarkerName);
}

}  // namespace

Folder::~Folder() { ::close(fd_); }

std::unique_ptr<Folder> Folder::create(const std::string& path, bool replace, u32 schema) {
  if (mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST)
      throw StoreError(fmt::format("recording {}: cannot create the folder: {}", path, why(errno)));
    if (!replace)
      throw StoreError(
          fmt::format("{} exists already: choose another name or replace it with --force", path));
    remove_recording(path);
    if (chmod(path.c_str(), 0700) != 0) {
      throw StoreError(fmt::format("recording {}: cannot set its mode: {}", path, why(errno)));
    }
  }
  const std::string marker = path + "/" + kMarkerName;
  const int fd = ::open(marker.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    throw StoreError(fmt::format("recording {}: cannot create {}: {}", path, kMarkerName, why(errno)));
  std::unique_ptr<Folder> folder(new Folder(path, fd));
  // Waits only for a reader that is about to find out that there is nothing yet.
  if (flock(fd, LOCK_EX) != 0)
    throw StoreError(fmt::format("recording {}: cannot lock it: {}", path, why(errno)));
  folder->generation_ = 1;
  folder->schema_ = schema;
  const std::string text = title_slot(schema) + encode_mark({.generation = 1}) + std::string(kSlotSize, '\0');
  const ssize_t written = pwrite(fd, text.data(), text.size(), 0);
  if (written != static_cast<ssize_t>(text.size())) {
    const int error = written < 0 ? errno : ENOSPC;
    folder->discard();
    throw StoreError(fmt::format("recording {}: cannot write {}: {}", path, kMarkerName, why(error)));
  }
  return folder;
}

std::unique_ptr<Folder> Folder::open(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found)
    throw StoreError(fmt::format("recording {} does not exist", path));
  if (status.type() != fs::file_type::directory) {
    throw StoreError(fmt::format("{} is not a recording: it is not a folder", path));
  }
  const std::vector<Entry> entries = list(path);
  if (entries.empty())
    throw NeverBegun(fmt::format("recording {} was cut short while being created: it is empty", path));
  for (const Entry& entry : entries) check_entry(path, entry);
  const std::string marker = path + "/" + kMarkerName;
  const int fd = ::open(marker.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT)
      throw StoreError(fmt::format("{} is not a recording: it has no file {}", path, kMarkerName));
    throw StoreError(fmt::format("recording {}: cannot open {}: {}", path, kMarkerName, why(errno)));
  }
  std::unique_ptr<Folder> folder(new Folder(path, fd));
  const std::string text = read_marker(fd);
  // A recorder writes nothing else before its marker is whole.
  if (text.size() < kSlotSize && is_title_start(text) && entries.size() == 1)
    throw NeverBegun(fmt::format("recording {} was cut short while being created", path));
  const auto schema = schema_of(text);
  if (!schema) throw Damaged(fmt::format("recording {} is damaged: {} is unreadable", path, kMarkerName));
  if (*schema < kPlainSchema || *schema > kSchemaVersion) {
    throw StoreError(
        fmt::format("recording {} has schema {}, this program reads schemas {} to {}: use a {} one", path,
                    *schema, kPlainSchema, kSchemaVersion, *schema > kSchemaVersion ? "newer" : "older"));
  }
  folder->schema_ = *schema;
  folder->growing_ = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  return folder;
}

std::unique_ptr<Folder> Folder::reopen(const std::string& path) {
  std::unique_ptr<Folder> folder = open(path);
  // Turns the reader's lock into the writer's.
  if (folder->growing_ || flock(folder->fd_, LOCK_EX | LOCK_NB) != 0)
    throw StoreError(fmt::format("recording {} is in use by another process: not changed", path));
  return folder;
}

bool Folder::write_mark(Mark mark, bool sync) {
  mark.generation = ++generation_;
  const std::string slot = encode_mark(mark);
  const auto at = static_cast<off_t>(kSlotSize * (1 + (generation_ + 1) % 2));
  const ssize_t written = pwrite(fd_, slot.data(), slot.size(), at);
  if (written != static_cast<ssize_t>(slot.size())) {
    if (written >= 0) errno = ENOSPC;
    return false;
  }
  return !sync || fdatasync(fd_) == 0;
}

std::optional<Mark> Folder::read_mark(bool* sound) const {
  const std::string text = read_marker(fd_);
  std::optional<Mark> best;
  unsigned good = 0;
  for (std::size_t at = kSlotSize; at + kSlotSize <= text.size(); at += kSlotSize) {
    const auto mark = decode_mark(std::string_view(text).substr(at, kSlotSize));
    if (!mark) continue;
    good++;
    if (!best || mark->generation > best->generation) best = mark;
  }
  struct stat about;
  const bool whole =
      fstat(fd_, &about) == 0 && about.st_size == kMarkerSize && text.starts_with(title_slot(schema_));
  // The second place is empty until the second mark.
  if (sound != nullptr) *sound = whole && best && (good == 2 || best->generation == 1);
  return best;
}

u64 Folder::identity() const {
  std::string text(64, '\0');
  const int fd =
      ::open((path_ + "/" + kIdentityName).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  const ssize_t size = fd < 0 ? 0 : pread(fd, text.data(), text.size(), 0);
  if (fd >= 0) ::close(fd);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return std::max<u64>(hash64(text, 0), 1);
}

void Folder::discard() noexcept {
  try {
    for (const Entry& entry : list(path_)) {
      if (entry.regular && is_ours(entry.name)) unlink((path_ + "/" + entry.name).c_str());
    }
    rmdir(path_.c_str());
  } catch (const std::exception&) {  // what remains is known as a recording that was never finished
  }
}

bool Folder::sync() const {
  const auto sync_directory = [](const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = fsync(fd) == 0;
    ::close(fd);
    return done;
  };
  return fsync(fd_) == 0 && sync_directory(path_) && sync_directory(path_ + "/..");
}

u64 Folder::disk_bytes() const {
  u64 total = 0;
  for (const Entry& entry : list(path_)) {
    std::error_code error;
    const u64 size = fs::file_size(path_ + "/" + entry.name, error);
    if (!error) total += size;
  }
  return total;
}

}  // namespace hindcast::storage
