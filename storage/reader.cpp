// The replaying side of the event store. Whatever stands in the files is checked before it is believed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <new>
#include <set>
#include <thread>
#include <type_traits>

#include "storage/chunk.h"
#include "storage/database.h"
#include "storage/event_store.h"
#include "storage/folder.h"
#include "storage/merkle.h"
#include "storage/records.h"
#include "storage/tables.h"
#include "storage/write_ahead_log.h"

namespace hindcast::storage {
namespace {

/// How often opening is tried again when a recorder at work moved files away under it.
constexpr int kOpenAttempts = 100;

/// Damage that already names the recording.
class NamedError : public Damaged {
 public:
  using Damaged::Damaged;
};

class StoreReader final : public Reader {
 public:
  explicit StoreReader(const std::string& path) : path_(path), folder_(Folder::open(path)) {
    mark_ = folder_->read_mark(&marks_sound_);
    for (int attempt = 1; !try_open(); attempt++) {
      if (!folder_->growing() || attempt == kOpenAttempts) {
        if (!mark_ || !mark_->created) never_begun();
        fail(fmt::format("is damaged: {}", damage_));
      }
      // With a recorder at work on a busy machine it is our turn again only after a while.
      std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
      mark_ = folder_->read_mark(&marks_sound_);
    }
    read_meta();
    read_segments();
    read_end();
    find_cover();
  }

  const Bytes& meta() const override { return meta_; }
  u32 schema() const override { return folder_->schema(); }
  bool growing() const override { return folder_->growing(); }
  std::optional<CheckpointInfo> begin() const override { return begin_; }
  std::optional<EndRecord> end() const override { return end_ ? std::optional(end_->end) : std::nullopt; }
  u64 covered_icount() const override { return covered_; }
  bool end_lost() const override { return mark_ && mark_->closed && !end_; }
  bool tail_torn() const override { return torn_; }

  void events(u64 from_icount, const std::function<bool(const EventRecord&)>& fn) const override {
    walk_chunks(from_icount, [&](const ChunkHeader& header, std::string_view value) {
      return decode_chunk(header, value,
                          [&](const EventRecord& event) { return event.icount < from_icount || fn(event); });
    });
  }

  std::vector<CheckpointInfo> checkpoints() const override {
    std::vector<CheckpointInfo> all;
    for_each(Family::Checkpoints, kSummaryMark, "checkpoints",
             [&](std::string_view key, std::string_view value) {
               const StoredSummary summary = parse_summary(key, value);
               const u64 expected = anchor_.ordinal + all.size();
               if (summary.ordinal != expected)
                 fail(fmt::format("is damaged: checkpoint {} is missing", expected));
               all.push_back(summary.info);
             });
    const u64 there = anchor_.ordinal + all.size();
    if (end_ && there != end_->checkpoints) {
      fail(fmt::format("is damaged: {} of {} checkpoints are missing", end_->checkpoints - there,
                       end_->checkpoints));
    }
    // Those that were added are a convenience: nobody misses one.
    for_each(
        Family::Checkpoints, kAddedSummaryMark, "checkpoints",
        [&](std::string_view key, std::string_view value) { all.push_back(parse_summary(key, value).info); });
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.icount < b.icount; });
    return all;
  }

  CheckpointRecord checkpoint(u64 icount) const override {
    const std::string what = fmt::format("the checkpoint at {}", icount);
    return guarded(what, [&] {
      const auto get = [&](const std::string& key) {
        const auto value = find(Family::Checkpoints, key);
        if (!value) throw StoreError("it is missing");
        return *value;
      };
      std::string key = summary_key(icount), at = state_key(icount);
      if (!find(Family::Checkpoints, key)) {
        key = added_summary_key(icount);
        at = added_state_key(icount);
      }
      CheckpointRecord record;
      static_cast<CheckpointInfo&>(record) = parse_summary(key, get(key)).info;
      StoredState state = decode_state(unseal(name_of(Family::Checkpoints), at, get(at), kMaxValue));
      record.machine_state = std::move(state.machine_state);
      for (StoredBlock& block : state.blocks) record.blocks.push_back(load_tree(std::move(block)));
      if (checkpoint_root(record.machine_state, record.blocks) != record.root) {
        throw StoreError("its state differs from its root");
      }
      return record;
    });
  }

