// Checks what plugins are told of interrupts, exceptions and calls of the host against the instructions that
// run: each begins where the last one, a branch or such an event leads. Prints how many there were. Options:
// abort (end the process at the first mismatch), trace-all (a line for each instruction and event).
#include <vector>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Cpu {
  bool begun = false;
  uint64_t first = 0;           // instruction of all
  uint64_t last = 0, next = 0;  // the last instruction, and the one behind it
  bool ends_block = false;      // the last may branch
  bool expects = false;         // an event says where it goes on
  uint64_t expected = 0;
  const char* event = "none";
  uint64_t interrupts = 0, exceptions = 0, host_calls = 0, mismatches = 0;
};
struct Insn {
  uint64_t address, next;
  bool ends_block;
};

bool end_at_mismatch = false, trace_all = false;
std::vector<Cpu> cpus;

Cpu& cpu_of(unsigned vcpu) {
  if (cpus.size() <= vcpu) cpus.resize(vcpu + 1);
  return cpus[vcpu];
}

void mismatch(unsigned vcpu, Cpu& cpu, const char* what, uint64_t expected, uint64_t found) {
  ++cpu.mismatches;
  plugin::print(plugin::format("Discon %s PC mismatch on VCPU %u\nExpected:      %" PRIx64
                               "\nEncountered:   %" PRIx64 "\nExecuted Last: %" PRIx64
                               "\nEvent type:    %s\n",
                               what, vcpu, expected, found, cpu.last, cpu.event));
  if (end_at_mismatch) std::abort();
}

void happened(unsigned vcpu, qemu_plugin_discon_type type, uint64_t from, uint64_t to, void*) {
  Cpu& cpu = cpu_of(vcpu);
  const char* name = "hostcall";
  if (type == QEMU_PLUGIN_DISCON_INTERRUPT) {
    name = "interrupt";
    ++cpu.interrupts;
  } else if (type == QEMU_PLUGIN_DISCON_EXCEPTION) {
    name = "exception";
    ++cpu.exceptions;
  } else {
    ++cpu.host_calls;
  }
  if (trace_all)
    plugin::print(
        plugin::format("Discon %s from %" PRIx64 " to %" PRIx64 " on VCPU %u\n", name, from, to, vcpu));
  // An event comes from where the last one has led, from behind the last instruction, or from that itself (it
  // has not been completed); behind a branch from anywhere.
  cpu.event = name;
  if (cpu.expects) {
    if (from != cpu.expected) mismatch(vcpu, cpu, "source", cpu.expected, from);
  } else if (cpu.begun && !cpu.ends_block && from != cpu.next && from != cpu.last) {
    mismatch(vcpu, cpu, "source", cpu.next, from);
  }
  cpu.expects = true;
  cpu.expected = to;
}

void executed(unsigned vcpu, void* data) {
  Cpu& cpu = cpu_of(vcpu);
  const auto& insn = *static_cast<const Insn*>(data);
  if (cpu.expects) {
    if (insn.address != cpu.expected) mismatch(vcpu, cpu, "target", cpu.expected, insn.address);
  } else if (cpu.begun && !cpu.ends_block && insn.address != cpu.next) {
    cpu.event = "none";
    mismatch(vcpu, cpu, "target", cpu.next, insn.address);
  }
  if (trace_all) plugin::print(plugin::format("Exec insn at %" PRIx64 " on VCPU %u\n", insn.address, vcpu));
  if (!std::exchange(cpu.begun, true)) cpu.first = insn.address;
  cpu.expects = false;
  cpu.last = insn.address;
  cpu.next = insn.next;
  cpu.ends_block = insn.ends_block;
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);
    // Blocks that are translated again want new ones: the old ones may be waiting to be compared.
    auto* data = new Insn{address, address + qemu_plugin_insn_size(insn), i + 1 == n};
    qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS, data);
  }
}

void report(void*) {
  std::string out = "VCPU, interrupts, exceptions, hostcalls, mismatches\n";
  for (std::size_t i = 0; i < cpus.size(); ++i)
    out += plugin::format("%4zu, %10" PRIu64 ", %10" PRIu64 ", %10" PRIu64 ", %10" PRIu64 "\n", i,
                          cpus[i].interrupts, cpus[i].exceptions, cpus[i].host_calls, cpus[i].mismatches);
  plugin::print(out);
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  for (const Cpu& cpu : cpus) {
    saved.number(cpu.begun ? 1 : 0).number(cpu.first).number(cpu.last).number(cpu.next);
    saved.number(cpu.ends_block ? 1 : 0).number(cpu.expects ? 1 : 0).number(cpu.expected);
    saved.number(cpu.interrupts).number(cpu.exceptions).number(cpu.host_calls).number(cpu.mismatches);
  }
}

/// A part begins at an instruction where no event happens: only that is compared with what came before.
bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (unsigned vcpu = 0; loaded.ok() && !loaded.done(); ++vcpu) {
    Cpu& cpu = cpu_of(vcpu);
    const bool begun = loaded.number() != 0;
    const uint64_t first = loaded.number();
    const uint64_t expected = cpu.expects ? cpu.expected : cpu.next;
    if (begun && cpu.begun && (cpu.expects || !cpu.ends_block) && first != expected)
      mismatch(vcpu, cpu, "target", expected, first);
    if (!cpu.begun) cpu.first = first;
    cpu.begun = cpu.begun || begun;
    cpu.last = loaded.number();
    cpu.next = loaded.number();
    cpu.ends_block = loaded.number() != 0;
    cpu.expects = loaded.number() != 0;
    cpu.expected = loaded.number();
    cpu.interrupts += loaded.number();
    cpu.exceptions += loaded.number();
    cpu.host_calls += loaded.number();
    cpu.mismatches += loaded.number();
  }
  return loaded.ok();
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().flag("abort", end_at_mismatch).flag("trace-all", trace_all).parse(argc, argv))
    return -1;
  qemu_plugin_register_vcpu_discon_cb(id, QEMU_PLUGIN_DISCON_ALL, happened, nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS(nullptr, save, merge)
