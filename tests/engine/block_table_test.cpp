#include "engine/jit/block_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>

namespace hindcast::jit {
namespace {

/// Beside a map, with keys that are often the same and often begin at the same place of the table.
TEST(BlockTable, IsAMap) {
  std::mt19937_64 random(7);
  for (const u64 pages : {1, 3, 200}) {
    BlockTable table;
    std::map<std::pair<u64, u64>, std::pair<u32, bool>> expected;
    for (u32 step = 0; step < 40'000; ++step) {
      const CodeKey key{random() % 64 * 2, random() % pages << 12};
      const auto at = expected.find({key.pc, key.pa});
      const auto found = table.find(key);
      ASSERT_EQ(found.block, at == expected.end() ? BlockTable::kNone : at->second.first) << step;
      ASSERT_EQ(found.reaches_on, at != expected.end() && at->second.second) << step;
      switch (random() % 3) {
        case 0:
          table.erase(key);
          if (at != expected.end()) expected.erase(at);
          break;
        default:
          table.insert(key, step, step % 5 == 0);
          expected[{key.pc, key.pa}] = {step, step % 5 == 0};
          break;
      }
      if (random() % 20'000 != 0) continue;
      table.clear();
      expected.clear();
    }
  }
}

}  // namespace
}  // namespace hindcast::jit
