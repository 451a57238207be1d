// The RocksDB database of a recording: column families, pinned options, and opening it to write once or only
// to read.
#pragma once
#include <rocksdb/db.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/store_types.h"

namespace hindcast::storage {

enum class Family : u8 { Meta, Events, Checkpoints, Pages, Blobs };
inline constexpr std::array<const char*, 5> kFamilyNames = {"meta", "events", "checkpoints", "pages",
                                                            "blobs"};
inline const char* name_of(Family family) { return kFamilyNames[static_cast<std::size_t>(family)]; }

inline rocksdb::Slice to_slice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
/// A status as one line for people.
std::string describe(const rocksdb::Status& status);

class Database {
 public:
  /// How much damage opening for reading puts up with.
  enum class Care : u8 {
    Strict,   // a record cut off at the end of the log is all that may be wrong
    Growing,  // the same, while another process writes: TryAgain if it moved or removed files meanwhile
    Salvage,  // whatever can still be read: every value is checked by its reader anyway
  };

  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// A new database in an existing folder. `sync`: file creation and WAL writes reach the disk, if asked to.
  static std::unique_ptr<Database> create(const std::string& path, bool sync, rocksdb::Status& status);
  /// An existing database, to be written on. Everything reaches the disk. `segmented`: there may be segments.
  static std::unique_ptr<Database> reopen(const std::string& path, bool segmented, rocksdb::Status& status);
  /// Never writes, locks or creates anything. With segments, all files are opened at once, so that none is
  /// missed that a recorder at work removes.
  static std::unique_ptr<Database> open(const std::string& path, bool segmented, Care care,
                                        rocksdb::Status& status);

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return handles_[static_cast<std::size_t>(family) + 1];
  }
  /// Events, checkpoints and pages of a segment, each in a family of its own. Those are complete; a segment
  /// whose creation or removal was cut short is not among them.
  struct Segment {
    u32 number = 0;
    std::array<rocksdb::ColumnFamilyHandle*, 3> handles{};
    rocksdb::ColumnFamilyHandle* family(Family family) const;
  };
  /// Ascending.
  const std::vector<Segment>& segments() const { return segments_; }
  rocksdb::Status add_segment(u32 number);
  /// The oldest one, with everything in it.
  rocksdb::Status drop_segment();

  /// What stands under a key, in the segments or beside them; null if nothing does. Throws StoreError.
  std::optional<std::string> find(Family family, std::string_view key) const;
  std::optional<std::string> find_in(rocksdb::ColumnFamilyHandle* family, std::string_view key) const;
  /// Everything in the order of the keys, that of all segments too. Forward only.
  std::unique_ptr<rocksdb::Iterator> iterate(Family family) const;

  u64 sequence() const { return db_->GetLatestSequenceNumber(); }
  /// Moves everything from the WAL into tables, so that opening need not replay it.
  rocksdb::Status flush_tables();

 private:
  Database() = default;
  /// The families that a database has, without those of broken segments. `all`: with them.
  static std::vector<rocksdb::ColumnFamilyDescriptor> list_families(const rocksdb::DBOptions& options,
                                                                    const std::string& path, bool all,
                                                                    rocksdb::Status& status);
  /// Takes the handles as they were opened, in the order of `opened`.
  void take_handles(const std::vector<rocksdb::ColumnFamilyDescriptor>& opened);

  std::unique_ptr<rocksdb::Env> env_;  // outlives the database
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // default, the families, then those of broken segments
  std::vector<Segment> segments_;
};

}  // namespace hindcast::storage
