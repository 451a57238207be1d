// Basic block vectors, as SimPoint reads them: for each interval of instructions a line with how many
// instructions were executed in each block. Options: outfile=PATH (vCPU i's are in PATH.i.bb; needed),
// interval=N (100000000).
#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Block {
  uint64_t number;  // from 1 on
  qemu_plugin_u64 counter;
};
struct Cpu {
  std::FILE* file = nullptr;
};

uint64_t interval = 100'000'000;
std::string outfile;
std::vector<Cpu> cpus;
std::map<uint64_t, std::unique_ptr<Block>> blocks;  // by address
qemu_plugin_scoreboard* totals;
qemu_plugin_u64 total;

constexpr std::size_t kPerScoreboard = 1024;
qemu_plugin_scoreboard* counters;
std::size_t used = kPerScoreboard;

qemu_plugin_u64 new_counter() {
  if (used == kPerScoreboard) {
    counters = qemu_plugin_scoreboard_new(kPerScoreboard * sizeof(uint64_t));
    used = 0;
  }
  return {counters, used++ * sizeof(uint64_t)};
}

void begin(unsigned vcpu, void*) {
  if (cpus.size() <= vcpu) cpus.resize(vcpu + 1);
  const std::string name = plugin::format("%s.%u.bb", outfile.c_str(), vcpu);
  cpus[vcpu].file = std::fopen(name.c_str(), "we");
  if (cpus[vcpu].file == nullptr) {
    plugin::print(plugin::format("bbv: %s cannot be written: %s\n", name.c_str(), std::strerror(errno)));
    std::exit(1);
  }
}

void interval_over(unsigned vcpu, void*) {
  qemu_plugin_u64_set(total, vcpu, qemu_plugin_u64_get(total, vcpu) - interval);
  std::vector<std::pair<uint64_t, uint64_t>> sorted;
  for (const auto& [key, block] : blocks) {
    const uint64_t n = qemu_plugin_u64_get(block->counter, vcpu);
    if (n == 0) continue;
    sorted.emplace_back(block->number, n);
    qemu_plugin_u64_set(block->counter, vcpu, 0);
  }
  std::sort(sorted.begin(), sorted.end());
  std::FILE* file = cpus[vcpu].file;
  std::fputc('T', file);
  for (const auto& [number, n] : sorted) std::fprintf(file, ":%" PRIu64 ":%" PRIu64 " ", number, n);
  std::fputc('\n', file);
}

void translated(qemu_plugin_tb* tb, void*) {
  const uint64_t address = qemu_plugin_tb_vaddr(tb), n = qemu_plugin_tb_n_insns(tb);
  auto& block = blocks[address];
  if (!block) block.reset(new Block{blocks.size(), new_counter()});
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, total, n);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, block->counter, n);
  // The block that completes an interval belongs to it.
  qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, interval_over, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_GE,
                                            total, interval, nullptr);
}

void finish(void*) {
  bool failed = false;
  for (Cpu& cpu : cpus) {
    if (cpu.file == nullptr) continue;
    failed |= std::ferror(cpu.file) != 0;
    failed |= std::fclose(cpu.file) != 0;
    cpu.file = nullptr;
  }
  if (!failed) return;
  plugin::print("bbv: a file could not be written to its end\n");
  std::exit(1);
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().number("interval", interval, 1).text("outfile", outfile).parse(argc, argv))
    return -1;
  if (outfile.empty()) return plugin::print("outfile=PATH is needed\n"), -1;
  if (!plugin::can_write(outfile + ".0.bb")) return -1;
  totals = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  total = qemu_plugin_scoreboard_u64(totals);
  qemu_plugin_register_vcpu_init_cb(id, begin, nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, finish, nullptr);
  return 0;
}
