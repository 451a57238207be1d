// FlatBuffers of the records that are kept sealed: checkpoints, blob headers, the end record.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "storage/store_types.h"

namespace hindcast::storage {

/// A block of a checkpoint as stored: its tree's root node instead of its pages.
struct StoredBlock {
  std::string name;
  u64 base = 0, size = 0;
  bool zero = true;  // no tree: all zero
  PageId tree;
};
struct StoredState {
  Bytes machine_state;
  std::vector<StoredBlock> blocks;
};
struct StoredSummary {
  u32 ordinal = 0;
  CheckpointInfo info;
};
struct StoredBlob {
  u64 size = 0;
  PageId hash;  // index 0
};
/// Where a segment begins.
struct StoredSegment {
  u32 number = 0;
  bool from_start = false;
  u64 icount = 0;
  u32 seq = 0;
  u32 ordinal = 0;                 // of its first checkpoint
  u64 chunk = 0, chain = 0;        // number of its first chunk, checksum of the one before
  u64 built = 0, built_chain = 0;  // chunks before all segments, checksum of the last of them
};
/// The end record with what must be there.
struct StoredEnd {
  EndRecord end;
  u64 chunks = 0, chain = 0;
  u32 checkpoints = 0, blobs = 0;
};

/// Blobs are cut into pieces of this size.
inline constexpr std::size_t kBlobPiece = std::size_t{1} << 20;
inline constexpr std::size_t kMaxBlocks = 4096;

Bytes encode(const StoredSummary& summary);
Bytes encode(ByteView machine_state, const std::vector<StoredBlock>& blocks);
Bytes encode(const StoredBlob& blob);
Bytes encode(const StoredSegment& segment);
Bytes encode(const StoredEnd& end);

// Each throws StoreError unless the bytes are a well-formed record with values in range.
StoredSummary decode_summary(ByteView bytes);
StoredState decode_state(ByteView bytes);
StoredBlob decode_blob(ByteView bytes);
StoredSegment decode_segment(ByteView bytes);
StoredEnd decode_end(ByteView bytes);

// Keys, all big-endian.
std::string summary_key(u64 icount);
std::string state_key(u64 icount);
std::string page_key(const PageId& id);
PageId parse_page_key(std::string_view key);
std::string blob_key(std::string_view name);
std::string blob_piece_key(std::string_view name, u32 piece);
/// Checkpoints that were added afterwards: as 'i' and 's', with ordinal 0.
std::string added_summary_key(u64 icount);
std::string added_state_key(u64 icount);
inline constexpr char kAddedSummaryMark = 'j', kAddedStateMark = 't';
inline constexpr char kSummaryMark = 'i', kStateMark = 's', kBlobMark = 'h', kBlobPieceMark = 'p';
inline constexpr std::string_view kMetaKey = "meta", kEndKey = "end", kSegmentKey = "head";

/// Page values are {u32 raw size, packed content}; the key is their checksum.
std::string encode_page(ByteView content);
Bytes decode_page(const PageId& id, std::string_view value);
/// Largest page (and tree node) that is stored.
inline constexpr std::size_t kMaxPage = std::size_t{1} << 20;

}  // namespace hindcast::storage
