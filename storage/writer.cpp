// The recording side of the event store.
#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>

#include "storage/bulk_table.h"
#include "storage/chunk.h"
#include "storage/database.h"
#include "storage/event_store.h"
#include "storage/folder.h"
#include "storage/merkle.h"
#include "storage/records.h"

namespace hindcast::storage {
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;
constexpr std::size_t kPageBatchBytes = 256 * 1024;
/// Blobs from this size on go into tables, of this size at most.
constexpr std::size_t kBulkBytes = kBlobPiece, kTableBytes = 64 * kBlobPiece;
/// A recording of up to this size is left in the WAL on closing: replaying it costs less than making tables.
constexpr u64 kLeaveInWal = u64{1} << 20;

class StoreWriter final : public Writer {
 public:
  StoreWriter(const std::string& path, const Bytes& meta, const WriterOptions& options)
      : path_(path),
        sync_(options.sync),
        folder_(Folder::create(path, options.replace, options.segmented ? kSegmentedSchema : kPlainSchema)),
        segmented_(options.segmented) {
    try {
      start(meta);
    } catch (const StoreError&) {
      database_.reset();
      folder_->discard();
      throw;
    }
  }

  /// To add checkpoints.
  explicit StoreWriter(const std::string& path) : path_(path), sync_(true), folder_(Folder::reopen(path)) {
    adding_ = true;
    rocksdb::Status status;
    database_ = Database::reopen(path_, folder_->schema() >= kSegmentedSchema, status);
    if (database_ == nullptr)
      fail(fmt::format("cannot be opened for writing, verify says more: {}", describe(status)));
  }

  void append(const EventRecord& event) override {
    check_usable();
    if (event.payload.size() > kMaxEventPayload) {
      fail(fmt::format("an event of {} bytes is more than the limit of {}", event.payload.size(),
                       kMaxEventPayload));
    }
    const bool increasing =
        !any_event_ || event.icount > last_icount_ || (event.icount == last_icount_ && event.seq > last_seq_);
    if (!increasing || event.icount < covered()) {
      fail(fmt::format("internal error: event at {}:{} comes after {}:{}, complete up to {}", event.icount,
                       event.seq, last_icount_, last_seq_, covered()));
    }
    builder_.append(event);
    any_event_ = true;
    last_icount_ = event.icount;
    last_seq_ = event.seq;
    // flush() finds nothing left to write then, so that this must reach as far as it promises.
    if (builder_.raw_size() >= kChunkBytes) write_chunk(event.icount, sync_);
  }

  void flush(u64 end_icount) override {
    check_usable();
    if (builder_.empty()) {
      if (end_icount <= covered()) return;
    } else {
      write_chunk(end_icount, sync_);
    }
    mark_.covered_icount = std::max(covered(), end_icount);
    write_mark();
  }

  PageId put_page(const u8* data, std::size_t size) override {
    check_usable();
    return put_content(ByteView(data, size));
  }

  void put_checkpoint(const CheckpointRecord& checkpoint) override {
    check_usable();
    if (!adding_) flush(checkpoint.icount);
    if (!adding_ && checkpoints_ != 0 && checkpoint.icount <= last_checkpoint_) {
      fail(fmt::format("internal error: checkpoint at {} after one at {}", checkpoint.icount,
                       last_checkpoint_));
    }
    if (checkpoint.machine_state.size() > kMaxValue - kMaxBlocks * 1024 ||
        checkpoint.blocks.size() > kMaxBlocks) {
      fail("the machine is too large for a checkpoint");
    }
    std::vector<StoredBlock> blocks;
    for (const CheckpointBlock& block : checkpoint.blocks) {
      if (block.size > kMaxBlockSize) fail("the machine is too large for a checkpoint");
      blocks.push_back(store_tree(block));
    }
    StoredSummary summary;
    summary.info = checkpoint;
    if (adding_) {
      const std::string key = added_summary_key(checkpoint.icount);
      if (!has(Family::Checkpoints, summary_key(checkpoint.icount)) && !has(Family::Checkpoints, key)) {
        put_sealed(pages_, Family::Checkpoints, added_state_key(checkpoint.icount),
                   encode(checkpoint.machine_state, blocks));
        put_sealed(pages_, Family::Checkpoints, key, encode(summary));
      }
      write_pages(false);
      return;
    }
    summary.ordinal = checkpoints_;
    put_sealed(pages_, Family::Checkpoints, state_key(checkpoint.icount),
               encode(checkpoint.machine_state, blocks));
    put_sealed(pages_, Family::Checkpoints, summary_key(checkpoint.icount), encode(summary));
    if (segmented_) note_use(checkpoint);
    const bool begins = head_due_;
    if (begins) {
      segments_.back().head.icount = checkpoint.icount;
      segments_.back().head.seq = checkpoint.seq;
      put_head();  // in one piece with the checkpoint: a segment that has its head has that too
    }
    write_pages(sync_);
    if (begins) segments_.back().start = total_bytes_;
    checkpoints_++;
    last_checkpoint_ = checkpoint.icount;
    write_mark();
  }

