// Writes a recording as one file.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "storage/bundle.h"
#include "storage/bundle_records.h"
#include "storage/chunk.h"
#include "storage/records.h"
#include "storage/transfer.h"

namespace hindcast::storage {
namespace {

/// Events of about so many bytes make a section, pages of so many.
constexpr std::size_t kEventBytes = 256 * 1024;
constexpr std::size_t kPageBytes = std::size_t{1} << 20;

class Exporter {
 public:
  Exporter(const Reader& reader, const ExportCut& cut, const std::string& file,
           const TransferProgress& progress)
      : reader_(reader), cut_(cut), progress_(progress), out_(file) {}

  TransferStats run() {
    put_head();
    for (const std::string& name : reader_.blobs()) put_file(name);
    if (cut_.begin) put_events_of_construction();
    std::vector<CheckpointInfo> checkpoints = reader_.checkpoints();
    std::erase_if(checkpoints, [&](const CheckpointInfo& info) { return !wanted(info); });
    auto next = checkpoints.begin();
    u64 reported = 0;
    reader_.events(cut_.begin ? cut_.begin->icount : 0, [&](const EventRecord& event) {
      if (cut_.begin && before(event, cut_.begin->icount, cut_.begin->seq)) return true;
      if (!before(event, cut_.stop_icount, cut_.stop_seq)) return false;
      while (next != checkpoints.end() && !before(event, next->icount, next->seq)) put_checkpoint(*next++);
      put_event(event);
      if (progress_ && event.icount - reported > kReportEvery) progress_(reported = event.icount);
      return true;
    });
    while (next != checkpoints.end()) put_checkpoint(*next++);
    put_chunk(cut_.covered_icount);
    put_tail();
    stats_.file_bytes = out_.finish();
    return stats_;
  }

 private:
  static constexpr u64 kReportEvery = u64{1} << 24;

  static bool before(const EventRecord& event, u64 icount, u32 seq) {
    return event.icount < icount || (event.icount == icount && event.seq < seq);
  }
  bool wanted(const CheckpointInfo& info) const {
    if (cut_.begin && info.icount == cut_.begin->icount) return true;
    return cut_.checkpoints && info.icount <= cut_.covered_icount &&
           (!cut_.begin || info.icount > cut_.begin->icount);
  }

  void put_head() {
    BundleHead head;
    head.meta = reader_.meta();
    head.from_start = !cut_.begin;
    if (cut_.begin) {
      head.begin_icount = cut_.begin->icount;
      head.begin_seq = cut_.begin->seq;
    }
    out_.put(Section::Head, encode(head));
  }

  void put_file(const std::string& name) {
    const Bytes content = reader_.blob(name);
    BundleFile piece{name, content.size(), 0, {}};
    do {
      const std::size_t size = std::min<std::size_t>(kBlobPiece, content.size() - piece.offset);
      const auto from = content.begin() + static_cast<std::ptrdiff_t>(piece.offset);
      piece.bytes.assign(from, from + static_cast<std::ptrdiff_t>(size));
      out_.put(Section::File, encode(piece));
      piece.offset += size;
    } while (piece.offset < content.size());
    stats_.files++;
  }

  void put_events_of_construction() {
    reader_.events(0, [&](const EventRecord& event) {
      if (!before(event, cut_.built_icount, cut_.built_seq)) return false;
      put_event(event);
      return true;
    });
    put_chunk(0);
  }

  void put_event(const EventRecord& event) {
    builder_.append(event);
    stats_.events++;
    if (builder_.raw_size() >= kEventBytes) put_chunk(event.icount);
  }
  void put_chunk(u64 end_icount) {
    if (builder_.empty()) return;
    const u64 end = std::max(end_icount, builder_.last_icount());
    out_.put(Section::Events, as_bytes(builder_.finish(chunks_++, chain_, end, chain_, /*packed=*/false)));
  }

  void put_checkpoint(const CheckpointInfo& info) {
    put_chunk(info.icount);
    const CheckpointRecord record = reader_.checkpoint(info.icount);
    BundleCheckpoint out;
    out.info = info;
    out.machine_state = record.machine_state;
    if (memory_.size() != record.blocks.size()) memory_.assign(record.blocks.size(), {});
    std::vector<std::vector<PageChange>> changes;
    for (std::size_t i = 0; i < record.blocks.size(); i++)
      changes.push_back(changes_of(memory_[i], record.blocks[i]));
    put_pages();
    for (std::size_t i = 0; i < record.blocks.size(); i++) {
      const CheckpointBlock& block = record.blocks[i];
      out.blocks.push_back({block.name, block.base, block.size, encode_changes(changes[i], last_)});
      memory_[i] = {block.name, block.base, block.size, block.pages};
    }
    out_.put(Section::Checkpoint, encode(out));
    stats_.checkpoints++;
    if (progress_) progress_(info.icount);
  }

  /// What differs from the checkpoint before; contents that the file does not have yet are put into it.
  std::vector<PageChange> changes_of(const CheckpointBlock& before, const CheckpointBlock& now) {
    const bool same = before.name == now.name && before.base == now.base && before.size == now.size;
    std::vector<PageChange> changes;
    auto old = before.pages.begin();
    const auto old_end = same ? before.pages.end() : old;
    for (const auto& [number, id] : now.pages) {
      for (; old != old_end && old->first < number; ++old) changes.push_back({old->first, std::nullopt});
      const bool there = old != old_end && old->first == number;
      if (!there || old->second != id) changes.push_back({number, content_of(id)});
      if (there) ++old;
    }
    for (; old != old_end; ++old) changes.push_back({old->first, std::nullopt});
    return changes;
  }

  u64 content_of(const PageId& id) {
    const auto [it, is_new] = contents_.try_emplace(id, stats_.pages);
    if (is_new) {
      stats_.pages++;
      pages_.push_back(reader_.page(id));
      page_bytes_ += pages_.back().size();
      if (page_bytes_ >= kPageBytes) put_pages();
    }
    return it->second;
  }
  void put_pages() {
    if (pages_.empty()) return;
    out_.put(Section::Pages, encode_pages(pages_));
    pages_.clear();
    page_bytes_ = 0;
  }

  void put_tail() {
    BundleTail tail;
    tail.covered = cut_.covered_icount;
    tail.end = cut_.end;
    tail.files = static_cast<u32>(stats_.files);
    tail.pages = stats_.pages;
    tail.events = stats_.events;
    tail.checkpoints = static_cast<u32>(stats_.checkpoints);
    out_.put(Section::Tail, encode(tail));
  }

  const Reader& reader_;
  const ExportCut& cut_;
  const TransferProgress& progress_;
  BundleWriter out_;
  TransferStats stats_;
  ChunkBuilder builder_;
  u64 chunks_ = 0, chain_ = 0;
  std::map<PageId, u64> contents_;  // number in the file
  std::vector<Bytes> pages_;        // not yet in the file
  std::size_t page_bytes_ = 0;
  std::vector<CheckpointBlock> memory_;  // of the checkpoint before
  u64 last_ = 0;                         // the page of the file that was named last
};

}  // namespace

TransferStats export_recording(const Reader& reader, const ExportCut& cut, const std::string& file,
                               const TransferProgress& progress) {
  return Exporter(reader, cut, file, progress).run();
}

}  // namespace hindcast::storage
