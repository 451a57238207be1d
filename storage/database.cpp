#include "storage/database.h"

#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <charconv>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "storage/file_system.h"
#include "storage/merged_iterator.h"

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

rocksdb::ColumnFamilyOptions options_of(Family family) {
  const bool bulky = family == Family::Pages || family == Family::Events;
  return family_options(bulky ? 16 * kMiB : 4 * kMiB, family == Family::Pages);
}

std::vector<rocksdb::ColumnFamilyDescriptor> families() {
  std::vector<rocksdb::ColumnFamilyDescriptor> all;
  all.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options(kMiB, false));
  for (std::size_t i = 0; i < kFamilyNames.size(); i++)
    all.emplace_back(kFamilyNames[i], options_of(static_cast<Family>(i)));
  return all;
}

/// The families that a segment has of its own, in the order of Database::Segment::handles.
constexpr std::array kSegmentFamilies = {Family::Events, Family::Checkpoints, Family::Pages};

bool in_segments(Family family) {
  return std::find(kSegmentFamilies.begin(), kSegmentFamilies.end(), family) != kSegmentFamilies.end();
}

std::string segment_name(Family family, u32 number) {
  return std::string(name_of(family)) + "." + std::to_string(number);
}

/// What segment_name() made of it: the index in kSegmentFamilies, and the number.
std::optional<std::pair<std::size_t, u32>> parse_segment_name(const std::string& name) {
  for (std::size_t i = 0; i < kSegmentFamilies.size(); i++) {
    const std::string start = std::string(name_of(kSegmentFamilies[i])) + ".";
    if (!name.starts_with(start)) continue;
    u32 number = 0;
    const char* end = name.data() + name.size();
    const auto [at, error] = std::from_chars(name.data() + start.size(), end, number);
    if (error == std::errc() && at == end && name == segment_name(kSegmentFamilies[i], number))
      return std::pair(i, number);
  }
  return std::nullopt;
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
  options.max_manifest_file_size = 128 * 1024;  // segments come and go for as long as a flight recorder runs
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

/// Changes whenever the set of the database's files does.
std::string manifest_state(const std::string& path) {
  std::ifstream current(path + "/CURRENT");
  std::string name;
  std::getline(current, name);
  std::error_code error;
  const auto size = std::filesystem::file_size(path + "/" + name, error);
  return name + " " + (error ? "" : std::to_string(size));
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

rocksdb::ColumnFamilyHandle* Database::Segment::family(Family family) const {
  const auto at = std::find(kSegmentFamilies.begin(), kSegmentFamilies.end(), family);
  return handles[static_cast<std::size_t>(at - kSegmentFamilies.begin())];
}

std::vector<rocksdb::ColumnFamilyDescriptor> Database::list_families(const rocksdb::DBOptions& options,
                                                                     const std::string& path, bool all,
                                                                     rocksdb::Status& status) {
  std::vector<std::string> names;
  status = rocksdb::DB::ListColumnFamilies(options, path, &names);
  std::map<u32, unsigned> parts;
  for (const std::string& name : names)
    if (const auto segment = parse_segment_name(name)) parts[segment->second]++;
  auto list = families();
  for (const std::string& name : names) {
    const auto segment = parse_segment_name(name);
    if (segment && (all || parts[segment->second] == kSegmentFamilies.size()))
      list.emplace_back(name, options_of(kSegmentFamilies[segment->first]));
  }
  return list;
}

void Database::take_handles(const std::vector<rocksdb::ColumnFamilyDescriptor>& opened) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles = std::move(handles_);
  std::map<u32, Segment> segments;
  handles_.assign(handles.begin(), handles.begin() + 1 + kFamilyNames.size());
  for (std::size_t i = handles_.size(); i < handles.size(); i++) {
    const auto [part, number] = *parse_segment_name(opened[i].name);
    segments[number].number = number;
    segments[number].handles[part] = handles[i];
  }
  for (const auto& [number, segment] : segments) {
    const auto& parts = segment.handles;
    if (std::find(parts.begin(), parts.end(), nullptr) == parts.end()) {
      segments_.push_back(segment);
      continue;
    }
    for (rocksdb::ColumnFamilyHandle* handle : parts)
      if (handle != nullptr) handles_.push_back(handle);
  }
}

rocksdb::Status Database::add_segment(u32 number) {
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  for (const Family family : kSegmentFamilies)
    wanted.emplace_back(segment_name(family, number), options_of(family));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status status = db_->CreateColumnFamilies(wanted, &handles);
  if (!status.ok()) {
    handles_.insert(handles_.end(), handles.begin(), handles.end());
    return status;
  }
  Segment segment;
  segment.number = number;
  std::copy(handles.begin(), handles.end(), segment.handles.begin());
  segments_.push_back(segment);
  return status;
}

rocksdb::Status Database::drop_segment() {
  const Segment segment = segments_.front();
  const std::vector<rocksdb::ColumnFamilyHandle*> handles(segment.handles.begin(), segment.handles.end());
  const rocksdb::Status status = db_->DropColumnFamilies(handles);
  if (!status.ok()) return status;
  segments_.erase(segments_.begin());
  for (rocksdb::ColumnFamilyHandle* handle : handles) db_->DestroyColumnFamilyHandle(handle);
  return status;
}

std::optional<std::string> Database::find_in(rocksdb::ColumnFamilyHandle* family,
                                             std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), family, to_slice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) throw StoreError(describe(status));
  return value;
}

