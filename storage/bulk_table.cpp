#include "storage/bulk_table.h"

#include <unistd.h>

namespace hindcast::storage {

BulkTable::BulkTable(Database& database, const std::string& path, Family family)
    : database_(database),
      family_(database.family(family)),
      file_(path + "/0.dbtmp"),
      writer_(rocksdb::EnvOptions(database.db().GetDBOptions()), database.db().GetOptions(family_), family_,
              false),
      opened_(writer_.Open(file_)) {}

BulkTable::~BulkTable() { ::unlink(file_.c_str()); }

rocksdb::Status BulkTable::put(std::string_view key, std::string_view value) {
  return opened_.ok() ? writer_.Put(to_slice(key), to_slice(value)) : opened_;
}

rocksdb::Status BulkTable::add() {
  const rocksdb::Status finished = opened_.ok() ? writer_.Finish() : opened_;
  if (!finished.ok()) return finished;
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.write_global_seqno = false;
  // Keys are never used twice, so the table takes no place in the order of writes: what it holds is counted
  // neither in the log nor in the marks.
  options.snapshot_consistency = false;
  options.allow_global_seqno = false;
  return database_.db().IngestExternalFile(family_, {file_}, options);
}

}  // namespace hindcast::storage
