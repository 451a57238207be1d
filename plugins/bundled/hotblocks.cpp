// The blocks that run most. Options: inline (counters instead of callbacks), limit=N (how many are listed;
// 20).
#include <algorithm>
#include <array>
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
std::vector<qemu_plugin_scoreboard*> scoreboards;
std::size_t used = kPerScoreboard;  // of the last

qemu_plugin_u64 new_counter() {
  if (used == kPerScoreboard) {
    scoreboards.push_back(qemu_plugin_scoreboard_new(kPerScoreboard * sizeof(uint64_t)));
    used = 0;
  }
  return {scoreboards.back(), used++ * sizeof(uint64_t)};
}

/// What stands at one place: hashes of instructions and where they are in memory, as announced first and
/// last.
struct Place {
  uint64_t first, first_insns, last;
};
/// A context, a pc, and where that is in memory.
using Key = std::array<uint64_t, 3>;
std::map<Key, Place> places;

uint64_t content_of(const qemu_plugin_tb* tb) {
  uint64_t hash = 0;
  for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    const qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    uint64_t bytes[2] = {};
    qemu_plugin_insn_data(insn, bytes, sizeof bytes);
    for (const uint64_t value :
         {reinterpret_cast<uint64_t>(qemu_plugin_insn_haddr(insn)), bytes[0], bytes[1]})
      hash = (hash ^ value) * 0x9e3779b97f4a7c15 ^ hash >> 29;
  }
  return hash;
}

Block& block_of(uint64_t pc, uint64_t insns) {
  auto& block = blocks[{pc, insns}];
  if (!block) {
    block = std::make_unique<Block>();
    block->pc = pc;
    block->insns = insns;
  }
  return *block;
}

void executed(unsigned, void* block) { ++static_cast<Block*>(block)->callbacks; }

void translated(qemu_plugin_tb* tb, void*) {
  const uint64_t pc = qemu_plugin_tb_vaddr(tb), insns = qemu_plugin_tb_n_insns(tb);
  Block& block = block_of(pc, insns);
  if (use_inline && block.counter.score == nullptr) block.counter = new_counter();
  ++block.translations;
  const uint64_t context = hindcast_tb_context != nullptr ? hindcast_tb_context(tb) : 0,
                 content = content_of(tb);
  const auto memory = reinterpret_cast<uint64_t>(qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)));
  places.try_emplace({context, pc, memory}, Place{content, insns, 0}).first->second.last = content;
  if (use_inline)
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, block.counter, 1);
  else
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, &block);
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

void save(GByteArray* out) {
  plugin::Saved saved(out);
  saved.number(blocks.size());
  for (const auto& [key, block] : blocks)
    saved.number(block->pc).number(block->insns).number(block->translations).number(block->executions());
  for (const auto& [key, place] : places)
    saved.number(key[0])
        .number(key[1])
        .number(key[2])
        .number(place.first)
        .number(place.first_insns)
        .number(place.last);
}

/// A block that one process running everything has seen before would not be announced again, unless its bytes
/// are others.
bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (uint64_t left = loaded.number(); left != 0 && loaded.ok(); --left) {
    const uint64_t pc = loaded.number(), insns = loaded.number();
    Block& block = block_of(pc, insns);
    block.translations += loaded.number();
    block.callbacks += loaded.number();
  }
  while (loaded.ok() && !loaded.done()) {
    const uint64_t context = loaded.number(), pc = loaded.number(), memory = loaded.number(),
                   first = loaded.number(), insns = loaded.number();
    const auto [known, is_new] = places.try_emplace({context, pc, memory}, Place{first, insns, 0});
    if (!is_new && known->second.last == first) --block_of(pc, insns).translations;
    known->second.last = loaded.number();
  }
  return loaded.ok();
}

/// All blocks are announced again.
void begin_part() {
  places.clear();
  blocks.clear();
  for (qemu_plugin_scoreboard* scoreboard : scoreboards) qemu_plugin_scoreboard_free(scoreboard);
  scoreboards.clear();
  used = kPerScoreboard;
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().flag("inline", use_inline).number("limit", limit).parse(argc, argv)) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS_ANNOUNCED(nullptr, save, merge, begin_part, true)
