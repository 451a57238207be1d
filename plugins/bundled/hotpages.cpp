// The pages that are accessed most. Options: sortby=reads|writes|address (default: by reads and writes
// together), io=on (devices' pages only, by physical address), pagesize=N (a power of two; 4096), limit=N
// (50).
#include <algorithm>
#include <unordered_map>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Page {
  uint64_t address = 0, readers = 0, reads = 0, writers = 0, writes = 0;
};

enum class SortBy { Both, Reads, Writes, Address } sort_by = SortBy::Both;
bool io = false;
uint64_t page_size = 4096, limit = 50;
std::unordered_map<uint64_t, Page> pages;
Page* last = nullptr;  // accesses come in runs

void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  if (io) {
    const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
    if (where == nullptr || !qemu_plugin_hwaddr_is_io(where)) return;
    address = qemu_plugin_hwaddr_phys_addr(where);
  }
  address &= ~(page_size - 1);
  if (last == nullptr || last->address != address) {
    last = &pages[address];
    last->address = address;
  }
  const uint64_t bit = uint64_t{1} << (vcpu % 64);
  if (qemu_plugin_mem_is_store(info)) {
    ++last->writes;
    last->writers |= bit;
  } else {
    ++last->reads;
    last->readers |= bit;
  }
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i)
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), accessed, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, nullptr);
}

uint64_t weight(const Page& page) {
  switch (sort_by) {
    case SortBy::Reads: return page.reads;
    case SortBy::Writes: return page.writes;
    case SortBy::Address: return 0;
    default: return page.reads + page.writes;
  }
}

void report(void*) {
  std::vector<Page> sorted;
  for (const auto& [address, page] : pages) sorted.push_back(page);
  std::sort(sorted.begin(), sorted.end(), [](const Page& a, const Page& b) {
    return weight(a) != weight(b) ? weight(a) > weight(b) : a.address < b.address;
  });
  std::string out = "Addr, RCPUs, Reads, WCPUs, Writes\n";
  for (std::size_t i = 0; i < sorted.size() && i < limit; ++i)
    out += plugin::format("0x%016" PRIx64 ", 0x%04" PRIx64 ", %" PRIu64 ", 0x%04" PRIx64 ", %" PRIu64 "\n",
                          sorted[i].address, sorted[i].readers, sorted[i].reads, sorted[i].writers,
                          sorted[i].writes);
  plugin::print(out);
}

bool parse_sort(const char* text) {
  const std::string value = text;
  if (value == "reads") return sort_by = SortBy::Reads, true;
  if (value == "writes") return sort_by = SortBy::Writes, true;
  if (value == "address") return sort_by = SortBy::Address, true;
  return false;
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (const auto& [address, page] : pages)
    saved.number(address).number(page.readers).number(page.reads).number(page.writers).number(page.writes);
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  while (loaded.ok() && !loaded.done()) {
    const uint64_t address = loaded.number();
    Page& page = pages[address];
    page.address = address;
    page.readers |= loaded.number();
    page.reads += loaded.number();
    page.writers |= loaded.number();
    page.writes += loaded.number();
  }
  return loaded.ok();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.add("sortby", parse_sort).flag("io", io).number("limit", limit);
  options.add("pagesize", [](const char* text) {
    return plugin::Options::parse_number(text, page_size) && page_size != 0 &&
           (page_size & (page_size - 1)) == 0;
  });
  if (!options.parse(argc, argv)) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
