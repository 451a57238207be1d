// The RocksDB database of a recording: column families, pinned options, and opening it to write once or only
// to read.
#pragma once
#include <rocksdb/db.h>

#include <array>
#include <memory>
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
    Salvage,  // whatever can still be read: every value is checked by its reader anyway
  };

  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// A new database in an existing folder. `sync`: file creation and WAL writes reach the disk, if asked to.
  static std::unique_ptr<Database> create(const std::string& path, bool sync, rocksdb::Status& status);
  /// An existing database, to be written on. Everything reaches the disk.
  static std::unique_ptr<Database> reopen(const std::string& path, rocksdb::Status& status);
  /// Never writes, locks or creates anything.
  static std::unique_ptr<Database> open(const std::string& path, Care care, rocksdb::Status& status);

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* family(Family family) {
    return handles_[static_cast<std::size_t>(family) + 1];
  }
  u64 sequence() const { return db_->GetLatestSequenceNumber(); }
  /// Moves everything from the WAL into tables, so that opening need not replay it.
  rocksdb::Status flush_tables();

 private:
  Database() = default;

  std::unique_ptr<rocksdb::Env> env_;  // outlives the database
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // default first
};

}  // namespace hindcast::storage