  void start_segment(bool at_power_on) override {
    check_usable();
    if (!segmented_ || head_due_ || (at_power_on && !segments_.empty()))
      fail("internal error: no segment can start here");
    flush(covered());
    write_pages(false);
    Segment segment;
    segment.head.number = next_segment_++;
    segment.head.from_start = at_power_on;
    segment.start = total_bytes_;
    const rocksdb::Status status = database_->add_segment(segment.head.number);
    if (!status.ok()) fail(status);
    segments_.push_back(segment);
    head_due_ = true;
    if (!at_power_on) return;
    put_head();
    write_pages(sync_);
    segments_.back().start = total_bytes_;
    write_mark();
  }

  std::vector<SegmentInfo> segments() const override {
    std::vector<SegmentInfo> out;
    for (std::size_t i = 0; i < segments_.size(); i++) {
      const u64 end = i + 1 < segments_.size() ? segments_[i + 1].start : total_bytes_;
      out.push_back({segments_[i].head.icount, end - segments_[i].start});
    }
    return out;
  }

  void drop_segment() override {
    check_usable();
    if (segments_.size() < 2 || head_due_) fail("internal error: there is no segment to drop");
    // A page that is still needed goes with the last checkpoint that needs it, so it is moved only once, and
    // forgotten when that is; what is in use goes into the newest segment.
    const u32 number = segments_[0].head.number, needed_from = segments_[1].head.ordinal;
    rocksdb::WriteBatch batch;
    for (const PageId& id : segments_[0].contents) {
      const auto entry = known_.find(id);
      if (entry == known_.end() || entry->second.segment != number) continue;
      if (entry->second.last_use < needed_from) {
        known_.erase(entry);
        continue;
      }
      std::size_t to = segments_.size() - 1;
      while (segments_[to].head.ordinal > entry->second.last_use) to--;
      rocksdb::ColumnFamilyHandle* place = database_->segments()[to].family(Family::Pages);
      const rocksdb::Status moved = batch.Put(place, page_key(id), stored_value(id));
      if (!moved.ok()) fail(moved);
      entry->second.segment = segments_[to].head.number;
      segments_[to].contents.push_back(id);
      if (batch.GetDataSize() >= kPageBatchBytes) {
        write(batch, false);
        batch.Clear();
      }
    }
    write(batch, sync_);
    const rocksdb::Status status = database_->drop_segment();
    if (!status.ok()) fail(status);
    segments_.erase(segments_.begin());
    write_mark();
  }

  void flush_tables() override {
    check_usable();
    const rocksdb::Status status = database_->flush_tables();
    if (!status.ok()) fail(status);
  }

  u64 disk_bytes() const override { return folder_->disk_bytes(); }

