// The blocks that run most. Options: inline (counters instead of callbacks), limit=N (how many are listed;
// 20).
#include <algorithm>
#include <map>
#include <memory>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

/// Blocks that begin at the same address and have as many instructions are one.
struct Block {
  uint64_t pc, insns, translations = 0, callbacks = 0;
  qemu_plugin_u64 counter{};
  uint64_t executions() const {
    return callbacks + (counter.score != nullptr ? qemu_plugin_u64_sum(counter) : 0);
  }
};

bool use_inline = false;
uint64_t limit = 20;
std::map<std::pair<uint64_t, uint64_t>, std::unique_ptr<Block>> blocks;

// One scoreboard has room for many blocks' counters.
constexpr std::size_t kPerScoreboard = 1024;
qemu_plugin_scoreboard* scoreboard;
std::size_t used = kPerScoreboard;

qemu_plugin_u64 new_counter() {
  if (used == kPerScoreboard) {
    scoreboard = qemu_plugin_scoreboard_new(kPerScoreboard * sizeof(uint64_t));
    used = 0;
  }
  return {scoreboard, used++ * sizeof(uint64_t)};
}

void executed(unsigned, void* block) { ++static_cast<Block*>(block)->callbacks; }

void translated(qemu_plugin_tb* tb, void*) {
  const uint64_t pc = qemu_plugin_tb_vaddr(tb), insns = qemu_plugin_tb_n_insns(tb);
  auto& block = blocks[{pc, insns}];
  if (!block) {
    block = std::make_unique<Block>();
    block->pc = pc;
    block->insns = insns;
    if (use_inline) block->counter = new_counter();
  }
  ++block->translations;
  if (use_inline)
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, block->counter, 1);
  else
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block.get());
}

void report(void*) {
  std::vector<const Block*> sorted;
  for (const auto& [key, block] : blocks) sorted.push_back(block.get());
  // Stable, so that equals stay in order of address.
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Block* a, const Block* b) { return a->executions() > b->executions(); });
  std::string out =
      plugin::format("collected %zu entries in the hash table\npc, tcount, icount, ecount\n", sorted.size());
  for (std::size_t i = 0; i < sorted.size() && i < limit; ++i)
    out += plugin::format("0x%016" PRIx64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "\n", sorted[i]->pc,
                          sorted[i]->translations, sorted[i]->insns, sorted[i]->executions());
  plugin::print(out);
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().flag("inline", use_inline).number("limit", limit).parse(argc, argv)) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}
