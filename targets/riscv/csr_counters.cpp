// Counters (unprivileged manual, chapter 10; Privileged, sections 3.1.10 to 3.1.12). All are functions of
// icount: a cycle is an attempt of the machine, so that cycles pass at the same pace as virtual time;
// instructions retired are the vCPU's own attempts less those that trapped. While one is inhibited its offset
// is its value.
#include "engine/machine.h"
#include "targets/devices/clint.h"
#include "targets/riscv/csr.h"
#include "targets/riscv/hpm.h"

namespace hindcast::riscv {
namespace {

constexpr unsigned kCycle = 0, kTime = 1, kInstret = 2;

u64 base_of(const Vcpu& vcpu, unsigned which) {
  return which == kCycle ? vcpu.icount() : vcpu.executed() - vcpu.state<RiscvState>().not_retired;
}

u64& offset_of(const Vcpu& vcpu, unsigned which) {
  RiscvState& s = vcpu.state<RiscvState>();
  return which == kCycle ? s.mcycle_offset : s.minstret_offset;
}

bool inhibited(const Vcpu& vcpu, unsigned which) {
  return (vcpu.state<RiscvState>().mcountinhibit >> which & 1) != 0;
}

u64 value_of(const Vcpu& vcpu, unsigned which) {
  if (which == kTime) {
    const RiscvState& s = vcpu.state<RiscvState>();
    return time_ticks(vcpu) + (s.virt != 0 ? s.htimedelta : 0);
  }
  return offset_of(vcpu, which) + (inhibited(vcpu, which) ? 0 : base_of(vcpu, which));
}

/// A write takes effect when its instruction has retired: the next instruction reads the value written.
u64 base_after(const Vcpu& vcpu, unsigned which) { return base_of(vcpu, which) + 1; }

}  // namespace

u64 time_ticks(const Vcpu& vcpu) {
  Machine& machine = vcpu.machine();
  const VirtualNs now = machine.clock().time_at(vcpu.icount());
  if (const auto* clint = machine.extension<devices::Clint>("riscv.clint")) return clint->mtime_at(now);
  return now / (1'000'000'000 / kTimebaseHz);
}

VirtualNs time_tick_ns(const Machine& machine) {
  const auto* clint = machine.extension<devices::Clint>("riscv.clint");
  return clint != nullptr ? clint->tick_ns() : 1'000'000'000 / kTimebaseHz;
}

u64 counter_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  const u64 value = value_of(vcpu, number & 31);
  return (number & 0x80) != 0 ? value >> 32 : arch.truncate(value);
}

void counter_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  const unsigned which = number & 31;
  const u64 old = value_of(vcpu, which);
  if (arch.xlen() == 32) {
    value = (number & 0x80) != 0 ? (value << 32) | static_cast<u32>(old)
                                 : (old & ~u64{0xffff'ffff}) | static_cast<u32>(value);
  }
  offset_of(vcpu, which) = value - (inhibited(vcpu, which) ? 0 : base_after(vcpu, which));
}

u64 inhibit_read(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  return vcpu.state<RiscvState>().mcountinhibit;
}

void inhibit_write(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  const u32 counting = hpm_counting(arch, vcpu.state<RiscvState>());
  for (const unsigned which : {kCycle, kInstret}) {
    const bool before = inhibited(vcpu, which), after = (value >> which & 1) != 0;
    if (before == after) continue;
    const u64 base = base_after(vcpu, which);
    offset_of(vcpu, which) += after ? base : u64{0} - base;
  }
  vcpu.state<RiscvState>().mcountinhibit = value & inhibitable(arch);
  hpm_settle(arch, vcpu, counting);
}

}  // namespace hindcast::riscv