  Bytes page(const PageId& id) const override {
    return guarded("a page", [&] { return content(id); });
  }

  std::vector<std::string> blobs() const override {
    std::vector<std::string> names;
    for_each(Family::Blobs, kBlobMark, "blobs",
             [&](std::string_view key, std::string_view) { names.emplace_back(key.substr(1)); });
    if (end_ && names.size() != end_->blobs) fail("is damaged: blobs are missing");
    return names;
  }

  Bytes blob(const std::string& name) const override {
    return guarded(fmt::format("blob {}", name), [&] {
      const std::string key = blob_key(name);
      const auto value = find(Family::Blobs, key);
      if (!value) throw StoreError("it is missing");
      const StoredBlob header = decode_blob(unseal(name_of(Family::Blobs), key, *value, kBlobPiece));
      Bytes data;
      for (u32 piece = 0; data.size() < header.size; piece++) {
        const std::string at = blob_piece_key(name, piece);
        const auto part = find(Family::Blobs, at);
        if (!part) throw StoreError("a piece is missing");
        const Bytes raw = unseal(name_of(Family::Blobs), at, *part, kBlobPiece);
        if (raw.size() != std::min<u64>(kBlobPiece, header.size - data.size()))
          throw StoreError("its length is wrong");
        data.insert(data.end(), raw.begin(), raw.end());
      }
      if (page_id(data) != header.hash) throw StoreError("content differs from its hash");
      return data;
    });
  }

  bool verify(const std::function<void(const std::string&)>& problem) const override {
    bool sound = true;
    const auto report = [&](const std::string& line) {
      sound = false;
      problem(line);
    };
    const auto check = [&](const auto& work) {
      try {
        work();
      } catch (const StoreError& error) {
        report(error.what());
      }
    };
    if (!marks_sound_) report(fmt::format("recording {}: its marker is damaged", path_));
    if (mark_ && mark_->identity != 0 && mark_->identity != folder_->identity())
      report(fmt::format("recording {} is damaged: IDENTITY is changed", path_));
    if (torn_)
      report(fmt::format("recording {}: something is missing after instruction {}", path_, covered_));
    if (!end_problem_.empty()) report(end_problem_);
    check([&] {  // the files first, independently of what we look up in them
      // They are opened again for that, and a flight recorder may have removed them.
      if (growing() && schema() >= kSegmentedSchema) return;
      std::string problem = table_problem(path_, true);
      if (problem.empty() && !growing() && end_) problem = manifest_problem(path_);
      if (!problem.empty()) fail(fmt::format("is damaged: {}", problem));
      const rocksdb::Status status = database_->db().VerifyChecksum();
      if (!status.ok()) fail(fmt::format("is damaged: {}", describe(status)));
    });
    check([&] { events(0, [](const EventRecord&) { return true; }); });
    check([&] {
      for (const std::string& name : blobs()) check([&] { blob(name); });
    });
    check([&] {
      for_each(Family::Pages, std::nullopt, "pages", [&](std::string_view key, std::string_view value) {
        decode_page(parse_page_key(key), value);
      });
    });
    check([&] {
      std::set<PageId> seen;
      for (const CheckpointInfo& info : checkpoints()) check([&] { verify_checkpoint(info, seen); });
    });
    return sound;
  }

  StoreStats stats() const override {
    StoreStats stats;
    walk_chunks(0, [&](const ChunkHeader& header, std::string_view value) {
      stats.chunks++;
      stats.events += header.events;
      stats.event_bytes += value.size() + 12;
      return true;
    });
    stats.checkpoints = checkpoints().size();
    for_each(Family::Pages, std::nullopt, "pages", [&](std::string_view key, std::string_view value) {
      stats.pages++;
      stats.page_bytes += key.size() + value.size();
    });
    stats.disk_bytes = folder_->disk_bytes();
    return stats;
  }

