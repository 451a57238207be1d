#include "storage/tables.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/codec.h"

namespace hindcast::storage {
namespace {

constexpr std::size_t kFooter = 53;   // u8 kind of checksum, two handles in 40 bytes, u32 version, u64 magic
constexpr std::size_t kHandles = 40;  // the metaindex, the index; then zeros
constexpr std::size_t kTrailer = 5;   // of a block: u8 compression, u32 checksum
constexpr u64 kMagic = 0x88e241b785f4cff7;
constexpr u8 kCrc32c = 1;
constexpr u32 kVersion = 5;
constexpr u64 kMostOfBlock = u64{16} << 20;  // metadata is far smaller

class Table {
 public:
  Table(int fd, u64 size) : fd_(fd), size_(size) {}

  /// What is wrong; empty if nothing is.
  std::string problem(bool every_byte) const {
    const std::string footer = size_ < kFooter ? "" : read(size_ - kFooter, kFooter);
    if (footer.size() != kFooter || get_le64(footer, kFooter - 8) != kMagic) return {};
    const bool ours = footer[0] == kCrc32c && get_le32(footer, kFooter - 12) == kVersion;
    const ByteView handles = as_bytes(std::string_view(footer).substr(1, kHandles));
    std::size_t at = 0;
    const auto metaindex = handle(handles, at), index = handle(handles, at);
    if (every_byte &&
        (!ours || !metaindex || !index ||
         std::count(handles.begin() + at, handles.end(), 0) != static_cast<std::ptrdiff_t>(kHandles - at)))
      return "its end is changed";
    // With another kind of checksum, or none, nothing can be said; what it is about is then believed by
    // nobody.
    if (!metaindex) return {};
    const auto entries = block(*metaindex);
    if (!entries) return every_byte ? "its list of metadata is changed" : "";
    const auto properties = find(as_bytes(*entries), "rocksdb.properties");
    if (properties && !block(*properties)) return "its properties are changed";
    return {};
  }

 private:
  struct Handle {
    u64 offset, size;
  };

  std::string read(u64 offset, u64 size) const {
    std::string bytes(size, '\0');
    const ssize_t got = pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }

  static std::optional<Handle> handle(ByteView bytes, std::size_t& at) {
    const auto offset = get_leb(bytes, at);
    const auto size = offset ? get_leb(bytes, at) : std::nullopt;
    if (!size) return std::nullopt;
    return Handle{*offset, *size};
  }

  /// The block's content, if its checksum is right and it is stored as our writer does.
  std::optional<std::string> block(const Handle& handle) const {
    if (handle.offset > size_ || handle.size > std::min(kMostOfBlock, size_ - handle.offset))
      return std::nullopt;
    std::string bytes = read(handle.offset, handle.size + kTrailer);
    if (bytes.size() != handle.size + kTrailer || bytes[handle.size] != 0) return std::nullopt;
    const std::string_view covered = std::string_view(bytes).substr(0, handle.size + 1);
    if (get_le32(bytes, handle.size + 1) != masked_crc32c(covered)) return std::nullopt;
    bytes.resize(handle.size);
    return bytes;
  }

  /// The handle under `name` in a block of names and handles.
  static std::optional<Handle> find(ByteView entries, std::string_view name) {
    std::string key;
    for (std::size_t at = 0; at < entries.size();) {
      const auto shared = get_leb(entries, at);
      const auto more = shared ? get_leb(entries, at) : std::nullopt;
      const auto value = more ? get_leb(entries, at) : std::nullopt;
      if (!value || *shared > key.size() || *more > entries.size() - at ||
          *value > entries.size() - at - *more)
        return std::nullopt;
      key.resize(*shared);
      key += as_text(entries.subspan(at, *more));
      at += *more;
      std::size_t inside = 0;
      if (key == name) return handle(entries.subspan(at, *value), inside);
      at += *value;
    }
    return std::nullopt;
  }

  int fd_;
  u64 size_;
};

}  // namespace

std::string table_problem(const std::string& folder, bool every_byte) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".sst") names.push_back(it->path().filename());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const int fd = ::open((folder + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;  // gone, or the database says why
    const off_t size = lseek(fd, 0, SEEK_END);
    const std::string problem = size < 0 ? "" : Table(fd, static_cast<u64>(size)).problem(every_byte);
    ::close(fd);
    if (!problem.empty()) return fmt::format("{}: {}", name, problem);
  }
  return {};
}

}  // namespace hindcast::storage
