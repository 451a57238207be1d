// Counts data accesses. Options: inline (a counter), callback (a callback for each; the default is a
// counter), hwaddr (or haddr: a callback that tells accesses to devices from those to memory), track=r|w|rw,
// print-accesses (a line for each), region-summary (accesses by region of 512 bytes).
#include <map>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Counts {
  uint64_t accesses, io;
};
struct All {
  Counts called;
  uint64_t counted;
};
struct Region {
  uint64_t reads = 0, writes = 0;
};
constexpr uint64_t kRegion = 512;

qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 inline_accesses, accesses, io_accesses;
plugin::PerVcpu<All> counts_of;
bool use_inline = false, use_callback = false, by_hardware = false, print_accesses = false,
     region_summary = false;
qemu_plugin_mem_rw tracked = QEMU_PLUGIN_MEM_RW;
std::map<uint64_t, Region> regions;

std::string value_text(const qemu_plugin_mem_value& value) {
  switch (value.type) {
    case QEMU_PLUGIN_MEM_VALUE_U8: return plugin::format("0x%02x", value.data.u8);
    case QEMU_PLUGIN_MEM_VALUE_U16: return plugin::format("0x%04x", value.data.u16);
    case QEMU_PLUGIN_MEM_VALUE_U32: return plugin::format("0x%08x", value.data.u32);
    case QEMU_PLUGIN_MEM_VALUE_U64: return plugin::format("0x%016" PRIx64, value.data.u64);
    default: return plugin::format("0x%016" PRIx64 "%016" PRIx64, value.data.u128.high, value.data.u128.low);
  }
}

void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  Counts& counts = counts_of[vcpu].called;
  if (by_hardware) {
    const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
    ++(where != nullptr && qemu_plugin_hwaddr_is_io(where) ? counts.io : counts.accesses);
  } else {
    ++counts.accesses;
  }
}

void accessed_region(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  Region& region = regions[address / kRegion * kRegion];
  ++(qemu_plugin_mem_is_store(info) ? region.writes : region.reads);
}

void accessed_print(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void* text) {
  const qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
  plugin::print(plugin::format("access: 0x%.0" PRIx64 "%s,%s,%s,%d,%s,%s\n", address,
                               qemu_plugin_mem_is_sign_extended(info) ? ",signed" : "",
                               static_cast<const char*>(text), value_text(value).c_str(),
                               8 << qemu_plugin_mem_size_shift(info),
                               qemu_plugin_mem_is_store(info) ? "store" : "load",
                               qemu_plugin_mem_is_big_endian(info) ? "big" : "little"));
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    if (use_inline)
      qemu_plugin_register_vcpu_mem_inline_per_vcpu(insn, tracked, QEMU_PLUGIN_INLINE_ADD_U64,
                                                    inline_accesses, 1);
    if (use_callback || by_hardware)
      qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS, tracked, nullptr);
    if (region_summary)
      qemu_plugin_register_vcpu_mem_cb(insn, accessed_region, QEMU_PLUGIN_CB_NO_REGS, tracked, nullptr);
    if (print_accesses) {
      const char* symbol = qemu_plugin_insn_symbol(insn);
      qemu_plugin_register_vcpu_mem_cb(insn, accessed_print, QEMU_PLUGIN_CB_NO_REGS, tracked,
                                       const_cast<char*>(symbol == nullptr ? "" : symbol));
    }
  }
}

void report(void*) {
  std::string out;
  if (use_inline)
    out += plugin::format("inline mem accesses: %" PRIu64 "\n", qemu_plugin_u64_sum(inline_accesses));
  if (use_callback || by_hardware)
    out += plugin::format("callback mem accesses: %" PRIu64 "\n", qemu_plugin_u64_sum(accesses));
  if (by_hardware) out += plugin::format("io accesses: %" PRIu64 "\n", qemu_plugin_u64_sum(io_accesses));
  if (region_summary) {
    out += "Region Base, Reads, Writes\n";
    for (const auto& [base, region] : regions)
      out +=
          plugin::format("0x%016" PRIx64 ", %" PRIu64 ", %" PRIu64 "\n", base, region.reads, region.writes);
  }
  plugin::print(out);
}

bool parse_track(const char* text) {
  const std::string value = text;
  if (value == "r") return tracked = QEMU_PLUGIN_MEM_R, true;
  if (value == "w") return tracked = QEMU_PLUGIN_MEM_W, true;
  if (value == "rw") return tracked = QEMU_PLUGIN_MEM_RW, true;
  return false;
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (unsigned i = 0; i < plugin::vcpus(); ++i)
    for (const qemu_plugin_u64 counter : {inline_accesses, accesses, io_accesses})
      saved.number(qemu_plugin_u64_get(counter, i));
  saved.number(regions.size());
  for (const auto& [base, region] : regions) saved.number(base).number(region.reads).number(region.writes);
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (unsigned i = 0; i < plugin::vcpus(); ++i)
    for (const qemu_plugin_u64 counter : {inline_accesses, accesses, io_accesses})
      plugin::add_to(counter, i, loaded.number());
  for (uint64_t left = loaded.number(); left != 0 && loaded.ok(); --left) {
    Region& region = regions[loaded.number()];
    region.reads += loaded.number();
    region.writes += loaded.number();
  }
  return loaded.done();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.flag("inline", use_inline).flag("callback", use_callback).flag("hwaddr", by_hardware);
  options.flag("haddr", by_hardware)
      .flag("print-accesses", print_accesses)
      .flag("region-summary", region_summary);
  options.add("track", parse_track);
  if (!options.parse(argc, argv)) return -1;
  if (!use_callback && !by_hardware && !region_summary && !print_accesses) use_inline = true;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(All));
  counts_of = plugin::PerVcpu<All>(scoreboard);
  accesses = qemu_plugin_scoreboard_u64_in_struct(scoreboard, Counts, accesses);
  io_accesses = qemu_plugin_scoreboard_u64_in_struct(scoreboard, Counts, io);
  inline_accesses = qemu_plugin_scoreboard_u64_in_struct(scoreboard, All, counted);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
