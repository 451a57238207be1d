// Models caches: for each core one of instructions and one of data, and optionally a second level for both.
// Options: icachesize, iblksize, iassoc, dcachesize, dblksize, dassoc (16384 bytes, 64 bytes, 8 ways each),
// l2=on or l2cachesize, l2blksize, l2assoc (2 MiB, 64, 16), evict=lru|fifo|rand, cores=N (vCPU i uses those
// of core i mod N; default: one for each vCPU), limit=N (lines of each list; 32).
//
// Instructions count by their physical address, data accesses to memory too; devices are not cached.
//
// Parts of an analysis (one level, lru): what a set held when the part began is not known there, and matters
// only for the blocks that are accessed before the set is full. These count as misses and are noted; with the
// state that the parts before have left, merge() finds out which of them were there.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

enum class Evict { Lru, Fifo, Random } evict = Evict::Lru;

constexpr uint64_t kMostBytes = uint64_t{1} << 30, kMostCores = 1024;

struct Shape {
  uint64_t size, block, ways;
  /// Empty, or what is wrong with it.
  const char* problem() const {
    if (size == 0 || block == 0 || ways == 0) return "sizes are at least 1";
    if (size > kMostBytes) return "it is larger than 1 GiB";
    if ((block & (block - 1)) != 0) return "the size of a block is a power of two";
    if (size % block != 0) return "the size is no multiple of the block's";
    if (ways > size / block || size % (block * ways) != 0) return "the size is no multiple of a set's";
    if (((size / block / ways) & (size / block / ways - 1)) != 0)
      return "the number of sets is a power of two";
    return nullptr;
  }
};

struct Insn;

/// A cache holds block numbers: of each set, in the order in which they go, the last first.
class Cache {
 public:
  explicit Cache(const Shape& shape)
      : ways_(shape.ways),
        mask_(shape.size / shape.block / shape.ways - 1),
        blocks_((mask_ + 1) * ways_, kNone) {
    while ((uint64_t{1} << shift_) < shape.block) ++shift_;
  }
  /// Whether the address was there; it is now.
  bool access(uint64_t address, Insn* insn) {
    const uint64_t block = address >> shift_;
    uint64_t* const set = &blocks_[(block & mask_) * ways_];
    if (set[0] == block) return true;
    for (uint64_t way = 1; way < ways_; ++way) {
      if (set[way] != block) continue;
      if (evict == Evict::Lru) insert(set, way, block);
      return true;
    }
    if (set[ways_ - 1] == kNone) cold_.emplace_back(block, insn);
    insert(set, victim(set), block);
    return false;
  }

  /// Accesses to sets that were not full: the block, and by whom. In their order.
  const std::vector<std::pair<uint64_t, Insn*>>& cold() const { return cold_; }
  const std::vector<uint64_t>& blocks() const { return blocks_; }
  /// Goes on with what another cache has done that was empty at first, and least recently used go first.
  /// `was_there` is called for those of its cold accesses that this state makes hits.
  template <typename Fn>
  bool follow(const std::vector<std::pair<uint64_t, Insn*>>& cold, const std::vector<uint64_t>& blocks,
              Fn was_there) {
    if (blocks.size() != blocks_.size()) return false;
    std::map<uint64_t, uint64_t> touched;  // blocks of each set so far
    for (const auto& [block, insn] : cold) {
      uint64_t* const set = &blocks_[(block & mask_) * ways_];
      uint64_t& before = touched[block & mask_];
      // What has been touched since stands before what is left of the old.
      const uint64_t old = static_cast<uint64_t>(std::find(set, set + ways_, block) - set);
      if (old < ways_ && before + old < ways_) was_there(insn);
      if (old < ways_) std::move(set + old + 1, set + ways_, set + old), set[ways_ - 1] = kNone;
      ++before;
    }
    for (std::size_t first = 0; first < blocks.size(); first += ways_) {
      std::vector<uint64_t> merged(&blocks[first], &blocks[first] + ways_);
      merged.erase(std::find(merged.begin(), merged.end(), kNone), merged.end());
      merged.insert(merged.end(), &blocks_[first], &blocks_[first] + ways_);
      std::copy_n(merged.begin(), ways_, &blocks_[first]);
    }
    return true;
  }

