// The system calls of a user-mode program: how often each was made, and how often it failed. Options: print
// (a line for each call and its result instead), log_writes (the bytes of each write()), write=N
// (the number of that call; 64, which most architectures have).
#include <algorithm>
#include <map>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Statistics {
  int64_t calls = 0, errors = 0;
};

constexpr uint64_t kGenericWrite = 64;

bool print_calls = false, log_writes = false;
uint64_t write_number = kGenericWrite;
std::map<int64_t, Statistics> statistics;

void log_bytes(uint64_t address, uint64_t size) {
  constexpr uint64_t kPerLine = 16;
  GByteArray* bytes = g_byte_array_new();
  if (!qemu_plugin_read_memory_vaddr(address, bytes, size)) {
    plugin::print(plugin::format("0x%" PRIx64 " cannot be read\n", address));
  } else {
    std::string out;
    for (uint64_t at = 0; at < size; at += kPerLine) {
      std::string text;
      for (uint64_t i = at; i < at + kPerLine; ++i) {
        out += i < size ? plugin::format("%02x ", bytes->data[i]) : "   ";
        if (i < size)
          text += bytes->data[i] >= ' ' && bytes->data[i] < 0x7f ? static_cast<char>(bytes->data[i]) : '.';
      }
      out += " | " + text + '\n';
    }
    plugin::print(out);
  }
  g_byte_array_unref(bytes);
}

void called(unsigned, int64_t number, uint64_t, uint64_t a2, uint64_t a3, uint64_t, uint64_t, uint64_t,
            uint64_t, uint64_t, void*) {
  ++statistics[number].calls;
  if (print_calls) plugin::print(plugin::format("syscall #%" PRId64 "\n", number));
  if (log_writes && number == static_cast<int64_t>(write_number)) log_bytes(a2, a3);
}

void returned(unsigned, int64_t number, int64_t result, void*) {
  if (result < 0) ++statistics[number].errors;
  if (print_calls)
    plugin::print(plugin::format("syscall #%" PRId64 " returned -> %" PRId64 "\n", number, result));
}

void report(void*) {
  if (print_calls) return;
  std::vector<std::pair<int64_t, Statistics>> sorted(statistics.begin(), statistics.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.calls > b.second.calls; });
  std::string out = "syscall no.  calls  errors\n";
  for (const auto& [number, s] : sorted)
    out += plugin::format("%-13" PRId64 "%-6" PRId64 " %" PRId64 "\n", number, s.calls, s.errors);
  plugin::print(out);
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (const auto& [number, s] : statistics)
    saved.number(static_cast<uint64_t>(number))
        .number(static_cast<uint64_t>(s.calls))
        .number(static_cast<uint64_t>(s.errors));
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  while (loaded.ok() && !loaded.done()) {
    Statistics& s = statistics[static_cast<int64_t>(loaded.number())];
    s.calls += static_cast<int64_t>(loaded.number());
    s.errors += static_cast<int64_t>(loaded.number());
  }
  return loaded.ok();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.flag("print", print_calls).flag("log_writes", log_writes).number("write", write_number);
  if (!options.parse(argc, argv)) return -1;
  qemu_plugin_register_vcpu_syscall_cb(id, called, nullptr);
  qemu_plugin_register_vcpu_syscall_ret_cb(id, returned, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
