// Counts everything in four ways (a callback, a callback on a scoreboard, an operation compiled into the
// code, a callback at every kEvery-th event by a condition), prints the sums of each, and aborts if they
// differ.
#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

constexpr uint64_t kEvery = 10;

/// Of one vCPU and one kind of event.
struct Counts {
  uint64_t called, counted, since, conditional;
  uint64_t fresh;  // set by an operation before each conditional callback, checked and cleared there
};
struct All {
  Counts tb, insn, mem;
};
struct Kind {
  const char* name;
  std::size_t offset;
  bool conditional;
  uint64_t total = 0;
};
Kind tb{"tb", offsetof(All, tb), true}, insn{"insn", offsetof(All, insn), true},
    mem{"mem", offsetof(All, mem), false};

qemu_plugin_scoreboard* scoreboard;

qemu_plugin_u64 member(const Kind& kind, std::size_t offset) { return {scoreboard, kind.offset + offset}; }
Counts& counts_of(const Kind& kind, unsigned vcpu) {
  auto* all = static_cast<char*>(qemu_plugin_scoreboard_find(scoreboard, vcpu));
  return *reinterpret_cast<Counts*>(all + kind.offset);
}

void called(unsigned vcpu, void* data) {
  auto& kind = *static_cast<Kind*>(data);
  ++kind.total;
  ++counts_of(kind, vcpu).called;
}
void accessed(unsigned vcpu, qemu_plugin_meminfo_t, uint64_t, void* data) { called(vcpu, data); }
void every_tenth(unsigned vcpu, void* data) {
  Counts& counts = counts_of(*static_cast<Kind*>(data), vcpu);
  if (counts.since != kEvery || counts.fresh != kEvery) {
    std::fprintf(stderr, "plugin inline: a condition was taken at %" PRIu64 ", not %" PRIu64 "\n",
                 counts.since, kEvery);
    std::abort();
  }
  counts.since = counts.fresh = 0;
  counts.conditional += kEvery;
}

void translated(qemu_plugin_tb* block, void*) {
  auto add = [](const Kind& kind, std::size_t offset) { return member(kind, offset); };
  qemu_plugin_register_vcpu_tb_exec_cb(block, called, QEMU_PLUGIN_CB_NO_REGS, &tb);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, QEMU_PLUGIN_INLINE_ADD_U64,
                                                    add(tb, offsetof(Counts, counted)), 1);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, QEMU_PLUGIN_INLINE_ADD_U64,
                                                    add(tb, offsetof(Counts, since)), 1);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, QEMU_PLUGIN_INLINE_STORE_U64,
                                                    add(tb, offsetof(Counts, fresh)), kEvery);
  qemu_plugin_register_vcpu_tb_exec_cond_cb(block, every_tenth, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_EQ,
                                            add(tb, offsetof(Counts, since)), kEvery, &tb);
  const std::size_t n = qemu_plugin_tb_n_insns(block);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* one = qemu_plugin_tb_get_insn(block, i);
    qemu_plugin_register_vcpu_insn_exec_cb(one, called, QEMU_PLUGIN_CB_NO_REGS, &insn);
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(one, QEMU_PLUGIN_INLINE_ADD_U64,
                                                        add(insn, offsetof(Counts, counted)), 1);
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(one, QEMU_PLUGIN_INLINE_ADD_U64,
                                                        add(insn, offsetof(Counts, since)), 1);
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(one, QEMU_PLUGIN_INLINE_STORE_U64,
                                                        add(insn, offsetof(Counts, fresh)), kEvery);
    qemu_plugin_register_vcpu_insn_exec_cond_cb(one, every_tenth, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_GE,
                                                add(insn, offsetof(Counts, since)), kEvery, &insn);
    qemu_plugin_register_vcpu_mem_cb(one, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, &mem);
    qemu_plugin_register_vcpu_mem_inline_per_vcpu(one, QEMU_PLUGIN_MEM_RW, QEMU_PLUGIN_INLINE_ADD_U64,
                                                  add(mem, offsetof(Counts, counted)), 1);
  }
}

void report(void*) {
  std::string out;
  bool right = true;
  for (int i = 0; i < qemu_plugin_num_vcpus(); ++i) {
    out += plugin::format("cpu %d:", i);
    for (const Kind* kind : {&tb, &insn, &mem}) {
      const Counts& counts = counts_of(*kind, static_cast<unsigned>(i));
      out += plugin::format("%s %s (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ")", kind == &tb ? "" : " |",
                            kind->name, counts.called, counts.counted, counts.conditional + counts.since);
      right = right && counts.called == counts.counted &&
              (!kind->conditional || counts.conditional + counts.since == counts.called);
    }
    out += '\n';
  }
  for (const Kind* kind : {&insn, &tb, &mem}) {
    const uint64_t called_sum = qemu_plugin_u64_sum(member(*kind, offsetof(Counts, called)));
    const uint64_t counted_sum = qemu_plugin_u64_sum(member(*kind, offsetof(Counts, counted)));
    out += plugin::format("%s: %" PRIu64 "\n%s: %" PRIu64 " (per vcpu)\n%s: %" PRIu64 " (per vcpu inline)\n",
                          kind->name, kind->total, kind->name, called_sum, kind->name, counted_sum);
    right = right && kind->total == called_sum && called_sum == counted_sum;
    if (!kind->conditional) continue;
    const uint64_t sum = qemu_plugin_u64_sum(member(*kind, offsetof(Counts, conditional))) +
                         qemu_plugin_u64_sum(member(*kind, offsetof(Counts, since)));
    out += plugin::format("%s: %" PRIu64 " (cond cb)\n", kind->name, sum);
  }
  plugin::print(out);
  if (!right) {
    std::fprintf(stderr, "plugin inline: the counts differ\n");
    std::abort();
  }
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (const Kind* kind : {&tb, &insn, &mem}) {
    saved.number(kind->total);
    for (unsigned i = 0; i < plugin::vcpus(); ++i) {
      const Counts& counts = counts_of(*kind, i);
      saved.number(counts.called).number(counts.counted).number(counts.conditional + counts.since);
    }
  }
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (Kind* kind : {&tb, &insn, &mem}) {
    kind->total += loaded.number();
    for (unsigned i = 0; i < plugin::vcpus(); ++i) {
      Counts& counts = counts_of(*kind, i);
      counts.called += loaded.number();
      counts.counted += loaded.number();
      counts.conditional += loaded.number();
    }
  }
  return loaded.done();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().parse(argc, argv)) return -1;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(All));
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