 private:
  static constexpr uint64_t kNone = ~uint64_t{0};
  /// Into the first place; what was there and behind moves up to `way`, whose block goes.
  static void insert(uint64_t* set, uint64_t way, uint64_t block) {
    std::memmove(set + 1, set, way * sizeof *set);
    set[0] = block;
  }
  uint64_t victim(const uint64_t* set) {
    if (evict != Evict::Random || set[ways_ - 1] == kNone) return ways_ - 1;
    // The same numbers in every run.
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_ % ways_;
  }

  uint64_t ways_, mask_;
  unsigned shift_ = 0;
  std::vector<uint64_t> blocks_;
  std::vector<std::pair<uint64_t, Insn*>> cold_;
  uint64_t random_ = 0x2545f4914f6cdd1d;
};

struct Core {
  Cache insns, data;
  std::unique_ptr<Cache> second;
  uint64_t data_accesses = 0, data_misses = 0, insn_misses = 0, second_accesses = 0, second_misses = 0;
};
struct Insn {
  uint64_t address, physical;
  std::string text;
  const char* symbol;
  uint64_t data_misses = 0, insn_misses = 0, second_misses = 0;
};

Shape insn_shape{16384, 64, 8}, data_shape{16384, 64, 8}, second_shape{2 << 20, 64, 16};
bool use_second = false, system_emulation = false, shared_cores = false;
uint64_t n_cores = 0, limit = 32;
std::vector<Core> cores;
std::map<std::pair<uint64_t, std::string>, std::unique_ptr<Insn>> insns;
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 insn_accesses;

Core& core_of(unsigned vcpu) { return cores[vcpu < cores.size() ? vcpu : vcpu % cores.size()]; }

void access_second(Core& core, Insn& insn, uint64_t address) {
  if (!core.second) return;
  ++core.second_accesses;
  if (core.second->access(address, &insn)) return;
  ++core.second_misses;
  ++insn.second_misses;
}

void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  if (system_emulation) {
    const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
    if (where != nullptr) {
      if (qemu_plugin_hwaddr_is_io(where)) return;
      address = qemu_plugin_hwaddr_phys_addr(where);
    }
  }
  Core& core = core_of(vcpu);
  ++core.data_accesses;
  auto& insn = *static_cast<Insn*>(data);
  if (core.data.access(address, &insn)) return;
  ++core.data_misses;
  ++insn.data_misses;
  access_second(core, insn, address);
}

void executed(unsigned vcpu, void* data) {
  auto& insn = *static_cast<Insn*>(data);
  Core& core = core_of(vcpu);
  if (core.insns.access(insn.physical, &insn)) return;
  ++core.insn_misses;
  ++insn.insn_misses;
  access_second(core, insn, insn.physical);
}

Insn& find(const qemu_plugin_insn* insn) {
  const auto physical = reinterpret_cast<uint64_t>(qemu_plugin_insn_haddr(insn));
  const uint64_t address = qemu_plugin_insn_vaddr(insn);
  auto& slot = insns[{system_emulation ? physical : address, plugin::text_of(insn)}];
  if (!slot) {
    slot = std::make_unique<Insn>();
    slot->address = address;
    slot->physical = system_emulation ? physical : address;
    slot->text = plugin::text_of(insn);
    slot->symbol = qemu_plugin_insn_symbol(insn);
  }
  return *slot;
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  uint64_t last_block = ~uint64_t{0};
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    Insn& known = find(insn);
    qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, &known);
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, insn_accesses, 1);
    // An instruction in the same cache block as the one before it in the guest's block is there for certain:
    // nothing comes between the two but data accesses. Unless another vCPU uses the same cache.
    const uint64_t block = known.physical / insn_shape.block;
    if (block != last_block || shared_cores)
      qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS, &known);
    last_block = block;
  }
}

std::string rate(uint64_t misses, uint64_t accesses, int width) {
  const double percent =
      accesses == 0 ? 0 : 100.0 * static_cast<double>(misses) / static_cast<double>(accesses);
  return plugin::format("%*.4f%%", width, percent);
}

