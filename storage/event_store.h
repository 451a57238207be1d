// The event store: one folder holding a RocksDB database with everything a recording is. Knows bytes and
// positions; what the bytes mean is replay/'s. Format: docs/recording-format.md.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/store_types.h"

namespace hindcast::storage {

/// Writes one recording. Survives kill -9 at any moment: what flush() has returned for is in the operating
/// system's hands. Throws StoreError when the folder cannot be created or written (disk full included); after
/// that only close_failed() may be called, and what was flushed before stays readable. Not thread-safe.
class Writer {
 public:
  /// Creates folder `path` (mode 0700). It must not exist, unless `replace`, which removes an existing
  /// *recording* (and refuses any other folder). `meta` is stored before this returns.
  static std::unique_ptr<Writer> create(const std::string& path, const Bytes& meta,
                                        const WriterOptions& options);
  /// Opens a recording that nobody writes any more, in order to add checkpoints to it. Only put_page(),
  /// put_checkpoint() and finish_adding() may be called; checkpoints may lie anywhere in it, and one that is
  /// there already stays. Nothing that is in the recording changes, so it is as good as before whenever this
  /// is killed. Throws StoreError if somebody uses the recording, or it is damaged.
  static std::unique_ptr<Writer> reopen(const std::string& path);
  virtual ~Writer() = default;

  /// Appends an event; positions must be strictly increasing. Buffered until flush().
  virtual void append(const EventRecord& event) = 0;
  /// Everything appended is written as chained chunks and handed to the OS (to the disk if options.sync).
  /// `end` is the position up to which the recording is complete: all events before it are in it.
  virtual void flush(u64 end_icount) = 0;
  /// Stores a page if its content is not there already (bytes compared on equal hashes); returns its id.
  virtual PageId put_page(const u8* data, std::size_t size) = 0;
  /// Atomically adds a checkpoint (with all pages put since the last one). Flushes first.
  virtual void put_checkpoint(const CheckpointRecord& checkpoint) = 0;
  /// Segmented recordings only (WriterOptions::segmented). What was appended before the first call happened
  /// while the machine was being built, and stays for good; what comes after a call belongs to the segment
  /// that it starts. `at_power_on`: the recording begins here; only at first. Else the segment begins at the
  /// checkpoint that is put next; its pages are put in between, and events go to the segment before until
  /// then.
  virtual void start_segment(bool at_power_on) = 0;
  /// From the oldest one on; the last one is being written.
  virtual std::vector<SegmentInfo> segments() const = 0;
  /// Forgets the oldest segment, of at least two: the recording then begins where the next one does. Pages
  /// that later checkpoints need are moved.
  virtual void drop_segment() = 0;
  /// Moves what was written from the log into tables, so that the log goes.
  virtual void flush_tables() = 0;
  /// Bytes that the folder takes.
  virtual u64 disk_bytes() const = 0;
  /// Named blobs ("image/0", ...), content checked on reading.
  virtual void put_blob(const std::string& key, ByteView data) = 0;
  /// Clean close: flushes, writes the end record, closes. Nothing may be called afterwards. A writer that is
  /// destroyed without it leaves what a killed recorder would leave.
  virtual void close(const EndRecord& end) = 0;
  /// What was added is on the disk; closes. Nothing may be called afterwards.
  virtual void finish_adding() = 0;
  /// Lets go of the recording after a StoreError, writing nothing more.
  virtual void close_failed() noexcept = 0;
  /// Bytes handed to the database so far (events only / everything).
  virtual u64 event_bytes() const = 0;
  virtual u64 total_bytes() const = 0;
};

/// Reads a recording. Never writes into it. Treats every byte as hostile: throws StoreError naming what is
/// damaged.
class Reader {
 public:
  static std::unique_ptr<Reader> open(const std::string& path);
  virtual ~Reader() = default;

  virtual const Bytes& meta() const = 0;
  virtual u32 schema() const = 0;
  /// The checkpoint at which the recording begins; absent: at power-on. Events that happened while the
  /// machine was being built are there in any case, before all others.
  virtual std::optional<CheckpointInfo> begin() const = 0;
  /// Another process is writing it: there will be more. This is what there was when it was opened.
  virtual bool growing() const = 0;
  /// Absent if the recorder was killed.
  virtual std::optional<EndRecord> end() const = 0;
  /// The writer closed the recording, and the end record is not there any more: damaged, not killed.
  virtual bool end_lost() const = 0;
  /// The last icount that the chunks cover (equals end()->icount after a clean close).
  virtual u64 covered_icount() const = 0;
  /// Calls `fn` for events with icount >= from in order until it returns false. A damaged chunk throws
  /// StoreError after everything before it was delivered; a torn tail just ends (see tail_torn()).
  virtual void events(u64 from_icount, const std::function<bool(const EventRecord&)>& fn) const = 0;
  /// Something that had been handed to the operating system is missing at the end: the power failed, or files
  /// were cut off. What there is is a true beginning of the recording. A killed recorder alone does not tear
  /// the tail.
  virtual bool tail_torn() const = 0;
  /// Checkpoints by icount, without their pages.
  virtual std::vector<CheckpointInfo> checkpoints() const = 0;
  virtual CheckpointRecord checkpoint(u64 icount) const = 0;
  virtual Bytes page(const PageId& id) const = 0;
  virtual std::vector<std::string> blobs() const = 0;
  virtual Bytes blob(const std::string& key) const = 0;
  /// Reads and checks everything; calls `problem` with one line for each finding. True if sound.
  virtual bool verify(const std::function<void(const std::string&)>& problem) const = 0;
  virtual StoreStats stats() const = 0;
};

}  // namespace hindcast::storage
