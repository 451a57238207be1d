#include "storage/merkle.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "storage/codec.h"

namespace hindcast::storage {
namespace {

constexpr char kNodeMark = 'N', kBlockMark = 'B', kStateMark = 'S';
constexpr char kIndexFlag = static_cast<char>(0x80);  // in the level byte: indices follow the hashes

PageId hash128(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return PageId{hash.low64, hash.high64, 0};
}

PageId zero_id(std::size_t size) {
  const Bytes zeros(size);
  return page_id(zeros);
}

void put_root(std::string& out, const Root& root) { out += as_text(root); }

}  // namespace

PageId page_id(ByteView content) { return hash128(as_text(content)); }

Root to_root(u64 high, u64 low) {
  std::string text;
  put_be64(text, high);
  put_be64(text, low);
  Root root;
  std::copy(text.begin(), text.end(), root.begin());
  return root;
}

unsigned tree_height(u64 pages) {
  unsigned height = 1;
  for (u64 nodes = (pages + kTreeFanOut - 1) / kTreeFanOut; nodes > 1;
       nodes = (nodes + kTreeFanOut - 1) / kTreeFanOut) {
    height++;
  }
  return height;
}

std::string encode_node(unsigned level, const std::vector<TreeChild>& children) {
  std::string out;
  out.reserve(6 + 16 * children.size());
  const bool indices =
      std::any_of(children.begin(), children.end(), [](const auto& c) { return c.id.index != 0; });
  u32 present = 0;
  for (const TreeChild& child : children) present |= u32{1} << child.slot;
  out.push_back(kNodeMark);
  out.push_back(static_cast<char>(static_cast<char>(level) | (indices ? kIndexFlag : 0)));
  put_le32(out, present);
  for (const TreeChild& child : children) {
    put_be64(out, child.id.high);
    put_be64(out, child.id.low);
  }
  if (indices) {
    for (const TreeChild& child : children) put_le32(out, child.id.index);
  }
  return out;
}

std::vector<TreeChild> decode_node(unsigned level, ByteView bytes) {
  const std::string_view text = as_text(bytes);
  if (text.size() < 6 || text[0] != kNodeMark || (static_cast<u8>(text[1]) & 0x7fu) != level) {
    throw StoreError("not a tree node of its level");
  }
  const bool indices = (text[1] & kIndexFlag) != 0;
  const u32 present = get_le32(text, 2);
  std::vector<TreeChild> children;
  std::size_t at = 6;
  for (u8 slot = 0; slot < kTreeFanOut; slot++) {
    if ((present >> slot & 1) == 0) continue;
    children.push_back({slot, PageId{get_be64(text, at + 8), get_be64(text, at), 0}});
    at += 16;
  }
  if (indices) {
    for (TreeChild& child : children) {
      child.id.index = get_le32(text, at);
      at += 4;
    }
  }
  if (at != text.size() || children.empty()) throw StoreError("malformed tree node");
  return children;
}

NodeList tree_pages(const CheckpointBlock& block) {
  const u64 pages = pages_of(block.size);
  const PageId zero = zero_id(kPageSize);
  const PageId zero_last = pages == 0 ? zero : zero_id(page_bytes(block.size, pages - 1));
  NodeList list;
  list.reserve(block.pages.size());
  const u64* before = nullptr;
  for (const auto& [page, id] : block.pages) {
    if (page >= pages)
      throw StoreError(fmt::format("page {} is outside its block of {} bytes", page, block.size));
    if (before != nullptr && page <= *before) throw StoreError("pages of a block are not in ascending order");
    before = &page;
    const PageId& none = page + 1 == pages ? zero_last : zero;
    if (id.high != none.high || id.low != none.low) list.emplace_back(page, id);
  }
  return list;
}

std::vector<TreeChild> tree_children(u64 node, std::span<const NodeList::value_type> below) {
  std::vector<TreeChild> children;
  for (const auto& [number, id] : below)
    children.push_back({static_cast<u8>(number - node * kTreeFanOut), id});
  return children;
}

NodeList fold_level(
    const NodeList& below,
    const std::function<PageId(u64 node, std::span<const NodeList::value_type> children)>& make) {
  NodeList nodes;
  for (std::size_t first = 0; first < below.size();) {
    const u64 node = below[first].first / kTreeFanOut;
    std::size_t last = first;
    while (last < below.size() && below[last].first / kTreeFanOut == node) last++;
    nodes.emplace_back(node, make(node, std::span(below).subspan(first, last - first)));
    first = last;
  }
  return nodes;
}

PageTree::PageTree(u64 size) : size_(size), pages_(pages_of(size)) {
  const PageId zero = zero_id(kPageSize);
  zero_page_ = {zero.high, zero.low};
  const PageId last = zero_id(pages_ == 0 ? 0 : page_bytes(size, pages_ - 1));
  zero_last_ = {last.high, last.low};
  levels_.emplace_back(pages_);
  u64 nodes = pages_;
  for (unsigned level = 1; level <= tree_height(pages_); level++) {
    nodes = (nodes + kTreeFanOut - 1) / kTreeFanOut;
    levels_.emplace_back(std::max<u64>(nodes, 1));
    dirty_.emplace_back();
    marked_.emplace_back(std::max<u64>(nodes, 1));
  }
}

void PageTree::put(u64 page, Hash hash) {
  if (page >= pages_) throw StoreError(fmt::format("page {} is outside its block of {} bytes", page, size_));
  Hash& old = levels_[0][page];
  if (old.high == hash.high && old.low == hash.low) return;
  old = hash;
  const u64 node = page / kTreeFanOut;
  if (!marked_[0][node]) {
    marked_[0][node] = true;
    dirty_[0].push_back(node);
  }
}

void PageTree::set(u64 page, const PageId& id) {
  const Hash& zero = page + 1 == pages_ ? zero_last_ : zero_page_;
  put(page, id.high == zero.high && id.low == zero.low ? Hash{} : Hash{id.high, id.low});
}

void PageTree::clear(u64 page) { put(page, Hash{}); }

Root PageTree::root() {
  std::vector<TreeChild> children;
  for (std::size_t level = 1; level < levels_.size(); level++) {
    const std::vector<Hash>& below = levels_[level - 1];
    for (const u64 node : dirty_[level - 1]) {
      marked_[level - 1][node] = false;
      children.clear();
      const u64 first = node * kTreeFanOut;
      for (u64 i = first; i < std::min<u64>(first + kTreeFanOut, below.size()); i++) {
        if (!below[i].zero())
          children.push_back({static_cast<u8>(i - first), PageId{below[i].low, below[i].high, 0}});
      }
      Hash hash;
      if (!children.empty()) {
        const PageId id = hash128(encode_node(static_cast<unsigned>(level), children));
        hash = {id.high, id.low};
      }
      levels_[level][node] = hash;
      if (level < dirty_.size()) {
        const u64 parent = node / kTreeFanOut;
        if (!marked_[level][parent]) {
          marked_[level][parent] = true;
          dirty_[level].push_back(parent);
        }
      }
    }
    dirty_[level - 1].clear();
  }
  return to_root(levels_.back()[0].high, levels_.back()[0].low);
}

Root block_root(std::string_view name, u64 base, u64 size, const Root& tree) {
  std::string text(1, kBlockMark);
  put_le64(text, base);
  put_le64(text, size);
  put_root(text, tree);
  text += name;
  return to_root(hash128(text));
}

Root block_root(const CheckpointBlock& block) {
  NodeList nodes = tree_pages(block);
  for (auto& [page, id] : nodes)
    id.index = 0;  // roots are over contents' hashes, not over how they are stored
  for (unsigned level = 1; level <= tree_height(pages_of(block.size)); level++) {
    nodes = fold_level(nodes, [&](u64 node, std::span<const NodeList::value_type> children) {
      return hash128(encode_node(level, tree_children(node, children)));
    });
  }
  const Root tree = nodes.empty() ? Root{} : to_root(nodes[0].second);
  return block_root(block.name, block.base, block.size, tree);
}

Root checkpoint_root(ByteView machine_state, const std::vector<Root>& block_roots) {
  std::string text(1, kStateMark);
  put_root(text, to_root(page_id(machine_state)));
  for (const Root& root : block_roots) put_root(text, root);
  return to_root(hash128(text));
}

Root checkpoint_root(ByteView machine_state, const std::vector<CheckpointBlock>& blocks) {
  std::vector<Root> roots;
  for (const CheckpointBlock& block : blocks) roots.push_back(block_root(block));
  return checkpoint_root(machine_state, roots);
}

}  // namespace hindcast::storage
