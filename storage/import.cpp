// Makes a recording from an export. Every byte of the file is treated as hostile.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>

#include "storage/bundle.h"
#include "storage/bundle_records.h"
#include "storage/chunk.h"
#include "storage/merkle.h"
#include "storage/transfer.h"

namespace hindcast::storage {
namespace {

/// The folder that the recording is made in; gone with what is in it unless it got its name.
class Workplace {
 public:
  explicit Workplace(const std::string& path)
      : path_(path), folder_(fmt::format("{}.import-{}", path, getpid())) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0)
      throw StoreError(fmt::format("{} exists already: choose another name", path));
  }
  ~Workplace() {
    std::error_code ignored;
    if (ours_) std::filesystem::remove_all(folder_, ignored);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  const std::string& folder() const { return folder_; }
  /// The folder has been created by us.
  void created() { ours_ = true; }
  void give_name() {
    if (::renameat2(AT_FDCWD, folder_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
      // Some file systems do not know the flag.
      const bool unknown = errno == EINVAL || errno == ENOSYS;
      struct stat info {};
      if (!unknown || ::lstat(path_.c_str(), &info) == 0 || ::rename(folder_.c_str(), path_.c_str()) != 0)
        throw StoreError(fmt::format("recording {}: cannot get its name: {}", path_,
                                     unknown ? "it exists by now" : std::strerror(errno)));
    }
    ours_ = false;
  }

 private:
  std::string path_, folder_;
  bool ours_ = false;
};

class Importer {
 public:
  Importer(const std::string& file, const std::string& path, const ImportOptions& options)
      : options_(options), in_(file, options.limit), place_(path) {}

  TransferStats run() {
    for (bool more = true; more;) {
      const Section section = in_.next(raw_);
      try {
        more = take(section);
      } catch (const Damage& damage) {
        in_.damaged(damage.what());
      } catch (const std::bad_alloc&) {
        in_.damaged("absurd size");
      }
    }
    writer_.reset();
    if (options_.accept) options_.accept(place_.folder());
    place_.give_name();
    stats_.file_bytes = in_.file_size();
    return stats_;
  }

 private:
  /// Something in the file is wrong (and not something of the host's).
  class Damage : public StoreError {
   public:
    using StoreError::StoreError;
  };
  static void expect(bool right, const char* what) {
    if (!right) throw Damage(what);
  }
  /// Reads what the section holds.
  template <typename Decode>
  auto decoded(const Decode& decode) {
    try {
      return decode(ByteView(raw_));
    } catch (const StoreError& error) {
      throw Damage(error.what());
    }
  }

  bool take(Section section) {
    expect((section == Section::Head) == (writer_ == nullptr), "it does not belong here");
    if (section != Section::File) expect(file_.name.empty(), "a file is not complete");
    switch (section) {
      case Section::Head: take_head(); break;
      case Section::File: take_file(); break;
      case Section::Events: take_events(); break;
      case Section::Pages: take_pages(); break;
      case Section::Checkpoint: take_checkpoint(); break;
      case Section::Tail: take_tail(); return false;
    }
    return true;
  }

  void take_head() {
    head_ = decoded(decode_bundle_head);
    WriterOptions options;
    options.segmented = !head_.from_start;
    writer_ = Writer::create(place_.folder(), head_.meta, options);
    place_.created();
    begun_ = head_.from_start;
  }

  void take_file() {
    BundleFile piece = decoded(decode_bundle_file);
    expect(stats_.events == 0 && stats_.checkpoints == 0, "it does not belong here");
    expect(piece.name.size() <= 1024 && piece.name.find('\0') == std::string::npos && !piece.name.empty(),
           "a file has a malformed name");
    if (file_.name.empty()) {
      expect(piece.offset == 0, "the beginning of a file is missing");
      expect(std::find(names_.begin(), names_.end(), piece.name) == names_.end(),
             "a file stands in it twice");
      expect(names_.size() < kMaxFiles, "it has too many files");
      file_ = {piece.name, piece.size, 0, {}};
    }
    const u64 left = file_.size - file_.bytes.size();
    expect(piece.name == file_.name && piece.size == file_.size && piece.offset == file_.bytes.size() &&
               piece.bytes.size() <= left && (left == 0 || !piece.bytes.empty()),
           "a file's pieces do not fit together");
    file_.bytes.insert(file_.bytes.end(), piece.bytes.begin(), piece.bytes.end());
    if (file_.bytes.size() != file_.size) return;
    writer_->put_blob(file_.name, file_.bytes);
    names_.push_back(file_.name);
    file_ = {};
    stats_.files++;
  }

  void take_events() {
    const std::string_view value = as_text(raw_);
    const ChunkHeader header = decoded([&](ByteView) {
      const std::string key = chunk_key(get_le64(value, 32), get_le32(value, 16));
      return parse_chunk(key, value);
    });
    expect(header.sequence == chunks_ && header.previous == chain_, "it is not the next chunk of events");
    chunks_++;
    chain_ = header.checksum;
    decoded([&](ByteView) { return decode_chunk(header, value, [](const EventRecord&) { return true; }); });
    decode_chunk(header, value, [&](const EventRecord& event) {
      expect(stats_.events == 0 || event.icount > icount_ || (event.icount == icount_ && event.seq > seq_),
             "positions do not increase");
      expect(event.icount >= checkpoint_at_, "an event lies before the checkpoint that it follows");
      const bool construction = event.icount < head_.begin_icount ||
                                (event.icount == head_.begin_icount && event.seq < head_.begin_seq);
      expect(begun_ ? head_.from_start || !construction : construction,
             "an event lies on the wrong side of the beginning");
      icount_ = event.icount;
      seq_ = event.seq;
      writer_->append(event);
      stats_.events++;
      return true;
    });
    if (options_.progress) options_.progress(icount_);
  }

  void take_pages() {
    begin_segment();
    for (const Bytes& page : decoded(decode_bundle_pages)) {
      contents_.push_back(writer_->put_page(page.data(), page.size()));
      stats_.pages++;
    }
  }

  /// What follows belongs to the checkpoint at which the recording begins.
  void begin_segment() {
    if (begun_ || segment_started_) return;
    writer_->start_segment(false);
    segment_started_ = true;
  }

  void take_checkpoint() {
    BundleCheckpoint in = decoded(decode_bundle_checkpoint);
    expect(stats_.checkpoints == 0 || in.info.icount > checkpoint_at_, "checkpoints do not ascend");
    expect(stats_.events == 0 || in.info.icount >= icount_, "it lies before events that it follows");
    expect(begun_ || (in.info.icount == head_.begin_icount && in.info.seq == head_.begin_seq),
           "it is not the checkpoint at which the recording begins");
    CheckpointRecord record;
    static_cast<CheckpointInfo&>(record) = in.info;
    record.machine_state = std::move(in.machine_state);
    if (memory_.size() != in.blocks.size()) memory_.assign(in.blocks.size(), {});
    for (std::size_t i = 0; i < in.blocks.size(); i++) {
      const BundleBlock& block = in.blocks[i];
      CheckpointBlock& now = memory_[i];
      if (now.name != block.name || now.base != block.base || now.size != block.size)
        now = {block.name, block.base, block.size, {}};
      apply(block.changes, now);
      // A short list of changes may stand for a long list of pages.
      in_.charge(now.pages.size() * 4);
    }
    record.blocks = memory_;
    const Root root = decoded([&](ByteView) { return checkpoint_root(record.machine_state, record.blocks); });
    expect(root == record.root, "a checkpoint's state differs from its root");
    begin_segment();
    writer_->put_checkpoint(record);
    begun_ = true;
    checkpoint_at_ = record.icount;
    stats_.checkpoints++;
    if (options_.progress) options_.progress(record.icount);
  }

  void apply(const Bytes& changes, CheckpointBlock& block) {
    std::vector<std::pair<u64, PageId>> pages;
    auto old = block.pages.begin();
    for (const PageChange& change :
         decoded([&](ByteView) { return decode_changes(changes, contents_.size(), last_); })) {
      expect(change.page < pages_of(block.size), "a page is outside its block");
      while (old != block.pages.end() && old->first < change.page) pages.push_back(*old++);
      if (old != block.pages.end() && old->first == change.page) ++old;
      if (change.content) pages.emplace_back(change.page, contents_[*change.content]);
    }
    pages.insert(pages.end(), old, block.pages.end());
    block.pages = std::move(pages);
  }

  void take_tail() {
    const BundleTail tail = decoded(decode_bundle_tail);
    expect(begun_, "the checkpoint at which the recording begins is missing");
    expect(tail.files == stats_.files && tail.pages == stats_.pages && tail.events == stats_.events &&
               tail.checkpoints == stats_.checkpoints,
           "something is missing before it");
    expect(tail.covered >= icount_ && tail.covered >= checkpoint_at_ &&
               (!tail.end || tail.end->icount == tail.covered),
           "the end lies before what is recorded");
    if (tail.end)
      writer_->close(*tail.end);
    else
      writer_->flush(tail.covered);
  }

  static constexpr std::size_t kMaxFiles = 4096;

  const ImportOptions& options_;
  BundleReader in_;
  Workplace place_;
  std::unique_ptr<Writer> writer_;  // let go of before the folder
  TransferStats stats_;
  Bytes raw_;
  BundleHead head_;
  bool segment_started_ = false;
  bool begun_ = false;  // what comes now follows the beginning, and not the machine's construction
  BundleFile file_;     // its pieces so far; no name: none
  std::vector<std::string> names_;
  u64 chunks_ = 0, chain_ = 0;
  u64 icount_ = 0;  // of the last event
  u32 seq_ = 0;
  u64 checkpoint_at_ = 0;
  std::vector<PageId> contents_;
  std::vector<CheckpointBlock> memory_;  // at the last checkpoint
  u64 last_ = 0;
};

}  // namespace

TransferStats import_recording(const std::string& file, const std::string& path,
                               const ImportOptions& options) {
  return Importer(file, path, options).run();
}

}  // namespace hindcast::storage