 private:
  using Iterator = std::unique_ptr<rocksdb::Iterator>;

  [[noreturn]] void fail(const std::string& what) const {
    throw NamedError(fmt::format("recording {} {}", path_, what));
  }
  /// Runs `work`; its StoreErrors get the recording's name and `what` in front, if they have it not yet.
  template <typename Work>
  std::invoke_result_t<Work> guarded(const std::string& what, const Work& work) const {
    try {
      return work();
    } catch (const NamedError&) {
      throw;
    } catch (const StoreError& error) {
      fail(fmt::format("is damaged: {}: {}", what, error.what()));
    } catch (const std::bad_alloc&) {
      fail(fmt::format("is damaged: {}: absurd size", what));
    }
  }

  Iterator iterate(Family family) const { return database_->iterate(family); }
  std::optional<std::string> find(Family family, std::string_view key) const {
    return database_->find(family, key);
  }
  /// Every key of a column family that starts with `mark`.
  template <typename Work>
  void for_each(Family family, std::optional<char> mark, const std::string& what, const Work& work) const {
    guarded(what, [&] {
      const Iterator it = iterate(family);
      const std::string start = mark ? std::string(1, *mark) : "";
      for (it->Seek(start); it->Valid() && it->key().starts_with(start); it->Next()) {
        work(to_view(it->key()), to_view(it->value()));
      }
      if (!it->status().ok()) throw StoreError(describe(it->status()));
    });
  }

  /// False if nothing can be read at all, with the reason in damage_.
  bool try_open() {
    damage_.clear();
    damage_ = log_problem(path_);
    if (damage_.empty()) damage_ = table_problem(path_, false);
    if (!damage_.empty()) return false;
    rocksdb::Status status;
    const bool segmented = folder_->schema() >= kSegmentedSchema;
    const auto care = folder_->growing() ? Database::Care::Growing : Database::Care::Strict;
    database_ = Database::open(path_, segmented, care, status);
    if (database_ == nullptr) {
      damage_ = describe(status);
      if (folder_->growing()) return false;
      rocksdb::Status second;
      database_ = Database::open(path_, segmented, Database::Care::Salvage, second);
      if (database_ == nullptr) return false;
    }
    // While a recorder is at work, the mark may speak of what moved to another file while we were opening.
    return !folder_->growing() || !mark_ || database_->sequence() >= mark_->db_sequence;
  }

  [[noreturn]] void never_begun() const {
    const std::string what = "was cut short while being created: there is nothing to replay";
    // What a killed recorder leaves, and not marks that were damaged later.
    const bool plain = mark_ ? marks_sound_ : !std::filesystem::exists(path_ + "/CURRENT");
    if (plain) throw NeverBegun(fmt::format("recording {} {}", path_, what));
    fail("is damaged: its marks are unreadable");
  }

  void read_meta() {
    const auto value = guarded("its description", [&] { return find(Family::Meta, kMetaKey); });
    if (!value) {
      if (mark_ && mark_->created) fail("is damaged: its description is missing");
      never_begun();
    }
    meta_ = guarded("its description",
                    [&] { return unseal(name_of(Family::Meta), kMetaKey, *value, kMaxValue); });
  }

  u64 chunks_outside_segments() const {
    return guarded("its first events", [&]() -> u64 {
      const Iterator it = iterate(Family::Events);
      it->SeekToLast();
      return it->Valid() ? parse_chunk(to_view(it->key()), to_view(it->value())).sequence + 1 : 0;
    });
  }

