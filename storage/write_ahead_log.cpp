#include "storage/write_ahead_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/codec.h"

namespace hindcast::storage {
namespace {

constexpr std::size_t kBlock = 32 * 1024;
constexpr std::size_t kHeader = 7;             // u32 checksum, u16 length, u8 type
constexpr std::size_t kRecyclableHeader = 11;  // and the u32 number of the log
constexpr u8 kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4, kRecyclable = 4;  // recyclable types: 5 to 8
constexpr std::size_t kBatchHeader = 12;  // u64 sequence number, u32 count of writes

/// Follows the sequence numbers of the records, log after log.
class Sequences {
 public:
  /// Looks at one block of a log. Returns false at a record that goes back.
  bool block(std::string_view block) {
    for (std::size_t at = 0; at + kHeader <= block.size();) {
      const std::size_t length =
          static_cast<u8>(block[at + 4]) | static_cast<std::size_t>(static_cast<u8>(block[at + 5])) << 8;
      const auto type = static_cast<u8>(block[at + 6]);
      const bool recyclable = type > kRecyclable && type <= 2 * kRecyclable;
      const std::size_t header = recyclable ? kRecyclableHeader : kHeader;
      const bool whole = type >= kFull && type <= 2 * kRecyclable && at + header + length <= block.size();
      if (!whole || get_le32(block, at) != masked_crc32c(block.substr(at + 6, header - 6 + length))) {
        started_ = false;  // the database drops the rest of the block, too
        return true;
      }
      if (!fragment(recyclable ? type - kRecyclable : type, block.substr(at + header, length))) return false;
      at += header + length;
    }
    return true;
  }
  void next_log() { started_ = false; }

 private:
  bool fragment(u8 type, std::string_view payload) {
    if (type == kFull || type == kFirst) {
      start_.clear();
      started_ = true;
    }
    if (!started_) return true;  // its beginning is lost
    start_.append(payload.substr(0, kBatchHeader - std::min(start_.size(), kBatchHeader)));
    if (type == kFirst || type == kMiddle) return true;
    started_ = false;
    if (start_.size() < kBatchHeader) return true;  // too short for the database as well
    const u64 sequence = get_le64(start_, 0);
    const u32 count = get_le32(start_, 8);
    if (sequence < next_) return false;
    next_ = sequence + count;
    return true;
  }

  u64 next_ = 0;
  bool started_ = false;
  std::string start_;  // of the record at hand
};

std::vector<std::pair<u64, std::string>> logs_of(const std::string& folder) {
  std::vector<std::pair<u64, std::string>> logs;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (!name.ends_with(".log")) continue;
    u64 number = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (bad == std::errc() && std::string_view(rest) == ".log") logs.emplace_back(number, name);
  }
  std::sort(logs.begin(), logs.end());
  return logs;
}

/// Whether a log's block consists of whole records, with nothing behind the last one.
bool is_whole(std::string_view block) {
  std::size_t at = 0;
  while (at + kHeader <= block.size()) {
    const std::size_t length =
        static_cast<u8>(block[at + 4]) | static_cast<std::size_t>(static_cast<u8>(block[at + 5])) << 8;
    if (length > block.size() - at - kHeader) return false;
    if (get_le32(block, at) != masked_crc32c(block.substr(at + 6, 1 + length))) return false;
    at += kHeader + length;
  }
  // What is too short for a record at the end of a block is filled with zeros.
  return at == block.size() ||
         (block.size() == kBlock && block.find_first_not_of('\0', at) == std::string_view::npos);
}

}  // namespace

std::string manifest_problem(const std::string& folder) {
  std::ifstream current(folder + "/CURRENT");
  std::string name;
  std::getline(current, name);
  if (!name.starts_with("MANIFEST-") || name.find('/') != std::string::npos) return "CURRENT is changed";
  std::ifstream manifest(folder + "/" + name, std::ios::binary);
  std::string block(kBlock, '\0');
  while (manifest) {
    manifest.read(block.data(), kBlock);
    if (!is_whole(std::string_view(block).substr(0, static_cast<std::size_t>(manifest.gcount()))))
      return fmt::format("{} has a broken record", name);
  }
  return {};
}

std::string log_problem(const std::string& folder) {
  Sequences sequences;
  std::string buffer(32 * kBlock, '\0');
  for (const auto& [number, name] : logs_of(folder)) {
    const int fd = ::open((folder + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;  // gone, or the database says why
    sequences.next_log();
    bool good = true;
    off_t at = 0;
    for (ssize_t size; good && (size = pread(fd, buffer.data(), buffer.size(), at)) > 0; at += size) {
      const std::string_view piece(buffer.data(), static_cast<std::size_t>(size));
      for (std::size_t block = 0; good && block < piece.size(); block += kBlock)
        good = sequences.block(piece.substr(block, kBlock));
    }
    ::close(fd);
    if (!good) return fmt::format("{} repeats what stands before it", name);
  }
  return {};
}

}  // namespace hindcast::storage