  void put_blob(const std::string& key, ByteView data) override {
    check_usable();
    if (key.empty() || key.size() > 1024 || key.find('\0') != std::string::npos ||
        !blobs_.emplace(key, data.size()).second) {
      fail(fmt::format("internal error: blob name '{}' is malformed or used twice", key));
    }
    rocksdb::WriteBatch batch;
    if (data.size() >= kBulkBytes) {
      for (std::size_t at = 0; at < data.size(); at += kTableBytes) put_pieces(key, data, at);
    } else if (!data.empty()) {
      put_sealed(batch, Family::Blobs, blob_piece_key(key, 0), data);
    }
    // The header comes last: a blob that has one is complete.
    put_sealed(batch, Family::Blobs, blob_key(key), encode(StoredBlob{data.size(), page_id(data)}));
    write(batch, sync_);
    write_mark();
  }

  void close(const EndRecord& end) override {
    flush(end.icount);
    write_pages(false);
    rocksdb::WriteBatch batch;
    const StoredEnd stored{end, mark_.chunks, mark_.chain, checkpoints_, static_cast<u32>(blobs_.size())};
    put_sealed(batch, Family::Meta, std::string(kEndKey), encode(stored));
    write(batch, sync_);
    mark_.closed = true;
    write_mark();
    // Everything is safe in the WAL by now. Should there be no room for tables, the WAL simply stays.
    if (total_bytes_ - table_bytes_ > kLeaveInWal) database_->flush_tables();
    database_.reset();
    folder_.reset();
  }

  void finish_adding() override {
    check_usable();
    write_pages(true);
    database_->flush_tables();  // without room for tables, the WAL simply stays
    database_.reset();
    folder_.reset();
  }

  void close_failed() noexcept override {
    database_.reset();
    folder_.reset();
    failed_ = true;
  }

  u64 event_bytes() const override { return event_bytes_; }
  u64 total_bytes() const override { return total_bytes_; }

 private:
  u64 covered() const { return mark_.covered_icount; }

  void start(const Bytes& meta) {
    if (meta.size() > kMaxValue) fail("its description is too large");
    rocksdb::Status status;
    database_ = Database::create(path_, sync_, status);
    if (database_ == nullptr) fail(status);
    rocksdb::WriteBatch batch;
    put_sealed(batch, Family::Meta, std::string(kMetaKey), meta);
    write(batch, sync_);
    mark_.created = true;
    mark_.identity = folder_->identity();
    write_mark();
    if (sync_ && !folder_->sync()) fail(fmt::format("cannot bring it to the disk: {}", std::strerror(errno)));
  }

  [[noreturn]] void fail(const std::string& what) {
    failed_ = true;
    throw StoreError(fmt::format("recording {}: {}", path_, what));
  }
  [[noreturn]] void fail(const rocksdb::Status& status) {
    if (status.IsNoSpace()) fail("the disk is full; what was recorded before that can be replayed");
    fail(fmt::format("cannot write: {}", describe(status)));
  }
  bool has(Family family, const std::string& key) { return find(family, key).has_value(); }
  std::optional<std::string> find(Family family, const std::string& key) {
    try {
      return database_->find(family, key);
    } catch (const StoreError& error) {
      fail(fmt::format("cannot read: {}", error.what()));
    }
  }
  void check_usable() {
    if (failed_) fail("cannot go on after a failed write");
    if (database_ == nullptr) fail("is closed already");
  }

  void put(rocksdb::WriteBatch& batch, Family family, std::string_view key, std::string_view value) {
    const rocksdb::Status status = batch.Put(place_of(family), to_slice(key), to_slice(value));
    if (!status.ok()) fail(status);
  }
  /// Where it is written now. Events go to the segment before until the new one has its checkpoint.
  rocksdb::ColumnFamilyHandle* place_of(Family family) const {
    const auto& segments = database_->segments();
    std::size_t count = segments_.size();
    if (family == Family::Events && head_due_) count--;
    const bool in_segment =
        family == Family::Events || family == Family::Checkpoints || family == Family::Pages;
    return count != 0 && in_segment ? segments[count - 1].family(family) : database_->family(family);
  }
  void put_sealed(rocksdb::WriteBatch& batch, Family family, const std::string& key, ByteView value) {
    put(batch, family, key, seal(name_of(family), key, value));
  }

