// State hashes: guest memory as Merkle trees over page hashes. Format and definition:
// docs/recording-format.md, "Roots". The stored trees of checkpoints have the same shape, so a root can be
// recomputed from what a checkpoint lists.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/store_types.h"

namespace hindcast::storage {

/// Children per node.
inline constexpr unsigned kTreeFanOut = 32;

/// The id under which a page is stored if no other content has the same hash (index 0).
PageId page_id(ByteView content);
Root to_root(u64 high, u64 low);
inline Root to_root(const PageId& id) { return to_root(id.high, id.low); }

/// Levels of nodes above the pages of a block: 1 for up to 32 pages, 2 for up to 1024, ...
unsigned tree_height(u64 pages);
/// Pages of a block of `size` bytes, the last one possibly shorter.
inline u64 pages_of(u64 size) { return size / kPageSize + (size % kPageSize != 0); }
/// Bytes of page `page` of a block of `size` bytes.
inline std::size_t page_bytes(u64 size, u64 page) {
  const u64 start = page * kPageSize;
  return size - start < kPageSize ? static_cast<std::size_t>(size - start) : kPageSize;
}

/// A child of a node: its slot (0..31) and the id of its content.
struct TreeChild {
  u8 slot = 0;
  PageId id;
  bool operator==(const TreeChild&) const = default;
};
/// The bytes of a node; what is hashed and what is stored. `level` is 1 above the pages. Children ascend by
/// slot.
std::string encode_node(unsigned level, const std::vector<TreeChild>& children);
/// Throws StoreError unless `bytes` is a well-formed node of `level`.
std::vector<TreeChild> decode_node(unsigned level, ByteView bytes);

/// Pages of a block, or nodes of one level of its tree: (number, id), strictly ascending.
using NodeList = std::vector<std::pair<u64, PageId>>;
/// The pages of a block that its tree holds: those listed, without all-zero ones. Throws StoreError if the
/// list is not ascending or leaves the block.
NodeList tree_pages(const CheckpointBlock& block);
/// One level up: groups `below` by parent and asks `make` for the id of each parent node.
NodeList fold_level(
    const NodeList& below,
    const std::function<PageId(u64 node, std::span<const NodeList::value_type> children)>& make);
/// The children of node `node` as encode_node() takes them.
std::vector<TreeChild> tree_children(u64 node, std::span<const NodeList::value_type> below);

/// The tree of one block, kept up to date page by page; root() hashes only what changed since the last call.
/// Memory: 16 bytes per page of the block. Starts all zero.
class PageTree {
 public:
  /// `size`: bytes of the block.
  explicit PageTree(u64 size);
  /// Takes the hash of the page's content; all-zero content may be given as such or cleared.
  void set(u64 page, const PageId& id);
  void set(u64 page, ByteView content) { set(page, page_id(content)); }
  void clear(u64 page);
  /// All zero bytes if the block is all zero.
  Root root();

 private:
  struct Hash {
    u64 high = 0, low = 0;
    bool zero() const { return high == 0 && low == 0; }
  };
  void put(u64 page, Hash hash);

  u64 size_, pages_;
  Hash zero_page_, zero_last_;
  std::vector<std::vector<Hash>> levels_;  // [0]: pages; back(): the root alone
  std::vector<std::vector<u64>> dirty_;    // per node level, from 1: nodes to hash again, in order of marking
  std::vector<std::vector<bool>> marked_;
};

/// A block's name, place and tree in one hash.
Root block_root(std::string_view name, u64 base, u64 size, const Root& tree);
/// The same from a list of pages (in time and memory of the list, whatever the block's size). Throws as
/// tree_pages().
Root block_root(const CheckpointBlock& block);
/// The state hash: machine state and all blocks in the machine's order. `block_roots`: from block_root().
Root checkpoint_root(ByteView machine_state, const std::vector<Root>& block_roots);
Root checkpoint_root(ByteView machine_state, const std::vector<CheckpointBlock>& blocks);

}  // namespace hindcast::storage
