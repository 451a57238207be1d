// The export file's frame: sections, each compressed, length- and hash-checked, chained to the one before.
// Format: docs/export-format.md. What stands in the sections: bundle_records.h.
#pragma once
#include <string>

#include "storage/store_types.h"

namespace hindcast::storage {

/// What a section holds. The numbers are part of the format.
enum class Section : u32 {
  Head = 1,        // what was recorded
  File = 2,        // a piece of a file that the recording carries
  Events = 3,      // an event chunk, uncompressed
  Pages = 4,       // pages of guest memory
  Checkpoint = 5,  // a checkpoint
  Tail = 6,        // the end; nothing follows
};

/// A section holds at most this much, uncompressed.
inline constexpr std::size_t kMaxSection = std::size_t{80} << 20;

/// Writes an export file beside its place, and moves it there when it is whole. Throws StoreError when the
/// host does not take it; what was written is then removed. A file that is there already is replaced only if
/// it is empty or an export.
class BundleWriter {
 public:
  explicit BundleWriter(const std::string& path);
  ~BundleWriter();
  BundleWriter(const BundleWriter&) = delete;
  BundleWriter& operator=(const BundleWriter&) = delete;

  void put(Section section, ByteView raw);
  /// The file is whole and on the disk, under its name. Returns its size.
  u64 finish();

 private:
  [[noreturn]] void fail(const std::string& what, int error) const;
  void write(u64 at, std::string_view bytes);

  std::string path_, temporary_;
  int fd_ = -1;
  u64 size_ = 0, raw_ = 0, sections_ = 0, chain_ = 0;
};

/// Reads an export file, section by section. Everything is checked before it is believed, sizes before memory
/// is allocated for them: throws StoreError, naming file and place.
class BundleReader {
 public:
  /// `limit`: bytes to which the sections may unpack in all; 0: kRatio times the file's size, or kFloor if
  /// that is more.
  BundleReader(const std::string& path, u64 limit);
  ~BundleReader();
  BundleReader(const BundleReader&) = delete;
  BundleReader& operator=(const BundleReader&) = delete;

  static constexpr u64 kRatio = 1000;
  static constexpr u64 kFloor = u64{64} << 20;

  /// The next section, checked. After the last one (Tail), that nothing follows has been checked too.
  Section next(Bytes& raw);
  /// Counts work that unpacked data causes towards the limit.
  void charge(u64 bytes);
  /// Throws StoreError: the section read last is not what it should be.
  [[noreturn]] void damaged(const std::string& what) const;
  u64 file_size() const { return size_; }

 private:
  void read(u64 at, char* to, std::size_t size) const;

  std::string path_;
  int fd_ = -1;
  u64 size_ = 0, limit_ = 0, used_ = 0;
  u64 at_ = 0, section_at_ = 0;
  u64 raw_ = 0, raw_total_ = 0, sections_ = 0, sections_total_ = 0, chain_ = 0;
};

}  // namespace hindcast::storage
