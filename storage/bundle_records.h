// What stands in the sections of an export file (bundle.fbs).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "storage/store_types.h"

namespace hindcast::storage {

struct BundleHead {
  Bytes meta;
  bool from_start = true;
  u64 begin_icount = 0;
  u32 begin_seq = 0;
};
struct BundleFile {
  std::string name;
  u64 size = 0, offset = 0;
  Bytes bytes;
};
/// Memory as it has changed since the checkpoint before.
struct BundleBlock {
  std::string name;
  u64 base = 0, size = 0;
  Bytes changes;
};
struct BundleCheckpoint {
  CheckpointInfo info;
  Bytes machine_state;
  std::vector<BundleBlock> blocks;
};
struct BundleTail {
  u64 covered = 0;
  std::optional<EndRecord> end;
  u32 files = 0;
  u64 pages = 0, events = 0;
  u32 checkpoints = 0;
};

Bytes encode(const BundleHead& head);
Bytes encode(const BundleFile& file);
Bytes encode_pages(const std::vector<Bytes>& pages);
Bytes encode(const BundleCheckpoint& checkpoint);
Bytes encode(const BundleTail& tail);

// Each throws StoreError unless the bytes are a well-formed record with values in range.
BundleHead decode_bundle_head(ByteView bytes);
BundleFile decode_bundle_file(ByteView bytes);
std::vector<Bytes> decode_bundle_pages(ByteView bytes);
BundleCheckpoint decode_bundle_checkpoint(ByteView bytes);
BundleTail decode_bundle_tail(ByteView bytes);

/// One entry of BundleBlock::changes: the page is all zero now, or has the content of that page of the file.
struct PageChange {
  u64 page = 0;
  std::optional<u64> content;
};
/// `last`: the page of the file that was named last, through the whole file; 0 at first.
Bytes encode_changes(const std::vector<PageChange>& changes, u64& last);
/// `contents`: pages that the file has had so far.
std::vector<PageChange> decode_changes(ByteView bytes, u64 contents, u64& last);

}  // namespace hindcast::storage
