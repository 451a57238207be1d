// Control flow: from which instructions it goes elsewhere, how often, and where to; among them those that are
// left in the middle of a block, by an exception or an interrupt. Options: sort=hottest (by branches taken;
// the default), early (by exits from the middle), exceptions (by the number of destinations), limit=N (nodes
// listed; 10).
#include <algorithm>
#include <map>
#include <set>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Node {
  std::string text;  // what stood there when it was translated first
  const char* symbol = nullptr;
  uint64_t branches = 0, early_exits = 0;
  std::vector<std::pair<uint64_t, uint64_t>> destinations;  // address, times; in the order of the first time
};

/// Of one vCPU, all written by operations in the translated code.
struct State {
  uint64_t last, block_end, after_block;
};

enum class SortBy { Branches, EarlyExits, Destinations } sort_by = SortBy::Branches;
uint64_t limit = 10;
std::set<std::string> kept_names;  // of functions, from other processes
std::map<uint64_t, Node> nodes;    // every instruction translated
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 last, block_end, after_block;
uint64_t first = ~uint64_t{0};  // block of all, of vCPU 0

void add_destination(Node& node, uint64_t to, uint64_t more) {
  for (auto& [address, times] : node.destinations)
    if (address == to) return void(times += more);
  node.destinations.emplace_back(to, more);
}

/// A block begins where the last one does not lead by itself.
void arrived(unsigned vcpu, void* data) {
  const uint64_t from = qemu_plugin_u64_get(last, vcpu), to = reinterpret_cast<uint64_t>(data);
  if (from == 0) {  // the first block of all
    if (vcpu == 0) first = to;
    return;
  }
  Node& node = nodes[from];
  ++node.branches;
  if (from != qemu_plugin_u64_get(block_end, vcpu)) ++node.early_exits;
  add_destination(node, to, 1);
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  const qemu_plugin_insn* end = qemu_plugin_tb_get_insn(tb, n - 1);
  const uint64_t begin = qemu_plugin_tb_vaddr(tb), end_address = qemu_plugin_insn_vaddr(end);
  qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, arrived, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
                                            after_block, begin, reinterpret_cast<void*>(begin));
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_STORE_U64, block_end, end_address);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_STORE_U64, after_block,
                                                    end_address + qemu_plugin_insn_size(end));
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);
    const auto [known, is_new] = nodes.try_emplace(address);
    if (is_new) {
      known->second.text = plugin::text_of(insn);
      known->second.symbol = qemu_plugin_insn_symbol(insn);
    }
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_STORE_U64, last, address);
  }
}

uint64_t weight(const Node& node) {
  switch (sort_by) {
    case SortBy::EarlyExits: return node.early_exits;
    case SortBy::Destinations: return node.destinations.size();
    default: return node.branches;
  }
}

void report(void*) {
  std::vector<std::pair<uint64_t, const Node*>> sorted;
  for (const auto& [address, node] : nodes)
    if (node.branches != 0) sorted.emplace_back(address, &node);
  std::string out = plugin::format("collected %zu control flow nodes in the hash table\n", sorted.size());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return weight(*a.second) > weight(*b.second); });
  for (std::size_t i = 0; i < sorted.size() && i < limit; ++i) {
    const Node& node = *sorted[i].second;
    out += plugin::format("  addr: 0x%" PRIx64 " %s: %s (%s)\n", sorted[i].first,
                          node.symbol == nullptr ? "" : node.symbol, node.text.c_str(),
                          node.early_exits != 0 ? "sync fault" : "branch");
    if (node.early_exits != 0) out += plugin::format("    early exits %" PRIu64 "\n", node.early_exits);
    out += plugin::format("    branches %" PRIu64 "\n", node.branches);
    for (const auto& [address, times] : node.destinations)
      out += plugin::format("      to 0x%" PRIx64 " (%" PRIu64 ")\n", address, times);
  }
  plugin::print(out);
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  saved.number(first);
  for (const qemu_plugin_u64& value : {last, block_end, after_block})
    saved.number(qemu_plugin_u64_get(value, 0));
  for (const auto& [address, node] : nodes) {
    saved.number(address).text(node.text).text(node.symbol == nullptr ? "" : node.symbol);
    saved.number(node.branches).number(node.early_exits).number(node.destinations.size());
    for (const auto& [to, times] : node.destinations) saved.number(to).number(times);
  }
}

/// The part's first block is reached from the last one of those before.
bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  const uint64_t begin = loaded.number();
  if (begin != qemu_plugin_u64_get(after_block, 0)) arrived(0, reinterpret_cast<void*>(begin));
  for (const qemu_plugin_u64& value : {last, block_end, after_block})
    qemu_plugin_u64_set(value, 0, loaded.number());
  while (loaded.ok() && !loaded.done()) {
    const auto [known, is_new] = nodes.try_emplace(loaded.number());
    const std::string text = loaded.text(), symbol = loaded.text();
    Node& node = known->second;
    if (is_new) node.text = text, node.symbol = kept_names.insert(symbol).first->c_str();
    node.branches += loaded.number();
    node.early_exits += loaded.number();
    for (uint64_t n = loaded.number(); loaded.ok() && n != 0; --n) {
      const uint64_t to = loaded.number();
      add_destination(node, to, loaded.number());
    }
  }
  return loaded.ok();
}

bool parse_sort(const char* text) {
  const std::string value = text;
  if (value == "hottest") return sort_by = SortBy::Branches, true;
  if (value == "early") return sort_by = SortBy::EarlyExits, true;
  if (value == "exceptions") return sort_by = SortBy::Destinations, true;
  return false;
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().add("sort", parse_sort).number("limit", limit).parse(argc, argv)) return -1;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(State));
  last = qemu_plugin_scoreboard_u64_in_struct(scoreboard, State, last);
  block_end = qemu_plugin_scoreboard_u64_in_struct(scoreboard, State, block_end);
  after_block = qemu_plugin_scoreboard_u64_in_struct(scoreboard, State, after_block);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
