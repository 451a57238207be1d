// State hashes: the tree kept page by page, the list of a checkpoint, and the stored tree agree; what is
// shared is stored once.
#include <algorithm>

#include "storage/codec.h"
#include "storage/records.h"
#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

std::string hex(const Root& root) {
  std::string text;
  for (const u8 byte : root) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST(Merkle, HeightFollowsSize) {
  EXPECT_EQ(tree_height(0), 1u);
  EXPECT_EQ(tree_height(1), 1u);
  EXPECT_EQ(tree_height(32), 1u);
  EXPECT_EQ(tree_height(33), 2u);
  EXPECT_EQ(tree_height(1024), 2u);
  EXPECT_EQ(tree_height(1025), 3u);
  EXPECT_EQ(pages_of(1), 1u);
  EXPECT_EQ(pages_of(4096), 1u);
  EXPECT_EQ(pages_of(4097), 2u);
  EXPECT_EQ(page_bytes(4097, 1), 1u);
}

/// The definition must never change unnoticed: recordings carry these values.
TEST(Merkle, KnownRoots) {
  CheckpointBlock block{"ram", 0x80000000, 100 * kPageSize, {}};
  EXPECT_EQ(hex(block_root(block)), hex(block_root("ram", 0x80000000, 100 * kPageSize, Root{})));
  for (const u64 page : {0, 31, 32, 99})
    block.pages.emplace_back(page, page_id(Bytes(kPageSize, static_cast<u8>(page + 1))));
  EXPECT_EQ(hex(block_root(block)), "7551337f232b76b24d9e62265be02b61");
  EXPECT_EQ(hex(checkpoint_root(Bytes{1, 2, 3}, std::vector{block})), "f843221ec037579cb8b676fd77c3f37d");
}

TEST(Merkle, TreeAndListAgree) {
  std::mt19937_64 random(1);
  for (const u64 size :
       {u64{1}, u64{4096}, u64{5000}, u64{32 * 4096}, u64{33 * 4096 - 1}, u64{3000 * 4096 + 17}}) {
    PageTree tree(size);
    std::map<u64, Bytes> contents;
    for (unsigned round = 0; round < 40; round++) {
      for (unsigned i = random() % 10; i > 0; i--) {
        const u64 page = random() % pages_of(size);
        const auto kind = random() % 4;
        contents[page] =
            kind == 0 ? Bytes(page_bytes(size, page)) : random_bytes(random, page_bytes(size, page), 3);
        if (kind == 0 && random() % 2 == 0) {
          tree.clear(page);
        } else {
          tree.set(page, contents[page]);
        }
      }
      CheckpointBlock block{"b", 0, size, {}};
      for (const auto& [page, content] : contents) block.pages.emplace_back(page, page_id(content));
      ASSERT_EQ(block_root(block), block_root("b", 0, size, tree.root())) << size << " round " << round;
    }
  }
}

TEST(Merkle, EverythingCounts) {
  const CheckpointBlock block{"ram", 16, 8192, {{1, page_id(Bytes(kPageSize, 1))}}};
  std::vector<CheckpointBlock> changed(5, block);
  changed[0].name = "rom";
  changed[1].base = 17;
  changed[2].size = 8193;
  changed[3].pages[0].first = 0;
  changed[4].pages[0].second = page_id(Bytes(kPageSize, 2));
  for (const auto& other : changed) EXPECT_NE(block_root(other), block_root(block));
  const std::vector<CheckpointBlock> both = {block, changed[0]}, turned = {changed[0], block};
  EXPECT_NE(checkpoint_root({}, both), checkpoint_root({}, turned));
  EXPECT_NE(checkpoint_root({}, both), checkpoint_root(Bytes{0}, both));
}

TEST(Merkle, BadListsAreRefused) {
  const PageId id = page_id(Bytes(kPageSize, 1));
  EXPECT_THROW(block_root({"b", 0, 8192, {{2, id}}}), StoreError);
  EXPECT_THROW(block_root({"b", 0, 8192, {{1, id}, {0, id}}}), StoreError);
  EXPECT_THROW(block_root({"b", 0, 8192, {{1, id}, {1, id}}}), StoreError);
  EXPECT_THROW(PageTree(8192).set(2, id), StoreError);
}

TEST(Merkle, ZeroPagesMayBeListed) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {});
  Memory memory("ram", 0, 100 * kPageSize + 5);
  memory.bytes()[4096] = 1;
  CheckpointRecord record;
  record.icount = 1;
  record.blocks.push_back(memory.put(*writer, nullptr, /*list_zero=*/true));
  EXPECT_EQ(record.blocks[0].pages.size(), 101u);
  record.root = checkpoint_root({}, record.blocks);
  writer->put_checkpoint(record);
  const auto short_list = memory.put(*writer, nullptr);
  EXPECT_EQ(short_list.pages.size(), 1u);
  EXPECT_EQ(block_root(short_list), block_root(record.blocks[0]));
  writer->close({.icount = 1});
  const auto reader = Reader::open(folder / "rec");
  EXPECT_EQ(reader->checkpoint(1).blocks[0].pages, short_list.pages);
  EXPECT_TRUE(reader->verify([](const std::string& line) { ADD_FAILURE() << line; }));
}

TEST(Merkle, UnchangedPartsCostNothing) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {});
  std::mt19937_64 random(6);
  Memory memory("ram", 0, 4096 * kPageSize);
  memory.bytes() = random_bytes(random, memory.bytes().size());
  CheckpointRecord record;
  record.machine_state = Bytes(100);
  const auto checkpoint = [&](u64 icount) {
    const u64 before = writer->total_bytes();
    record.icount = icount;
    record.blocks = {memory.put(*writer, nullptr)};
    record.root = checkpoint_root(record.machine_state, record.blocks);
    writer->put_checkpoint(record);
    return writer->total_bytes() - before;
  };
  EXPECT_GT(checkpoint(1), u64{16} << 20);
  EXPECT_LT(checkpoint(2), 600u);
  memory.bytes()[1234567] ^= 1;
  EXPECT_LT(checkpoint(3), 4096u + 3 * 600 + 600);
  memory.bytes()[1234567] ^= 1;
  EXPECT_LT(checkpoint(4), 600u);  // back to what was stored before
  writer->close({.icount = 5});
  const auto reader = Reader::open(folder / "rec");
  EXPECT_EQ(reader->stats().checkpoints, 4u);
  EXPECT_EQ(reader->stats().pages, 4096u + 1 + (128 + 4 + 1) + 3);
  EXPECT_EQ(reader->checkpoint(4).blocks[0].pages, reader->checkpoint(1).blocks[0].pages);
}

TEST(Merkle, NodesAreChecked) {
  std::vector<TreeChild> children;
  for (u8 slot = 0; slot < 32; slot += 3) children.push_back({slot, page_id(Bytes{slot})});
  for (const u32 index : {0u, 7u}) {
    children[2].id.index = index;
    const std::string node = encode_node(2, children);
    EXPECT_EQ(decode_node(2, as_bytes(node)), children);
    EXPECT_THROW(decode_node(1, as_bytes(node)), StoreError);
    for (std::size_t size = 0; size < node.size(); size++) {
      EXPECT_THROW(decode_node(2, as_bytes(std::string_view(node).substr(0, size))), StoreError);
    }
    EXPECT_THROW(decode_node(2, as_bytes(node + "x")), StoreError);
  }
  EXPECT_THROW(decode_node(1, as_bytes(encode_node(1, {}))), StoreError);
}

}  // namespace
}  // namespace hindcast::storage::test
