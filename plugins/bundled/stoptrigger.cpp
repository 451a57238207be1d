// Ends the run. Options: icount=N[:CODE] (before instruction N + 1 of a vCPU; the first is 1),
// addr=ADDRESS[:CODE] (before the instruction there; several). The command then exits with CODE, or 0.
#include <map>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

uint64_t stop_count = 0;
int count_code = 0;
std::map<uint64_t, int> stop_addresses;
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 executed;

[[noreturn]] void stop(const std::string& why, int code) {
  plugin::print(why);
  std::exit(code);
}

void count_reached(unsigned, void* address) {
  stop(plugin::format("icount reached at 0x%" PRIx64 ", exiting\n", reinterpret_cast<uint64_t>(address)),
       count_code);
}

void address_reached(unsigned, void* address) {
  const auto at = reinterpret_cast<uint64_t>(address);
  stop(plugin::format("0x%" PRIx64 " reached, exiting\n", at), stop_addresses.at(at));
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);
    void* const data = reinterpret_cast<void*>(address);
    if (stop_count != 0) {
      // Counted before the condition is looked at: it holds when N instructions have been executed before
      // this one.
      qemu_plugin_register_vcpu_insn_exec_cond_cb(insn, count_reached, QEMU_PLUGIN_CB_NO_REGS,
                                                  QEMU_PLUGIN_COND_EQ, executed, stop_count, data);
      qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, executed, 1);
    }
    if (stop_addresses.count(address) != 0)
      qemu_plugin_register_vcpu_insn_exec_cb(insn, address_reached, QEMU_PLUGIN_CB_NO_REGS, data);
  }
}

/// VALUE[:CODE]
bool parse_trigger(const char* text, uint64_t& value, int& code) {
  const std::string whole = text;
  const std::size_t colon = whole.find(':');
  uint64_t number = 0;
  code = 0;
  if (colon != std::string::npos) {
    if (!plugin::Options::parse_number(whole.c_str() + colon + 1, number) || number > 255) return false;
    code = static_cast<int>(number);
  }
  return plugin::Options::parse_number(whole.substr(0, colon).c_str(), value);
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.add("icount", [](const char* text) {
    return parse_trigger(text, stop_count, count_code) && stop_count != 0;
  });
  options.add("addr", [](const char* text) {
    uint64_t address = 0;
    int code = 0;
    return parse_trigger(text, address, code) && (stop_addresses[address] = code, true);
  });
  if (!options.parse(argc, argv)) return -1;
  if (stop_count == 0 && stop_addresses.empty())
    return plugin::print("icount=N or addr=ADDRESS is needed\n"), -1;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  executed = qemu_plugin_scoreboard_u64(scoreboard);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  return 0;
}
