#include "storage/records.h"

#include <flatbuffers/flatbuffers.h>

#include "storage/codec.h"
#include "storage/merkle.h"
#include "storage/recording_generated.h"

namespace hindcast::storage {
namespace {

constexpr char kSummaryId[] = "HCCS", kStateId[] = "HCCP", kBlobId[] = "HCBL", kEndId[] = "HCEN",
               kSegmentId[] = "HCSG";

Bytes finished(const flatbuffers::FlatBufferBuilder& builder) {
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

template <typename T>
const T& verified(ByteView bytes, const char* id, flatbuffers::uoffset_t max_tables) {
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/8, max_tables);
  if (!verifier.VerifyBuffer<T>(id)) throw StoreError("malformed FlatBuffer");
  return *flatbuffers::GetRoot<T>(bytes.data());
}

format::Hash to_hash(const Root& root) { return {get_be64(as_text(root), 0), get_be64(as_text(root), 8)}; }
Root from_hash(const format::Hash* hash) {
  if (hash == nullptr) throw StoreError("a hash is missing");
  return to_root(hash->high(), hash->low());
}

}  // namespace

Bytes encode(const StoredSummary& summary) {
  flatbuffers::FlatBufferBuilder builder;
  const format::Hash root = to_hash(summary.info.root);
  builder.Finish(
      format::CreateCheckpointSummary(builder, summary.ordinal, summary.info.icount, summary.info.seq, &root),
      kSummaryId);
  return finished(builder);
}

StoredSummary decode_summary(ByteView bytes) {
  const auto& table = verified<format::CheckpointSummary>(bytes, kSummaryId, 4);
  StoredSummary summary;
  summary.ordinal = table.ordinal();
  summary.info = {table.icount(), table.seq(), from_hash(table.root())};
  return summary;
}

Bytes encode(ByteView machine_state, const std::vector<StoredBlock>& blocks) {
  flatbuffers::FlatBufferBuilder builder(machine_state.size() + 1024);
  std::vector<flatbuffers::Offset<format::Block>> offsets;
  for (const StoredBlock& block : blocks) {
    const auto name = builder.CreateString(block.name);
    const format::PageRef tree(block.tree.high, block.tree.low, block.tree.index);
    offsets.push_back(
        format::CreateBlock(builder, name, block.base, block.size, block.zero ? nullptr : &tree));
  }
  const auto list = builder.CreateVector(offsets);
  const auto state = builder.CreateVector(machine_state.data(), machine_state.size());
  builder.Finish(format::CreateCheckpointState(builder, state, list), kStateId);
  return finished(builder);
}

StoredState decode_state(ByteView bytes) {
  const auto& table = verified<format::CheckpointState>(bytes, kStateId, kMaxBlocks + 4);
  StoredState state;
  if (table.machine_state() != nullptr) {
    state.machine_state.assign(table.machine_state()->begin(), table.machine_state()->end());
  }
  if (table.blocks() == nullptr) return state;
  if (table.blocks()->size() > kMaxBlocks) throw StoreError("too many blocks");
  for (const format::Block* block : *table.blocks()) {
    StoredBlock stored{block->name()->str(), block->base(), block->size(), block->tree() == nullptr, {}};
    if (!stored.zero) stored.tree = {block->tree()->low(), block->tree()->high(), block->tree()->index()};
    state.blocks.push_back(std::move(stored));
  }
  return state;
}

Bytes encode(const StoredBlob& blob) {
  flatbuffers::FlatBufferBuilder builder;
  const format::Hash hash(blob.hash.high, blob.hash.low);
  builder.Finish(format::CreateBlobHeader(builder, blob.size, &hash), kBlobId);
  return finished(builder);
}

StoredBlob decode_blob(ByteView bytes) {
  const auto& table = verified<format::BlobHeader>(bytes, kBlobId, 4);
  if (table.hash() == nullptr) throw StoreError("a hash is missing");
  return {table.size(), PageId{table.hash()->low(), table.hash()->high(), 0}};
}

Bytes encode(const StoredSegment& segment) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(format::CreateSegmentHead(builder, segment.number, segment.from_start, segment.icount,
                                           segment.seq, segment.ordinal, segment.chunk, segment.chain,
                                           segment.built, segment.built_chain),
                 kSegmentId);
  return finished(builder);
}

StoredSegment decode_segment(ByteView bytes) {
  const auto& table = verified<format::SegmentHead>(bytes, kSegmentId, 4);
  return {table.number(), table.from_start(), table.icount(), table.seq(),        table.ordinal(),
          table.chunk(),  table.chain(),      table.built(),  table.built_chain()};
}

Bytes encode(const StoredEnd& end) {
  flatbuffers::FlatBufferBuilder builder;
  const format::Hash state = to_hash(end.end.state_root), output = to_hash(end.end.output_hash);
  builder.Finish(
      format::CreateEnd(builder, end.end.icount, end.end.reason, end.end.exit_code, &state, &output,
                        end.end.output_bytes, end.chunks, end.chain, end.checkpoints, end.blobs),
      kEndId);
  return finished(builder);
}

StoredEnd decode_end(ByteView bytes) {
  const auto& table = verified<format::End>(bytes, kEndId, 4);
  StoredEnd end;
  end.end = {table.icount(),
             table.reason(),
             table.exit_code(),
             from_hash(table.state_root()),
             from_hash(table.output_hash()),
             table.output_bytes()};
  end.chunks = table.chunks();
  end.chain = table.chain();
  end.checkpoints = table.checkpoints();
  end.blobs = table.blobs();
  return end;
}

std::string summary_key(u64 icount) {
  std::string key(1, kSummaryMark);
  put_be64(key, icount);
  return key;
}

std::string state_key(u64 icount) {
  std::string key(1, kStateMark);
  put_be64(key, icount);
  return key;
}

std::string added_summary_key(u64 icount) {
  std::string key = summary_key(icount);
  key[0] = kAddedSummaryMark;
  return key;
}

std::string added_state_key(u64 icount) {
  std::string key = state_key(icount);
  key[0] = kAddedStateMark;
  return key;
}

std::string page_key(const PageId& id) {
  std::string key;
  put_be64(key, id.high);
  put_be64(key, id.low);
  put_be32(key, id.index);
  return key;
}

PageId parse_page_key(std::string_view key) {
  if (key.size() != 20) throw StoreError("malformed page key");
  return {get_be64(key, 8), get_be64(key, 0), get_be32(key, 16)};
}

std::string blob_key(std::string_view name) { return std::string(1, kBlobMark).append(name); }

std::string blob_piece_key(std::string_view name, u32 piece) {
  std::string key(1, kBlobPieceMark);
  key += name;
  key.push_back('\0');
  put_be32(key, piece);
  return key;
}

std::string encode_page(ByteView content) {
  std::string value;
  value.reserve(content.size() + 4);
  put_le32(value, static_cast<u32>(content.size()));
  pack(value, content);
  return value;
}

Bytes decode_page(const PageId& id, std::string_view value) {
  if (value.size() < 4) throw StoreError("value too short");
  Bytes content = unpack(value.substr(4), get_le32(value, 0), kMaxPage);
  const PageId found = page_id(content);
  if (found.high != id.high || found.low != id.low) throw StoreError("content differs from its hash");
  return content;
}

}  // namespace hindcast::storage
