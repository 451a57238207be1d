#include "storage/database.h"

#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdarg>

#include "storage/file_system.h"

namespace hindcast::storage {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// A LOG file would cost time at every start, and say nothing that the user is not told anyway.
class NoLog : public rocksdb::Logger {
 public:
  NoLog() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, std::va_list) override {}
  void Logv(const rocksdb::InfoLogLevel, const char*, std::va_list) override {}
};

/// Everything that decides the bytes in the files is set here, and to what every RocksDB from 7.8 on knows.
rocksdb::ColumnFamilyOptions family_options(std::size_t write_buffer, bool filter) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.checksum = rocksdb::kCRC32c;
  table.index_type = rocksdb::BlockBasedTableOptions::kBinarySearch;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinarySearch;
  table.block_size = 16 * 1024;
  table.no_block_cache = true;  // values are read once, or kept by whoever reads them
  if (filter) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));

  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;  // values are packed already
  options.bottommost_compression = rocksdb::kDisableCompressionOption;
  options.write_buffer_size = write_buffer;
  options.arena_block_size = 64 * 1024;
  options.max_write_buffer_number = 3;
  // Nothing is ever overwritten or deleted, so compaction would only copy.
  options.disable_auto_compactions = true;
  options.level_compaction_dynamic_level_bytes = false;
  options.enable_blob_files = false;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> families() {
  std::vector<rocksdb::ColumnFamilyDescriptor> all;
  all.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options(kMiB, false));
  for (std::size_t i = 0; i < kFamilyNames.size(); i++) {
    const auto family = static_cast<Family>(i);
    const bool bulky = family == Family::Pages || family == Family::Events;
    all.emplace_back(kFamilyNames[i], family_options(bulky ? 16 * kMiB : 4 * kMiB, family == Family::Pages));
  }
  return all;
}

rocksdb::DBOptions database_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.info_log = std::make_shared<NoLog>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_background_jobs = 2;
  options.allow_fallocate = false;  // a killed recorder would leave the preallocated space behind
  options.max_total_wal_size = 64 * kMiB;
  options.wal_compression = rocksdb::kNoCompression;
  options.recycle_log_file_num = 0;
  options.track_and_verify_wals_in_manifest = false;
  options.write_dbid_to_manifest = false;
  options.fail_if_options_file_error = false;  // see file_system.h
  options.max_open_files = 128;
  options.max_file_opening_threads = 1;
  options.skip_stats_update_on_db_open = true;
  return options;
}

}  // namespace

std::string describe(const rocksdb::Status& status) {
  std::string text = status.ToString();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::unique_ptr<Database> Database::create(const std::string& path, bool sync, rocksdb::Status& status) {
  std::unique_ptr<Database> database(new Database);
  database->env_ = rocksdb::NewCompositeEnv(recording_file_system(sync));
  rocksdb::DBOptions options = database_options(database->env_.get());
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.error_if_exists = true;
  options.paranoid_checks = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  rocksdb::DB* db = nullptr;
  status = rocksdb::DB::Open(options, path, families(), &database->handles_, &db);
  if (!status.ok()) return nullptr;
  database->db_.reset(db);
  return database;
}

std::unique_ptr<Database> Database::reopen(const std::string& path, rocksdb::Status& status) {
  std::unique_ptr<Database> database(new Database);
  database->env_ = rocksdb::NewCompositeEnv(recording_file_system(true));
  rocksdb::DBOptions options = database_options(database->env_.get());
  options.paranoid_checks = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::DB* db = nullptr;
  status = rocksdb::DB::Open(options, path, families(), &database->handles_, &db);
  if (!status.ok()) return nullptr;
  database->db_.reset(db);
  return database;
}

std::unique_ptr<Database> Database::open(const std::string& path, Care care, rocksdb::Status& status) {
  std::unique_ptr<Database> database(new Database);
  database->env_ = rocksdb::NewCompositeEnv(read_only_file_system());
  rocksdb::DBOptions options = database_options(database->env_.get());
  options.paranoid_checks = care == Care::Strict;
  options.wal_recovery_mode = care == Care::Strict ? rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords
                                                   : rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  rocksdb::DB* db = nullptr;
  try {
    status = rocksdb::DB::OpenForReadOnly(options, path, families(), &database->handles_, &db);
  } catch (const std::exception& error) {  // damaged lengths can ask for absurd allocations
    status = rocksdb::Status::Corruption(error.what());
  }
  if (!status.ok()) return nullptr;
  database->db_.reset(db);
  return database;
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  db_->Close();
}

rocksdb::Status Database::flush_tables() {
  rocksdb::FlushOptions options;
  options.wait = true;
  return db_->Flush(options, handles_);
}

}  // namespace hindcast::storage
