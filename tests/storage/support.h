// What the event store's tests share: folders that vanish, made-up recordings, and comparing what is read
// with it.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "storage/event_store.h"
#include "storage/merkle.h"

namespace hindcast::storage::test {

/// A folder of its own for one test; gone afterwards.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// What should be in a recording.
struct Model {
  Bytes meta;
  std::vector<EventRecord> events;
  std::vector<CheckpointRecord> checkpoints;
  std::map<PageId, Bytes> pages;
  std::map<std::string, Bytes> blobs;
  std::optional<EndRecord> end;
  u64 covered = 0;
  /// Segmented: where it begins, if not at power-on; and how many of `events` happened before all segments.
  std::optional<CheckpointInfo> begin;
  std::size_t built = 0;
};

bool same(const EventRecord& a, const EventRecord& b);
Bytes random_bytes(std::mt19937_64& random, std::size_t size, unsigned values = 256);
EventRecord event_at(u64 icount, u32 seq, Bytes payload, u8 kind = 1, u16 channel = 0);
/// All events from `from` on.
std::vector<EventRecord> read_events(const Reader& reader, u64 from = 0);
/// Everything in the recording is as in the model, and it verifies.
void expect_equal(const Reader& reader, const Model& model);

/// Everything that can be read, as far as it can be read. `error`: what stopped the events, if something did.
struct Contents {
  Model model;
  bool torn = false, sound = false;
  std::string error;
};
/// Throws what Reader::open throws; everything after that is caught.
Contents read_all(const std::string& path);

/// One block of guest memory that changes a little between checkpoints.
class Memory {
 public:
  Memory(std::string name, u64 base, std::size_t size) : name_(std::move(name)), base_(base), bytes_(size) {}
  Bytes& bytes() { return bytes_; }
  /// Puts its pages and returns what a checkpoint lists; zero pages are listed only if `list_zero`.
  CheckpointBlock put(Writer& writer, Model* model, bool list_zero = false) const;

 private:
  std::string name_;
  u64 base_;
  Bytes bytes_;
};

/// A writer and the model of what it wrote, driven by a seed: appends, flushes, checkpoints, blobs. With
/// options.segmented, every second checkpoint starts a segment, and no more than three are kept.
class RandomRun {
 public:
  RandomRun(const std::string& path, u64 seed, WriterOptions options = {});
  /// One random operation. Model::events holds what was flushed, `pending` what was not.
  void step();
  void close();
  Model model;
  std::vector<EventRecord> pending;
  /// All that was ever written, dropped or not. Segmented only.
  std::vector<EventRecord> all_events;
  std::vector<CheckpointRecord> all_checkpoints;
  Writer& writer() { return *writer_; }

 private:
  void append();
  void flush();
  void checkpoint();
  void drop_segment();

  std::mt19937_64 random_;
  bool segmented_;
  std::unique_ptr<Writer> writer_;
  std::vector<Memory> memory_;
  u64 icount_ = 0;
  u32 seq_ = 0;
};

/// Name and content of every file of a folder.
std::map<std::string, std::string> snapshot(const std::string& path);
void write_file(const std::string& path, const std::string& content);

}  // namespace hindcast::storage::test