struct Sums {
  uint64_t data = 0, data_misses = 0, insns = 0, insn_misses = 0, second = 0, second_misses = 0;
  std::string columns() const {
    std::string out =
        plugin::format("%-14" PRIu64 " %-12" PRIu64 " ", data, data_misses) + rate(data_misses, data, 9) +
        plugin::format("  %-14" PRIu64 " %-12" PRIu64 " ", insns, insn_misses) + rate(insn_misses, insns, 9);
    if (use_second)
      out += plugin::format("  %-12" PRIu64 " %-11" PRIu64 " ", second, second_misses) +
             rate(second_misses, second, 10);
    return out + '\n';
  }
};

std::string list(const char* heading, uint64_t Insn::*misses) {
  std::vector<const Insn*> sorted;
  for (const auto& [key, insn] : insns)
    if ((*insn).*misses != 0) sorted.push_back(insn.get());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Insn* a, const Insn* b) { return a->*misses > b->*misses; });
  std::string out = plugin::format("address, %s, instruction\n", heading);
  for (std::size_t i = 0; i < sorted.size() && i < limit; ++i) {
    out += plugin::format("0x%" PRIx64, sorted[i]->address);
    if (sorted[i]->symbol != nullptr) out += plugin::format(" (%s)", sorted[i]->symbol);
    out += plugin::format(", %" PRIu64 ", %s\n", sorted[i]->*misses, sorted[i]->text.c_str());
  }
  return out;
}

void report(void*) {
  std::string out = "core #, data accesses, data misses, dmiss rate, insn accesses, insn misses, imiss rate";
  out += use_second ? ", l2 accesses, l2 misses, l2 miss rate\n" : "\n";
  Sums all;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    const Core& core = cores[i];
    Sums sums{core.data_accesses, core.data_misses,     0,
              core.insn_misses,   core.second_accesses, core.second_misses};
    for (std::size_t vcpu = i; vcpu < static_cast<std::size_t>(qemu_plugin_num_vcpus()); vcpu += cores.size())
      sums.insns += qemu_plugin_u64_get(insn_accesses, static_cast<unsigned>(vcpu));
    out += plugin::format("%-8zu", i) + sums.columns();
    all = {all.data + sums.data,     all.data_misses + sums.data_misses,
           all.insns + sums.insns,   all.insn_misses + sums.insn_misses,
           all.second + sums.second, all.second_misses + sums.second_misses};
  }
  if (cores.size() > 1) out += "sum     " + all.columns();
  out += '\n' + list("data misses", &Insn::data_misses) + '\n' + list("fetch misses", &Insn::insn_misses);
  if (use_second) out += '\n' + list("L2 misses", &Insn::second_misses);
  plugin::print(out);
}

// ---- Parts of an analysis

bool possible(int argc, char** argv) {
  for (int i = 0; i < argc; ++i)
    if (std::strncmp(argv[i], "l2", 2) == 0 ||
        (std::strncmp(argv[i], "evict=", 6) == 0 && std::strcmp(argv[i], "evict=lru") != 0))
      return false;
  return true;
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  std::map<const Insn*, uint64_t> numbers;
  saved.number(insns.size());
  for (const auto& [key, insn] : insns) {
    numbers.emplace(insn.get(), numbers.size());
    saved.number(key.first).text(key.second).number(insn->address).number(insn->physical);
    saved.text(insn->symbol == nullptr ? "" : insn->symbol)
        .number(insn->data_misses)
        .number(insn->insn_misses);
  }
  for (const Core& core : cores) {
    saved.number(core.data_accesses).number(core.data_misses).number(core.insn_misses);
    for (const Cache* cache : {&core.insns, &core.data}) {
      saved.number(cache->cold().size());
      for (const auto& [block, insn] : cache->cold()) saved.number(block).number(numbers.at(insn));
      for (uint64_t block : cache->blocks()) saved.number(block);
    }
  }
  for (unsigned i = 0; i < plugin::vcpus(); ++i) saved.number(qemu_plugin_u64_get(insn_accesses, i));
}

