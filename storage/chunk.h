// Event chunks: the events of one flush (or of 64 KiB) as one value, chained to the chunk before by its
// checksum.
#pragma once
#include <functional>

#include "storage/codec.h"

namespace hindcast::storage {

/// The frame around a chunk's FlatBuffer.
struct ChunkHeader {
  u64 sequence = 0;  // 0, 1, 2, ... in the recording
  u64 first_icount = 0, last_icount = 0;
  u32 first_seq = 0, last_seq = 0;
  u64 end_icount = 0;  // every event before it is in this chunk or an earlier one
  u64 previous = 0;    // checksum of the chunk before; 0 for the first
  u64 checksum = 0;    // over everything else, seeded with `previous`
  u32 events = 0;
  u32 stored_size = 0, raw_size = 0;  // of the FlatBuffer; equal: not compressed
};

/// Key in the events column family: first position, big-endian.
std::string chunk_key(u64 icount, u32 seq);

/// Collects events and makes the value. Positions must be strictly increasing (the writer checks).
class ChunkBuilder {
 public:
  void append(const EventRecord& event);
  bool empty() const { return events_ == 0; }
  /// Bytes that the FlatBuffer will need, about.
  std::size_t raw_size() const;
  std::string key() const { return chunk_key(header_.first_icount, header_.first_seq); }
  u64 last_icount() const { return header_.last_icount; }
  /// Returns the stored value, its checksum through `checksum`, and starts over. Not `packed`: for a place
  /// that compresses by itself.
  std::string finish(u64 sequence, u64 previous, u64 end_icount, u64& checksum, bool packed = true);

 private:
  ChunkHeader header_;
  u32 events_ = 0;
  Bytes icounts_, seqs_, kinds_, channels_, sizes_, payload_;
};

/// Checks frame, checksum and key of a stored chunk. Throws StoreError.
ChunkHeader parse_chunk(std::string_view key, std::string_view value);
/// Checks and delivers the events of a chunk that parse_chunk() accepted, in order, until `fn` returns false.
/// Returns false if it did. Nothing is delivered from a chunk that is not sound as a whole: throws StoreError
/// before.
bool decode_chunk(const ChunkHeader& header, std::string_view value,
                  const std::function<bool(const EventRecord&)>& fn);

}  // namespace hindcast::storage
