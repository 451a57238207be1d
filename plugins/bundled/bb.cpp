// Counts blocks and their instructions. Options: inline (counters instead of callbacks), idle (report
// whenever a vCPU comes to wait).
#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Counts {
  uint64_t blocks, insns;
};
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 blocks, insns;
plugin::PerVcpu<Counts> counts_of;
bool use_inline = false, report_idle = false;

void report() {
  const int vcpus = qemu_plugin_num_vcpus();
  std::string out;
  for (int i = 0; vcpus > 1 && i < vcpus; ++i) {
    const auto vcpu = static_cast<unsigned>(i);
    out += plugin::format("CPU%d: bb's: %" PRIu64 ", insns: %" PRIu64 "\n", i,
                          qemu_plugin_u64_get(blocks, vcpu), qemu_plugin_u64_get(insns, vcpu));
  }
  out += plugin::format("bb's: %" PRIu64 ", insns: %" PRIu64 "\n", qemu_plugin_u64_sum(blocks),
                        qemu_plugin_u64_sum(insns));
  plugin::print(out);
}

void executed(unsigned vcpu, void* n_insns) {
  Counts& counts = counts_of[vcpu];
  ++counts.blocks;
  counts.insns += reinterpret_cast<uint64_t>(n_insns);
}

void translated(qemu_plugin_tb* tb, void*) {
  const uint64_t n = qemu_plugin_tb_n_insns(tb);
  if (use_inline) {
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, blocks, 1);
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, insns, n);
  } else {
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, reinterpret_cast<void*>(n));
  }
}

/// Reports while the run goes on need all that was before.
bool possible(int argc, char** argv) { return !plugin::has_option(argc, argv, "idle"); }

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (unsigned i = 0; i < plugin::vcpus(); ++i)
    saved.number(qemu_plugin_u64_get(blocks, i)).number(qemu_plugin_u64_get(insns, i));
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (unsigned i = 0; i < plugin::vcpus(); ++i) {
    plugin::add_to(blocks, i, loaded.number());
    plugin::add_to(insns, i, loaded.number());
  }
  return loaded.done();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().flag("inline", use_inline).flag("idle", report_idle).parse(argc, argv)) return -1;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(Counts));
  counts_of = plugin::PerVcpu<Counts>(scoreboard);
  blocks = qemu_plugin_scoreboard_u64_in_struct(scoreboard, Counts, blocks);
  insns = qemu_plugin_scoreboard_u64_in_struct(scoreboard, Counts, insns);
  if (report_idle)
    qemu_plugin_register_vcpu_idle_cb(
        id, [](unsigned, void*) { report(); }, nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(
      id, [](void*) { report(); }, nullptr);
  return 0;
}

SEGMENTS(possible, save, merge)