  void write(rocksdb::WriteBatch& batch, bool sync) {
    if (batch.Count() == 0) return;
    rocksdb::WriteOptions options;
    options.sync = sync;
    const rocksdb::Status status = database_->db().Write(options, &batch);
    if (!status.ok()) fail(status);
    total_bytes_ += batch.GetDataSize();
  }
  /// The pieces of a blob that begin at `at`, of one table.
  void put_pieces(const std::string& key, ByteView data, std::size_t at) {
    BulkTable table(*database_, path_, Family::Blobs);
    const std::size_t end = std::min(data.size(), at + kTableBytes);
    for (; at < end; at += kBlobPiece) {
      const std::string name = blob_piece_key(key, static_cast<u32>(at / kBlobPiece));
      const ByteView part = data.subspan(at, std::min(kBlobPiece, end - at));
      const std::string value = seal(name_of(Family::Blobs), name, part);
      const rocksdb::Status status = table.put(name, value);
      if (!status.ok()) fail(status);
      table_bytes_ += name.size() + value.size();
      total_bytes_ += name.size() + value.size();
    }
    const rocksdb::Status status = table.add();
    if (!status.ok()) fail(status);
  }
  void write_mark() {
    mark_.db_sequence = database_->sequence();
    if (!folder_->write_mark(mark_, sync_))
      fail(fmt::format("cannot write its mark: {}", std::strerror(errno)));
  }

  void write_chunk(u64 end_icount, bool sync) {
    const u64 end = std::max({end_icount, covered(), builder_.last_icount()});
    const std::string key = builder_.key();
    u64 checksum = 0;
    rocksdb::WriteBatch batch;
    put(batch, Family::Events, key, builder_.finish(mark_.chunks, mark_.chain, end, checksum));
    event_bytes_ += batch.GetDataSize();
    write(batch, sync);
    mark_.chunks++;
    mark_.chain = checksum;
    mark_.covered_icount = end;
  }

  void write_pages(bool sync) {
    write(pages_, sync);
    pages_.Clear();
  }

  /// Stores page or node content unless it is there. Equal hashes of different contents get different
  /// indices.
  PageId put_content(ByteView content) {
    if (content.size() > kMaxPage) fail("internal error: a page is too large");
    PageId id = page_id(content);
    for (; known_.contains(id) || (adding_ && has(Family::Pages, page_key(id))); id.index++) {
      const Bytes stored = decode_page(id, stored_value(id));
      if (std::equal(stored.begin(), stored.end(), content.begin(), content.end())) return id;
    }
    put(pages_, Family::Pages, page_key(id), encode_page(content));
    Use& use = known_[id];
    if (!segments_.empty()) {
      use.segment = segments_.back().head.number;
      segments_.back().contents.push_back(id);
    }
    use.last_use = checkpoints_;
    if (pages_.GetDataSize() >= kPageBatchBytes) write_pages(false);
    return id;
  }

  /// The newest segment begins here.
  void put_head() {
    StoredSegment& head = segments_.back().head;
    head.ordinal = checkpoints_;
    head.chunk = mark_.chunks;
    head.chain = mark_.chain;
    if (segments_.size() == 1 && head.number == 0) built_ = {mark_.chunks, mark_.chain};
    head.built = built_.chunks;
    head.built_chain = built_.chain;
    head_due_ = false;
    put_sealed(pages_, Family::Checkpoints, std::string(kSegmentKey), encode(head));
  }

  std::string stored_value(const PageId& id) {
    write_pages(false);  // it may still be waiting there
    const auto value = find(Family::Pages, page_key(id));
    if (!value) fail("internal error: a page that was stored is not there");
    return *value;
  }

  /// The checkpoint being stored needs these pages and nodes.
  void note_use(const CheckpointRecord& checkpoint) {
    const auto use = [&](const PageId& id) {
      const auto entry = known_.find(id);
      if (entry == known_.end()) fail("internal error: a checkpoint names a page that is not there");
      entry->second.last_use = checkpoints_;
    };
    for (const CheckpointBlock& block : checkpoint.blocks)
      for (const NodeList& level : trees_[block.name])
        for (const auto& [number, id] : level) use(id);
  }

