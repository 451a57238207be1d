// The plain records that the event store keeps.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace hindcast::storage {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using Bytes = std::vector<u8>;
using ByteView = std::span<const u8>;

/// Version of the layout in the database (schema). Raised by any change that an older reader would misread.
/// This program reads those from the first to this one, and writes the lowest that can hold the recording.
inline constexpr u32 kSchemaVersion = 2;
inline constexpr u32 kPlainSchema = 1;
/// Its events, checkpoints and pages are in segments: it may begin at a checkpoint.
inline constexpr u32 kSegmentedSchema = 2;

/// Guest memory is stored in pages of this size; the last page of a block may be shorter.
inline constexpr std::size_t kPageSize = 4096;
/// Limits that the writer keeps and the reader insists on.
inline constexpr std::size_t kMaxEventPayload = std::size_t{64} << 20;
inline constexpr u64 kMaxBlockSize = u64{1} << 40;
inline constexpr std::size_t kMaxValue = std::size_t{1} << 30;  // meta, machine state

/// A 128-bit xxh3 in its canonical (big-endian) byte order.
using Root = std::array<u8, 16>;

/// One line: what is wrong, where, and what to do.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What is in the folder is not what a writer of ours leaves behind, however it was stopped. Everything else
/// that a StoreError says (no such folder, no permission, a newer schema) tells nothing about the content.
class Damaged : public StoreError {
 public:
  using StoreError::StoreError;
};

/// The recorder was killed while it created the recording: there is nothing in it, and nothing is
/// missing from it.
class NeverBegun : public StoreError {
 public:
  using StoreError::StoreError;
};

struct EventRecord {
  u64 icount = 0;
  u32 seq = 0;  // within the icount
  u8 kind = 0;  // engine's InputKind, or replay's own kinds from 128 up (hash grid)
  u16 channel = 0;
  Bytes payload;
};

/// 128-bit xxh3 of the content plus a disambiguating index for equal hashes of different contents.
struct PageId {
  u64 low = 0, high = 0;
  u32 index = 0;
  auto operator<=>(const PageId&) const = default;
};

/// Guest memory at a checkpoint is a Merkle tree over page ids, per RAM block; absent pages are all zero.
struct CheckpointBlock {
  std::string name;
  u64 base = 0, size = 0;
  /// (page number in the block, id), strictly ascending; pages not listed are zero. Listing an all-zero page
  /// is the same as not listing it.
  std::vector<std::pair<u64, PageId>> pages;
};
struct CheckpointInfo {
  u64 icount = 0;
  u32 seq = 0;                // events with (icount, < seq) came before it
  std::array<u8, 16> root{};  // over machine state and all blocks
};
struct CheckpointRecord : CheckpointInfo {
  Bytes machine_state;
  std::vector<CheckpointBlock> blocks;
};

/// Written by a clean close only.
struct EndRecord {
  u64 icount = 0;
  u8 reason = 0;  // replay's StopKind
  std::int64_t exit_code = 0;
  std::array<u8, 16> state_root{};   // as CheckpointInfo::root, at the end
  std::array<u8, 16> output_hash{};  // running hash of all outputs
  u64 output_bytes = 0;
};

struct WriterOptions {
  bool replace = false;
  bool sync = false;  // flush() waits for the disk
  /// Events after the machine's construction go into segments: see Writer::start_segment().
  bool segmented = false;
};

/// A stretch of a segmented recording, from one of its checkpoints on.
struct SegmentInfo {
  u64 begin_icount = 0;
  u64 bytes = 0;  // handed to the database for it, without what its beginning took
};

struct StoreStats {
  u64 events = 0, event_bytes = 0, chunks = 0, checkpoints = 0, pages = 0, page_bytes = 0, disk_bytes = 0;
};

}  // namespace hindcast::storage
