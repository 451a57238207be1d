// Counts instructions. Options: inline (counters instead of callbacks), sizes (how many of each length were
// executed), match=TEXT (a line for each execution of an instruction whose text begins so; several),
// trace=off (no such lines, only the sums of each match).
#include <algorithm>
#include <map>
#include <memory>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Match {
  std::string prefix;
  uint64_t hits = 0, deltas = 0;
};
/// Of one vCPU and one match.
struct Last {
  uint64_t at = 0;
};
struct Matched {
  Match* match;
  std::size_t index;
  uint64_t address;
  std::string text;
  uint64_t hits = 0;
};

constexpr std::size_t kLongest = 32;
/// Of one vCPU.
struct Counts {
  uint64_t insns, by_size[kLongest + 1];
};
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 count;
plugin::PerVcpu<Counts> counts_of;
bool use_inline = false, sizes = false, trace = true;
std::vector<std::unique_ptr<Match>> matches;
std::vector<std::vector<Last>> last_hits;  // by vCPU, by match
std::map<std::pair<uint64_t, std::string>, std::unique_ptr<Matched>> matched_insns;

qemu_plugin_u64 count_of_size(std::size_t size) {
  return {scoreboard, offsetof(Counts, by_size) + size * sizeof(uint64_t)};
}

void executed(unsigned vcpu, void*) { ++counts_of[vcpu].insns; }

void executed_match(unsigned vcpu, void* data) {
  auto& insn = *static_cast<Matched*>(data);
  Match& match = *insn.match;
  if (last_hits.size() <= vcpu) last_hits.resize(vcpu + 1);
  if (last_hits[vcpu].size() < matches.size()) last_hits[vcpu].resize(matches.size());
  Last& last = last_hits[vcpu][insn.index];
  const uint64_t now = qemu_plugin_u64_get(count, vcpu), delta = now - last.at;
  last.at = now;
  ++insn.hits;
  ++match.hits;
  match.deltas += delta;
  if (!trace) return;
  plugin::print(plugin::format("0x%" PRIx64 ", '%s', %" PRIu64 " hits, %" PRIu64 " match hits, Δ+%" PRIu64
                               " since last match, %" PRIu64 " avg insns/match\n",
                               insn.address, insn.text.c_str(), insn.hits, match.hits, delta,
                               match.deltas / match.hits));
}

void watch(qemu_plugin_insn* insn) {
  const std::string text = plugin::text_of(insn);
  const uint64_t address = qemu_plugin_insn_vaddr(insn);
  for (std::size_t i = 0; i < matches.size(); ++i) {
    if (text.rfind(matches[i]->prefix, 0) != 0) continue;
    auto& known = matched_insns[{address, matches[i]->prefix + '\n' + text}];
    if (!known) known.reset(new Matched{matches[i].get(), i, address, text});
    qemu_plugin_register_vcpu_insn_exec_cb(insn, executed_match, QEMU_PLUGIN_CB_NO_REGS, known.get());
  }
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    // The count that a match reports must be up to date, so it is a counter.
    if (use_inline || !matches.empty())
      qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, count, 1);
    else
      qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS, nullptr);
    if (sizes)
      qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
          insn, QEMU_PLUGIN_INLINE_ADD_U64, count_of_size(std::min(qemu_plugin_insn_size(insn), kLongest)),
          1);
    watch(insn);
  }
}

void report(void*) {
  std::string out;
  for (std::size_t size = 0; sizes && size <= kLongest; ++size)
    if (const uint64_t n = qemu_plugin_u64_sum(count_of_size(size)); n != 0)
      out += plugin::format("len %zu bytes: %" PRIu64 " insns\n", size, n);
  for (int i = 0; i < qemu_plugin_num_vcpus(); ++i)
    out += plugin::format("cpu %d insns: %" PRIu64 "\n", i,
                          qemu_plugin_u64_get(count, static_cast<unsigned>(i)));
  out += plugin::format("total insns: %" PRIu64 "\n", qemu_plugin_u64_sum(count));
  for (const auto& match : matches)
    out += plugin::format("Match: %s, hits %" PRIu64 "\n", match->prefix.c_str(), match->hits);
  for (const auto& [key, insn] : matched_insns)
    out += plugin::format("  0x%" PRIx64 ": %s (%" PRIu64 " hits)\n", insn->address, insn->text.c_str(),
                          insn->hits);
  plugin::print(out);
}

/// The lines of matches say what was before.
bool possible(int argc, char** argv) { return !plugin::has_option(argc, argv, "match"); }

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (unsigned i = 0; i < plugin::vcpus(); ++i) {
    saved.number(qemu_plugin_u64_get(count, i));
    for (std::size_t length = 0; length <= kLongest; ++length)
      saved.number(qemu_plugin_u64_get(count_of_size(length), i));
  }
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (unsigned i = 0; i < plugin::vcpus(); ++i) {
    plugin::add_to(count, i, loaded.number());
    for (std::size_t length = 0; length <= kLongest; ++length)
      plugin::add_to(count_of_size(length), i, loaded.number());
  }
  return loaded.done();
}

void begin_part() {
  for (unsigned i = 0; i < plugin::vcpus(); ++i) counts_of[i] = {};
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.flag("inline", use_inline)
      .flag("sizes", sizes)
      .flag("trace", trace)
      .add("match", [](const char* text) {
        matches.push_back(std::make_unique<Match>());
        matches.back()->prefix = text;
        return *text != '\0';
      });
  if (!options.parse(argc, argv)) return -1;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(Counts));
  counts_of = plugin::PerVcpu<Counts>(scoreboard);
  count = qemu_plugin_scoreboard_u64_in_struct(scoreboard, Counts, insns);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS_AGAIN(possible, save, merge, begin_part)