  /// Finds out where a segmented recording begins: where the oldest of its segments does.
  void read_segments() {
    if (folder_->schema() < kSegmentedSchema) return;
    bool any = false;
    for (const Database::Segment& segment : database_->segments()) {
      const auto head =
          guarded(fmt::format("segment {}", segment.number), [&]() -> std::optional<StoredSegment> {
            const auto value = database_->find_in(segment.family(Family::Checkpoints), kSegmentKey);
            if (!value) return std::nullopt;
            const StoredSegment stored =
                decode_segment(unseal(name_of(Family::Checkpoints), kSegmentKey, *value, kMaxPage));
            if (stored.number != segment.number) throw StoreError("it stands in a wrong place");
            return stored;
          });
      // A writer that is stopped while it starts a segment leaves one without its head.
      if (!head) continue;
      anchor_ = *head;
      any = true;
      break;
    }
    if (!any && mark_ && (mark_->closed || mark_->chunks > chunks_outside_segments()))
      fail("is damaged: its segments are missing");
    if (!any) never_begun();
    if (anchor_.from_start) return;
    begin_ = guarded("its beginning", [&] {
      const std::string key = summary_key(anchor_.icount);
      const auto value = find(Family::Checkpoints, key);
      if (!value) throw StoreError("the checkpoint is missing");
      const StoredSummary summary = parse_summary(key, *value);
      if (summary.ordinal != anchor_.ordinal || summary.info.seq != anchor_.seq)
        throw StoreError("it is another checkpoint");
      return summary.info;
    });
  }

  void read_end() {
    try {
      guarded("its end record", [&] {
        const auto value = find(Family::Meta, kEndKey);
        if (value) end_ = decode_end(unseal(name_of(Family::Meta), kEndKey, *value, kMaxPage));
      });
    } catch (const StoreError& error) {
      end_problem_ = error.what();
    }
  }

  /// Finds the last chunk that follows from the first without a gap, and how far the recording is complete.
  void find_cover() {
    u64 chunks = 0, chain = 0;
    const auto take = [&](const ChunkHeader& header) {
      chunks = header.sequence + 1;
      chain = header.checksum;
      covered_ = header.end_icount;
    };
    if (damage_.empty()) {
      try {
        const Iterator it = iterate(Family::Events);
        it->SeekToLast();
        if (it->Valid()) take(parse_chunk(to_view(it->key()), to_view(it->value())));
        if (!it->status().ok()) throw StoreError(describe(it->status()));
      } catch (const StoreError& error) {
        damage_ = error.what();
      }
    }
    if (!damage_.empty()) {
      chunks = chain = covered_ = 0;
      try {
        walk_chunks(0, [&](const ChunkHeader& header, std::string_view) {
          take(header);
          return true;
        });
      } catch (const StoreError&) {  // events() will say it again, in its place
      }
    }
    pass_anchor(chunks, chain);
    covered_ = std::max(covered_, anchor_.icount);
    if (mark_) {
      const bool agrees = mark_->chunks == chunks && mark_->chain == chain;
      if (agrees) covered_ = std::max(covered_, mark_->covered_icount);
      torn_ = mark_->chunks > chunks || mark_->db_sequence > database_->sequence() || end_lost();
    }
    if (end_) torn_ = torn_ || end_->chunks != chunks || end_->chain != chain;
  }

  /// What was dropped in front of the oldest segment is not missed: after the chunks of the construction come
  /// those of the segment.
  void pass_anchor(u64& chunks, u64& chain) const {
    if (chunks != anchor_.built || chain != anchor_.built_chain) return;
    chunks = anchor_.chunk;
    chain = anchor_.chain;
  }

  /// Visits the chunks from the one that has `from_icount` on, in order, until `work` returns false. Throws
  /// at the first that is damaged or missing.
  template <typename Work>
  void walk_chunks(u64 from_icount, const Work& work) const {
    const Iterator it = iterate(Family::Events);
    it->SeekForPrev(chunk_key(from_icount, 0));
    if (!it->Valid() && it->status().ok()) it->SeekToFirst();
    bool first = true;
    u64 next = 0, chain = 0, last_icount = 0;
    u32 last_seq = 0;
    for (; it->Valid(); it->Next()) {
      const bool go_on = guarded(fmt::format("events after instruction {}", last_icount), [&] {
        const ChunkHeader header = parse_chunk(to_view(it->key()), to_view(it->value()));
        // One that stands in the middle is where a walk begins; else all before it must have come.
        if (!first || header.first_icount > from_icount) {
          if (header.sequence == anchor_.chunk) pass_anchor(next, chain);
          if (header.sequence != next || header.previous != chain) throw StoreError("some are missing");
        }
        if (!first && (header.first_icount < last_icount ||
                       (header.first_icount == last_icount && header.first_seq <= last_seq))) {
          throw StoreError("positions do not increase");
        }
        first = false;
        next = header.sequence + 1;
        chain = header.checksum;
        last_icount = header.last_icount;
        last_seq = header.last_seq;
        return work(header, to_view(it->value()));
      });
      if (!go_on) return;
    }
    const std::string where = fmt::format("is damaged after instruction {}", last_icount);
    if (!it->status().ok()) fail(fmt::format("{}: {}", where, describe(it->status())));
    if (!damage_.empty()) fail(fmt::format("{}: {}", where, damage_));
    pass_anchor(next, chain);
    if (end_ && (end_->chunks != next || end_->chain != chain))
      fail(fmt::format("{}: events are missing", where));
  }

