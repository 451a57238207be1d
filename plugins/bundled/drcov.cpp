// Which blocks were executed, as a coverage file in the format drcov 2, which disassemblers' coverage tools
// and lcov's converters read. Options: filename=PATH (file.drcov.trace), image=PATH (the program's file, as
// the table of modules names it; "guest"), base=ADDRESS (where the module begins; the lowest address
// executed, down to a page).
//
// A module has no more than 4 GiB: what lies higher is in one of its own.
#include <algorithm>
#include <cerrno>
#include <map>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

constexpr uint64_t kWindow = uint64_t{1} << 32;

struct Block {
  uint64_t address = 0, size = 0;
  bool elsewhere = false;  // executed in another process
  qemu_plugin_u64 executed{};
  bool was_executed() const { return elsewhere || qemu_plugin_u64_sum(executed) != 0; }
};

std::string filename = "file.drcov.trace", image = "guest";
uint64_t given_base = 0;
bool base_given = false;
std::map<std::pair<uint64_t, uint64_t>, Block> blocks;  // by address and size

constexpr std::size_t kPerScoreboard = 4096;
qemu_plugin_scoreboard* scoreboard;
std::size_t used = kPerScoreboard;

void translated(qemu_plugin_tb* tb, void*) {
  const uint64_t address = qemu_plugin_tb_vaddr(tb);
  uint64_t size = 0;
  for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i)
    size += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
  Block& block = blocks[{address, size}];
  if (block.executed.score == nullptr) {
    if (used == kPerScoreboard) {
      scoreboard = qemu_plugin_scoreboard_new(kPerScoreboard * sizeof(uint64_t));
      used = 0;
    }
    block = {address, size, false, {scoreboard, used++ * sizeof(uint64_t)}};
  }
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_STORE_U64, block.executed, 1);
}

/// One row of the file's binary table.
struct Entry {
  uint32_t start;
  uint16_t size, module;
};
static_assert(sizeof(Entry) == 8);

void write_file(void*) {
  struct Module {
    uint64_t base, end;
  };
  std::vector<Module> modules;
  std::vector<Entry> entries;
  for (const auto& [key, block] : blocks) {
    if (!block.was_executed()) continue;
    const uint64_t end = block.address + block.size;
    if (modules.empty() || end - modules.back().base > kWindow) {
      const bool first = modules.empty() && base_given && given_base <= block.address;
      modules.push_back({first ? given_base : block.address & ~uint64_t{0xfff}, 0});
    }
    Module& module = modules.back();
    module.end = std::max(module.end, end);
    entries.push_back({static_cast<uint32_t>(block.address - module.base), static_cast<uint16_t>(block.size),
                       static_cast<uint16_t>(modules.size() - 1)});
  }
  std::string out = plugin::format(
      "DRCOV VERSION: 2\nDRCOV FLAVOR: drcov-64\nModule Table: version 2, count %zu\nColumns: id, base, end, "
      "entry, path\n",
      modules.size());
  for (std::size_t i = 0; i < modules.size(); ++i)
    out += plugin::format("%zu, 0x%" PRIx64 ", 0x%" PRIx64 ", 0x0, %s\n", i, modules[i].base, modules[i].end,
                          image.c_str());
  out += plugin::format("BB Table: %zu bbs\n", entries.size());
  out.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
  std::FILE* file = std::fopen(filename.c_str(), "wbe");
  const bool written = file != nullptr && std::fwrite(out.data(), 1, out.size(), file) == out.size();
  if ((file != nullptr && std::fclose(file) != 0) || !written) {
    plugin::print(
        plugin::format("drcov: %s could not be written: %s\n", filename.c_str(), std::strerror(errno)));
    std::exit(1);
  }
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (const auto& [key, block] : blocks)
    if (block.was_executed()) saved.number(block.address).number(block.size);
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  while (loaded.ok() && !loaded.done()) {
    const uint64_t address = loaded.number(), bytes = loaded.number();
    blocks[{address, bytes}] = {address, bytes, true, {}};
  }
  return loaded.ok();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.text("filename", filename).text("image", image).add("base", [](const char* text) {
    return base_given = plugin::Options::parse_number(text, given_base);
  });
  if (!options.parse(argc, argv) || !plugin::can_write(filename)) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, write_file, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