std::optional<std::string> Database::find(Family family, std::string_view key) const {
  if (in_segments(family)) {
    for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment)
      if (auto value = find_in(segment->family(family), key)) return value;
  }
  return find_in(this->family(family), key);
}

std::unique_ptr<rocksdb::Iterator> Database::iterate(Family family) const {
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> base(db_->NewIterator(options, this->family(family)));
  if (segments_.empty() || !in_segments(family)) return base;
  std::vector<std::unique_ptr<rocksdb::Iterator>> parts;
  parts.push_back(std::move(base));
  for (const Segment& segment : segments_)
    parts.emplace_back(db_->NewIterator(options, segment.family(family)));
  return std::make_unique<MergedIterator>(std::move(parts));
}

std::unique_ptr<Database> Database::reopen(const std::string& path, bool segmented, rocksdb::Status& status) {
  std::unique_ptr<Database> database(new Database);
  database->env_ = rocksdb::NewCompositeEnv(recording_file_system(true));
  rocksdb::DBOptions options = database_options(database->env_.get());
  options.paranoid_checks = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  const auto wanted = segmented ? list_families(options, path, true, status) : families();
  if (segmented && !status.ok()) return nullptr;
  rocksdb::DB* db = nullptr;
  status = rocksdb::DB::Open(options, path, wanted, &database->handles_, &db);
  if (!status.ok()) return nullptr;
  database->db_.reset(db);
  database->take_handles(wanted);
  return database;
}

std::unique_ptr<Database> Database::open(const std::string& path, bool segmented, Care care,
                                         rocksdb::Status& status) {
  std::unique_ptr<Database> database(new Database);
  database->env_ = rocksdb::NewCompositeEnv(read_only_file_system());
  rocksdb::DBOptions options = database_options(database->env_.get());
  options.paranoid_checks = care != Care::Salvage;
  options.wal_recovery_mode = care == Care::Salvage ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
                                                    : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  status = {};
  const std::string before = care == Care::Growing ? manifest_state(path) : "";
  if (segmented) options.max_open_files = -1;
  auto wanted = families();
  rocksdb::DB* db = nullptr;
  try {
    if (segmented) wanted = list_families(options, path, false, status);
    if (status.ok()) status = rocksdb::DB::OpenForReadOnly(options, path, wanted, &database->handles_, &db);
  } catch (const std::exception& error) {  // damaged lengths can ask for absurd allocations
    status = rocksdb::Status::Corruption(error.what());
  }
  if (!status.ok()) return nullptr;
  database->db_.reset(db);
  database->take_handles(wanted);
  if (care == Care::Growing && manifest_state(path) != before) {
    // Something moved from the log to a table, or was dropped: we may have seen it in neither.
    status = rocksdb::Status::TryAgain("its recorder has moved files meanwhile");
    return nullptr;
  }
  return database;
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  for (const Segment& segment : segments_)
    for (rocksdb::ColumnFamilyHandle* handle : segment.handles) db_->DestroyColumnFamilyHandle(handle);
  db_->Close();
}

rocksdb::Status Database::flush_tables() {
  rocksdb::FlushOptions options;
  options.wait = true;
  std::vector<rocksdb::ColumnFamilyHandle*> all = handles_;
  for (const Segment& segment : segments_)
    all.insert(all.end(), segment.handles.begin(), segment.handles.end());
  return db_->Flush(options, all);
}

}  // namespace hindcast::storage