  StoredSummary parse_summary(std::string_view key, std::string_view value) const {
    const StoredSummary summary = decode_summary(unseal(name_of(Family::Checkpoints), key, value, kMaxPage));
    if (key != summary_key(summary.info.icount) && key != added_summary_key(summary.info.icount))
      throw StoreError("a checkpoint stands in a wrong place");
    return summary;
  }

  Bytes content(const PageId& id) const {
    const auto value = find(Family::Pages, page_key(id));
    if (!value) throw StoreError("a page is missing");
    return decode_page(id, *value);
  }

  CheckpointBlock load_tree(StoredBlock stored) const {
    CheckpointBlock block{std::move(stored.name), stored.base, stored.size, {}};
    if (block.size > kMaxBlockSize) throw StoreError("a block is impossibly large");
    if (!stored.zero) {
      load_node(stored.tree, tree_height(pages_of(block.size)), 0, pages_of(block.size), block.pages);
    }
    return block;
  }

  /// Descends a node of `level` whose pages start at `first`. Depth is bounded by the level, and the number
  /// of nodes by the pages that the block has: a node outside is refused.
  void load_node(const PageId& id, unsigned level, u64 first, u64 pages, NodeList& out) const {
    u64 span = 1;  // pages below each child
    for (unsigned i = 1; i < level; i++) span *= kTreeFanOut;
    for (const TreeChild& child : decode_node(level, content(id))) {
      const u64 at = first + child.slot * span;
      if (at >= pages) throw StoreError("a tree node lies outside its block");
      if (level == 1) {
        out.emplace_back(at, child.id);
      } else {
        load_node(child.id, level - 1, at, pages, out);
      }
    }
  }

  /// Loads it (which recomputes its root) and sees that its pages are there. `seen`: pages looked at before.
  void verify_checkpoint(const CheckpointInfo& info, std::set<PageId>& seen) const {
    const CheckpointRecord record = checkpoint(info.icount);
    if (info.icount > covered_)
      fail(fmt::format("is damaged: the checkpoint at {} is after its end", info.icount));
    for (const CheckpointBlock& block : record.blocks) {
      for (const auto& [number, id] : block.pages) {
        if (!seen.insert(id).second) continue;
        guarded(fmt::format("page {} of {} in the checkpoint at {}", number, block.name, info.icount), [&] {
          if (content(id).size() != page_bytes(block.size, number)) throw StoreError("its length is wrong");
        });
      }
    }
  }

  std::string path_;
  std::unique_ptr<Folder> folder_;
  std::unique_ptr<Database> database_;
  std::optional<Mark> mark_;
  bool marks_sound_ = false;
  std::string damage_;  // why the database could only be salvaged, or its last chunk is bad
  std::string end_problem_;
  Bytes meta_;
  std::optional<StoredEnd> end_;
  u64 covered_ = 0;
  bool torn_ = false;
  StoredSegment anchor_;  // the oldest segment; without segments, the very beginning
  std::optional<CheckpointInfo> begin_;
};

}  // namespace

std::unique_ptr<Reader> Reader::open(const std::string& path) { return std::make_unique<StoreReader>(path); }

}  // namespace hindcast::storage