  /// Stores the nodes of a block's tree, but for those that have the same children as in the checkpoint
  /// before.
  StoredBlock store_tree(const CheckpointBlock& block) {
    std::vector<NodeList>& before = trees_[block.name];
    std::vector<NodeList> levels = {tree_pages(block)};
    const unsigned height = tree_height(pages_of(block.size));
    if (before.size() != height + 1) before.assign(height + 1, {});
    for (unsigned level = 1; level <= height; level++) {
      const NodeList& old_children = before[level - 1];
      const NodeList& old_nodes = before[level];
      std::size_t old_child = 0, old_node = 0;
      levels.push_back(
          fold_level(levels.back(), [&](u64 node, std::span<const NodeList::value_type> children) {
            // Both lists ascend, so the old tree is walked alongside.
            while (old_child < old_children.size() && old_children[old_child].first / kTreeFanOut < node)
              old_child++;
            while (old_node < old_nodes.size() && old_nodes[old_node].first < node) old_node++;
            std::size_t end = old_child;
            while (end < old_children.size() && old_children[end].first / kTreeFanOut == node) end++;
            const auto old = std::span(old_children).subspan(old_child, end - old_child);
            if (std::equal(old.begin(), old.end(), children.begin(), children.end()))
              return old_nodes[old_node].second;
            return put_content(as_bytes(encode_node(level, tree_children(node, children))));
          }));
    }
    StoredBlock stored{block.name, block.base, block.size, levels.back().empty(), {}};
    if (!stored.zero) stored.tree = levels.back()[0].second;
    before = std::move(levels);
    return stored;
  }

  std::string path_;
  bool sync_;
  std::unique_ptr<Folder> folder_;
  std::unique_ptr<Database> database_;  // closed before the folder's lock is let go
  Mark mark_;
  bool failed_ = false;
  bool adding_ = false;  // only checkpoints, to a recording that was written before

  ChunkBuilder builder_;
  bool any_event_ = false;
  u64 last_icount_ = 0;
  u32 last_seq_ = 0;
  u64 event_bytes_ = 0, total_bytes_ = 0;
  u64 table_bytes_ = 0;  // of total_bytes_, what never was in the WAL

  struct Identity {  // the hash is one already
    std::size_t operator()(const PageId& id) const { return id.low + id.index; }
  };
  /// Where a content is stored, and the ordinal of the last checkpoint that needs it. Of use with segments.
  struct Use {
    u32 segment = kNoSegment;
    u32 last_use = 0;
  };
  static constexpr u32 kNoSegment = ~u32{0};
  std::unordered_map<PageId, Use, Identity> known_;     // contents stored; only looked up
  rocksdb::WriteBatch pages_;                           // waiting to be written
  std::map<std::string, std::vector<NodeList>> trees_;  // per block: the levels of the last checkpoint
  u32 checkpoints_ = 0;
  u64 last_checkpoint_ = 0;
  std::map<std::string, u64> blobs_;

  struct Segment {
    StoredSegment head;
    u64 start = 0;                 // total_bytes_ after its beginning was written
    std::vector<PageId> contents;  // stored in it
  };
  bool segmented_ = false;
  std::vector<Segment> segments_;
  u32 next_segment_ = 0;
  struct {
    u64 chunks = 0, chain = 0;
  } built_;                // what came before the first segment
  bool head_due_ = false;  // the newest segment's head is not stored yet
};

}  // namespace

std::unique_ptr<Writer> Writer::create(const std::string& path, const Bytes& meta,
                                       const WriterOptions& options) {
  return std::make_unique<StoreWriter>(path, meta, options);
}

std::unique_ptr<Writer> Writer::reopen(const std::string& path) {
  return std::make_unique<StoreWriter>(path);
}

}  // namespace hindcast::storage
