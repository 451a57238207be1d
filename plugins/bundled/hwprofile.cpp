// Which devices are accessed, and how often. Options: track=read|write (default: both), source (by the
// instruction that made the access), pattern (by the register of the device), match=OFFSET (a line with what
// came before, at each access of this register; several). source and pattern exclude each other.
#include <algorithm>
#include <map>
#include <set>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Counts {
  uint64_t readers = 0, reads = 0, writers = 0, writes = 0;
  std::string name;  // of the register, if somebody has told
  uint64_t all() const { return reads + writes; }
};
struct Device {
  std::string name;
  uint64_t base = 0;
  Counts total;
  std::map<uint64_t, Counts> detail;  // by instruction or register
};

qemu_plugin_mem_rw tracked = QEMU_PLUGIN_MEM_RW;
bool by_source = false, by_register = false;
std::set<uint64_t> matches;
std::map<uint64_t, Device> devices;  // by base address

void count(Counts& counts, unsigned vcpu, bool store) {
  const uint64_t bit = uint64_t{1} << (vcpu % 64);
  if (store) {
    ++counts.writes;
    counts.writers |= bit;
  } else {
    ++counts.reads;
    counts.readers |= bit;
  }
}

std::string columns(const Counts& counts) {
  std::string out;
  if ((tracked & QEMU_PLUGIN_MEM_R) != 0)
    out += plugin::format(", %" PRIx64 ", %" PRIu64, counts.readers, counts.reads);
  if ((tracked & QEMU_PLUGIN_MEM_W) != 0)
    out += plugin::format(", %" PRIx64 ", %" PRIu64, counts.writers, counts.writes);
  return out + '\n';
}

std::string lines_of(const Device& device) {
  std::string out;
  for (const auto& [key, counts] : device.detail)
    out += plugin::format("  %s:%08" PRIx64, by_source ? "pc" : "off", key) +
           (counts.name.empty() ? "" : " " + counts.name) + columns(counts);
  return out;
}

void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* pc) {
  const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
  if (where == nullptr || !qemu_plugin_hwaddr_is_io(where)) return;
  const bool store = qemu_plugin_mem_is_store(info);
  // Kernels map a device where they like, and firmware uses it without page tables: it is one device.
  uint64_t offset = 0, base = address;
  if (hindcast_hwaddr_offset != nullptr) {
    offset = hindcast_hwaddr_offset(where);
    base = qemu_plugin_hwaddr_phys_addr(where) - offset;
  }
  Device& device = devices[base];
  if (device.name.empty()) {
    device.name = qemu_plugin_hwaddr_device_name(where);
    device.base = base;
  }
  if (matches.count(offset) != 0) {
    plugin::print(plugin::format("hwprofile: match @ offset%" PRIx64 ", previous hits\n", offset) +
                  lines_of(device));
  }
  count(device.total, vcpu, store);
  if (!by_source && !by_register && matches.empty()) return;
  Counts& detail = device.detail[by_source ? reinterpret_cast<uint64_t>(pc) : offset];
  if (!by_source && detail.all() == 0 && hindcast_hwaddr_register_name != nullptr) {
    const char* name = hindcast_hwaddr_register_name(where);
    if (name != nullptr) detail.name = name;
  }
  count(detail, vcpu, store);
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS, tracked,
                                     reinterpret_cast<void*>(qemu_plugin_insn_vaddr(insn)));
  }
}

void report(void*) {
  std::vector<const Device*> sorted;
  for (const auto& [base, device] : devices) sorted.push_back(&device);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Device* a, const Device* b) { return a->total.all() > b->total.all(); });
  std::string out;
  if (!by_source && !by_register) {
    out += "Device, Address";
    if ((tracked & QEMU_PLUGIN_MEM_R) != 0) out += ", RCPUs, Reads";
    if ((tracked & QEMU_PLUGIN_MEM_W) != 0) out += ",  WCPUs, Writes";
    out += '\n';
  }
  for (const Device* device : sorted) {
    const char* name = device->name.c_str();
    if (by_source || by_register)
      out += plugin::format("%s @ 0x%" PRIx64 "\n", name, device->base) + lines_of(*device);
    else
      out += plugin::format("%s, 0x%" PRIx64, name, device->base) + columns(device->total);
  }
  plugin::print(out);
}

bool parse_track(const char* text) {
  const std::string value = text;
  if (value == "read") return tracked = QEMU_PLUGIN_MEM_R, true;
  if (value == "write") return tracked = QEMU_PLUGIN_MEM_W, true;
  return false;
}

bool possible(int argc, char** argv) { return !plugin::has_option(argc, argv, "match"); }

void save_counts(plugin::Saved& saved, const Counts& c) {
  saved.number(c.readers).number(c.reads).number(c.writers).number(c.writes).text(c.name);
}
void add_counts(plugin::Loaded& loaded, Counts& c) {
  c.readers |= loaded.number();
  c.reads += loaded.number();
  c.writers |= loaded.number();
  c.writes += loaded.number();
  c.name = loaded.text();
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (const auto& [base, device] : devices) {
    saved.number(base).text(device.name);
    save_counts(saved, device.total);
    saved.number(device.detail.size());
    for (const auto& [key, counts] : device.detail) save_counts(saved.number(key), counts);
  }
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  while (loaded.ok() && !loaded.done()) {
    const uint64_t base = loaded.number();
    Device& device = devices[base];
    device.base = base;
    device.name = loaded.text();
    add_counts(loaded, device.total);
    for (uint64_t left = loaded.number(); left != 0 && loaded.ok(); --left)
      add_counts(loaded, device.detail[loaded.number()]);
  }
  return loaded.ok();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.add("track", parse_track).flag("source", by_source).flag("pattern", by_register);
  options.add("match", [](const char* text) {
    uint64_t offset = 0;
    return plugin::Options::parse_number(text, offset) && (matches.insert(offset), true);
  });
  if (!options.parse(argc, argv)) return -1;
  if (by_source && by_register) return plugin::print("source and pattern exclude each other\n"), -1;
  if (!info->system_emulation) return plugin::print("a user-mode program has no devices\n"), -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(possible, save, merge)
