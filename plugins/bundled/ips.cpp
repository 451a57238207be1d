// Holds the run to a number of instructions per second of the host's time, for each vCPU. Options: ips=N
// (with k, m or g: thousands, millions, thousands of millions), ipq=N (instructions between two looks at the
// clock; default: a hundredth of a second's). Virtual time is not changed: the guest does not notice.
#include <time.h>

#include <algorithm>
#include <vector>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kLooksPerSecond = 100;

/// Of one vCPU: since when it has been held to the speed, and how much it has executed since.
struct Pace {
  uint64_t since = 0, executed = 0;
};

uint64_t per_second = 0, per_look = 0;
std::vector<Pace> paces;
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 executed;

uint64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

void look(unsigned vcpu, void*) {
  if (paces.size() <= vcpu) paces.resize(vcpu + 1);
  Pace& pace = paces[vcpu];
  const uint64_t now = now_ns();
  if (pace.since == 0) pace.since = now;
  pace.executed += qemu_plugin_u64_get(executed, vcpu);
  qemu_plugin_u64_set(executed, vcpu, 0);
  const auto due =
      static_cast<uint64_t>(static_cast<double>(pace.executed) / static_cast<double>(per_second) * 1e9);
  const uint64_t until = pace.since + due;
  if (now >= until) {
    // Too slow by itself: time lost is not made up for.
    pace = {now, 0};
    return;
  }
  const timespec end = {static_cast<time_t>(until / kSecond), static_cast<long>(until % kSecond)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, nullptr) != 0) {
  }
}

void translated(qemu_plugin_tb* tb, void*) {
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, executed,
                                                    qemu_plugin_tb_n_insns(tb));
  qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, look, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_GE, executed,
                                            per_look, nullptr);
}

bool parse_speed(const char* text) {
  std::string digits = text;
  uint64_t unit = 1;
  if (!digits.empty() && std::strchr("kmg", digits.back()) != nullptr) {
    unit = digits.back() == 'k' ? 1'000 : digits.back() == 'm' ? 1'000'000 : 1'000'000'000;
    digits.pop_back();
  }
  if (!plugin::Options::parse_number(digits.c_str(), per_second) || per_second > UINT64_MAX / unit)
    return false;
  per_second *= unit;
  return per_second != 0;
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  if (!options.add("ips", parse_speed).number("ipq", per_look, 1).parse(argc, argv)) return -1;
  if (per_second == 0) return plugin::print("ips=N is needed\n"), -1;
  if (per_look == 0) per_look = std::max<uint64_t>(per_second / kLooksPerSecond, 1);
  scoreboard = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  executed = qemu_plugin_scoreboard_u64(scoreboard);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  return 0;
}
