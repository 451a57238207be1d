// Large values on their way into the database as a table of their own. Through the log they would be written
// twice, and copied four times on the way.
#pragma once
#include <rocksdb/sst_file_writer.h>

#include <string>
#include <string_view>

#include "storage/database.h"

namespace hindcast::storage {

/// One table. What has been put is in the recording after add() and not before; killed in between, its file
/// is one that nobody looks at, and that --force knows as ours.
class BulkTable {
 public:
  /// In the recording's folder `path`. One at a time.
  BulkTable(Database& database, const std::string& path, Family family);
  ~BulkTable();
  BulkTable(const BulkTable&) = delete;
  BulkTable& operator=(const BulkTable&) = delete;

  /// Keys ascend.
  rocksdb::Status put(std::string_view key, std::string_view value);
  /// Makes it part of the database. Once, after the last put().
  rocksdb::Status add();

 private:
  Database& database_;
  rocksdb::ColumnFamilyHandle* family_;
  std::string file_;
  rocksdb::SstFileWriter writer_;
  rocksdb::Status opened_;
};

}  // namespace hindcast::storage