/// One cache of a part: what it has counted as misses and what was there.
bool merge_cache(plugin::Loaded& loaded, const std::vector<Insn*>& known, Cache& cache, uint64_t& misses,
                 uint64_t Insn::*misses_of) {
  std::vector<std::pair<uint64_t, Insn*>> cold;
  for (uint64_t n = loaded.number(); loaded.ok() && n != 0; --n) {
    const uint64_t block = loaded.number(), insn = loaded.number();
    if (insn >= known.size()) return false;
    cold.emplace_back(block, known[insn]);
  }
  std::vector<uint64_t> blocks(cache.blocks().size());
  for (uint64_t& block : blocks) block = loaded.number();
  return loaded.ok() && cache.follow(cold, blocks, [&](Insn* insn) {
    --misses;
    --(insn->*misses_of);
  });
}

bool merge(const uint8_t* data, size_t size) {
  static std::set<std::string> names;  // of functions; they stay
  plugin::Loaded loaded(data, size);
  std::vector<Insn*> known;
  for (uint64_t n = loaded.number(); loaded.ok() && n != 0; --n) {
    const uint64_t key = loaded.number();
    const std::string text = loaded.text();
    auto& slot = insns[{key, text}];
    const bool fresh = !slot;
    if (fresh) slot = std::make_unique<Insn>();
    const uint64_t address = loaded.number(), physical = loaded.number();
    const std::string symbol = loaded.text();
    if (fresh) {
      slot->address = address;
      slot->physical = physical;
      slot->text = text;
      slot->symbol = symbol.empty() ? nullptr : names.insert(symbol).first->c_str();
    }
    slot->data_misses += loaded.number();
    slot->insn_misses += loaded.number();
    known.push_back(slot.get());
  }
  for (Core& core : cores) {
    core.data_accesses += loaded.number();
    core.data_misses += loaded.number();
    core.insn_misses += loaded.number();
    if (!merge_cache(loaded, known, core.insns, core.insn_misses, &Insn::insn_misses) ||
        !merge_cache(loaded, known, core.data, core.data_misses, &Insn::data_misses))
      return false;
  }
  for (unsigned i = 0; i < plugin::vcpus(); ++i) plugin::add_to(insn_accesses, i, loaded.number());
  return loaded.done();
}

bool parse_evict(const char* text) {
  const std::string value = text;
  if (value == "lru") return evict = Evict::Lru, true;
  if (value == "fifo") return evict = Evict::Fifo, true;
  if (value == "rand") return evict = Evict::Random, true;
  return false;
}

void add_shape(plugin::Options& options, const std::array<const char*, 3>& names, Shape& shape, bool* used) {
  const std::array<uint64_t*, 3> values = {&shape.size, &shape.block, &shape.ways};
  for (std::size_t i = 0; i < names.size(); ++i)
    options.add(names[i], [value = values[i], used](const char* text) {
      if (used != nullptr) *used = true;
      return plugin::Options::parse_number(text, *value);
    });
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                                      char** argv) {
  system_emulation = info->system_emulation;
  const uint64_t vcpus = system_emulation ? static_cast<uint64_t>(info->system.smp_vcpus) : 1;
  n_cores = vcpus;
  plugin::Options options;
  add_shape(options, {"icachesize", "iblksize", "iassoc"}, insn_shape, nullptr);
  add_shape(options, {"dcachesize", "dblksize", "dassoc"}, data_shape, nullptr);
  add_shape(options, {"l2cachesize", "l2blksize", "l2assoc"}, second_shape, &use_second);
  options.flag("l2", use_second).number("limit", limit).number("cores", n_cores, 1).add("evict", parse_evict);
  if (!options.parse(argc, argv)) return -1;
  if (n_cores > kMostCores) return plugin::print("cores: at most 1024\n"), -1;
  const std::pair<const char*, const Shape*> shapes[] = {
      {"icache", &insn_shape}, {"dcache", &data_shape}, {"L2 cache", &second_shape}};
  for (const auto& [name, shape] : shapes)
    if (const char* problem = shape->problem(); problem != nullptr)
      return plugin::print(plugin::format("%s: %s\n", name, problem)), -1;
  shared_cores = n_cores < vcpus;
  for (uint64_t i = 0; i < n_cores; ++i)
    cores.push_back(
        {Cache(insn_shape), Cache(data_shape), use_second ? std::make_unique<Cache>(second_shape) : nullptr});
  scoreboard = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  insn_accesses = qemu_plugin_scoreboard_u64(scoreboard);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(possible, save, merge)
