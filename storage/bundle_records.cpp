#include "storage/bundle_records.h"

#include <flatbuffers/flatbuffers.h>

#include <algorithm>

#include "storage/bundle_generated.h"
#include "storage/codec.h"
#include "storage/merkle.h"
#include "storage/records.h"

namespace hindcast::storage {
namespace {

constexpr char kHeadId[] = "HXHD", kFileId[] = "HXFI", kPagesId[] = "HXPG", kCheckpointId[] = "HXCP",
               kTailId[] = "HXTL";

Bytes finished(const flatbuffers::FlatBufferBuilder& builder) {
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

template <typename T>
const T& verified(ByteView bytes, const char* id, flatbuffers::uoffset_t max_tables) {
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/8, max_tables);
  if (!verifier.VerifyBuffer<T>(id)) throw StoreError("malformed FlatBuffer");
  return *flatbuffers::GetRoot<T>(bytes.data());
}

bundle::Hash to_hash(const Root& root) { return {get_be64(as_text(root), 0), get_be64(as_text(root), 8)}; }
Root from_hash(const bundle::Hash* hash) {
  if (hash == nullptr) throw StoreError("a hash is missing");
  return to_root(hash->high(), hash->low());
}

Bytes to_bytes(const flatbuffers::Vector<u8>* vector) {
  return vector == nullptr ? Bytes() : Bytes(vector->begin(), vector->end());
}

}  // namespace

Bytes encode(const BundleHead& head) {
  flatbuffers::FlatBufferBuilder builder(head.meta.size() + 256);
  const auto meta = builder.CreateVector(head.meta);
  builder.Finish(bundle::CreateHead(builder, meta, head.from_start, head.begin_icount, head.begin_seq),
                 kHeadId);
  return finished(builder);
}

BundleHead decode_bundle_head(ByteView bytes) {
  const auto& table = verified<bundle::Head>(bytes, kHeadId, 4);
  return {to_bytes(table.meta()), table.from_start(), table.begin_icount(), table.begin_seq()};
}

Bytes encode(const BundleFile& file) {
  flatbuffers::FlatBufferBuilder builder(file.bytes.size() + 256);
  const auto name = builder.CreateString(file.name);
  const auto bytes = builder.CreateVector(file.bytes);
  builder.Finish(bundle::CreateFilePiece(builder, name, file.size, file.offset, bytes), kFileId);
  return finished(builder);
}

BundleFile decode_bundle_file(ByteView bytes) {
  const auto& table = verified<bundle::FilePiece>(bytes, kFileId, 4);
  return {table.name()->str(), table.size(), table.offset(), to_bytes(table.bytes())};
}

Bytes encode_pages(const std::vector<Bytes>& pages) {
  Bytes content;
  std::vector<u32> sizes;
  for (const Bytes& page : pages) {
    content.insert(content.end(), page.begin(), page.end());
    sizes.push_back(static_cast<u32>(page.size()));
  }
  if (std::all_of(sizes.begin(), sizes.end(), [](u32 size) { return size == kPageSize; })) sizes.clear();
  flatbuffers::FlatBufferBuilder builder(content.size() + 4 * sizes.size() + 256);
  const auto bytes = builder.CreateVector(content);
  const auto list = sizes.empty() ? 0 : builder.CreateVector(sizes);
  builder.Finish(bundle::CreatePages(builder, list, bytes), kPagesId);
  return finished(builder);
}

std::vector<Bytes> decode_bundle_pages(ByteView bytes) {
  const auto& table = verified<bundle::Pages>(bytes, kPagesId, 4);
  const ByteView content =
      table.content() == nullptr ? ByteView() : ByteView(table.content()->data(), table.content()->size());
  std::vector<Bytes> pages;
  std::size_t at = 0;
  const auto take = [&](u64 size) {
    if (size == 0 || size > kPageSize || size > content.size() - at)
      throw StoreError("a page has no such size");
    const ByteView part = content.subspan(at, size);
    pages.emplace_back(part.begin(), part.end());
    at += size;
  };
  if (table.sizes() != nullptr) {
    for (const u32 size : *table.sizes()) take(size);
  } else {
    while (at < content.size()) take(kPageSize);
  }
  if (at != content.size()) throw StoreError("there is more in it than its pages");
  return pages;
}

Bytes encode(const BundleCheckpoint& checkpoint) {
  flatbuffers::FlatBufferBuilder builder(checkpoint.machine_state.size() + 1024);
  std::vector<flatbuffers::Offset<bundle::Block>> offsets;
  for (const BundleBlock& block : checkpoint.blocks) {
    const auto name = builder.CreateString(block.name);
    const auto changes = builder.CreateVector(block.changes);
    offsets.push_back(bundle::CreateBlock(builder, name, block.base, block.size, changes));
  }
  const auto blocks = builder.CreateVector(offsets);
  const auto state = builder.CreateVector(checkpoint.machine_state);
  const bundle::Hash root = to_hash(checkpoint.info.root);
  builder.Finish(
      bundle::CreateCheckpoint(builder, checkpoint.info.icount, checkpoint.info.seq, &root, state, blocks),
      kCheckpointId);
  return finished(builder);
}

BundleCheckpoint decode_bundle_checkpoint(ByteView bytes) {
  const auto& table = verified<bundle::Checkpoint>(bytes, kCheckpointId, kMaxBlocks + 4);
  BundleCheckpoint out;
  out.info = {table.icount(), table.seq(), from_hash(table.root())};
  out.machine_state = to_bytes(table.machine_state());
  if (table.blocks() == nullptr) return out;
  if (table.blocks()->size() > kMaxBlocks) throw StoreError("too many blocks");
  for (const bundle::Block* block : *table.blocks()) {
    if (block->size() > kMaxBlockSize) throw StoreError("a block is impossibly large");
    out.blocks.push_back({block->name()->str(), block->base(), block->size(), to_bytes(block->changes())});
  }
  return out;
}

Bytes encode(const BundleTail& tail) {
  flatbuffers::FlatBufferBuilder builder;
  flatbuffers::Offset<bundle::End> end;
  if (tail.end) {
    const bundle::Hash state = to_hash(tail.end->state_root), output = to_hash(tail.end->output_hash);
    end = bundle::CreateEnd(builder, tail.end->icount, tail.end->reason, tail.end->exit_code, &state, &output,
                            tail.end->output_bytes);
  }
  builder.Finish(
      bundle::CreateTail(builder, tail.covered, end, tail.files, tail.pages, tail.events, tail.checkpoints),
      kTailId);
  return finished(builder);
}

BundleTail decode_bundle_tail(ByteView bytes) {
  const auto& table = verified<bundle::Tail>(bytes, kTailId, 4);
  BundleTail tail;
  tail.covered = table.covered_icount();
  if (const bundle::End* end = table.end()) {
    tail.end = {end->icount(),
                end->reason(),
                end->exit_code(),
                from_hash(end->state_root()),
                from_hash(end->output_hash()),
                end->output_bytes()};
  }
  tail.files = table.files();
  tail.pages = table.pages();
  tail.events = table.events();
  tail.checkpoints = table.checkpoints();
  return tail;
}

Bytes encode_changes(const std::vector<PageChange>& changes, u64& last) {
  Bytes out;
  u64 next = 0;
  for (const PageChange& change : changes) {
    put_leb(out, change.page - next);
    next = change.page + 1;
    if (!change.content) {
      put_leb(out, 0);
      continue;
    }
    const auto distance = static_cast<std::int64_t>(*change.content - (last + 1));
    put_leb(out, 1 + (static_cast<u64>(distance) << 1 ^ static_cast<u64>(distance >> 63)));
    last = *change.content;
  }
  return out;
}

std::vector<PageChange> decode_changes(ByteView bytes, u64 contents, u64& last) {
  std::vector<PageChange> changes;
  u64 next = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto gap = get_leb(bytes, at), code = get_leb(bytes, at);
    if (!gap || !code || *gap >= kMaxBlockSize - next) throw StoreError("its list of pages is damaged");
    PageChange change{next + *gap, std::nullopt};
    next = change.page + 1;
    if (*code != 0) {
      const u64 zigzag = *code - 1;
      const u64 content = last + 1 + (zigzag >> 1 ^ (~(zigzag & 1) + 1));
      if (content >= contents) throw StoreError("it names a page that the file does not have");
      change.content = last = content;
    }
    changes.push_back(change);
  }
  return changes;
}

}  // namespace hindcast::storage
