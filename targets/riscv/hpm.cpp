#include "targets/riscv/hpm.h"

#include <algorithm>
#include <string>

#include "engine/machine.h"
#include "targets/riscv/csr.h"

namespace hindcast::riscv {
namespace {

constexpr unsigned kFirst = 3;
constexpr u32 kAllBits = ((1u << kHpmCounters) - 1) << kFirst;
constexpr u64 kFar = kNever / 2;         // what is further away is out of sight
constexpr unsigned kHighEvents = 0x700;  // mhpmevent#h

u64 base_of(const Vcpu& vcpu, u64 event) {
  if ((event & hpm::kEventMask) == hpm::kCycles) return vcpu.icount();
  return vcpu.executed() - vcpu.state<RiscvState>().not_retired;
}

bool counts(const RiscvState& s, unsigned n) {
  const u64 event = s.hpm[n].event, number = event & hpm::kEventMask;
  if (number != hpm::kCycles && number != hpm::kInstructions) return false;
  if ((s.mcountinhibit >> (kFirst + n) & 1) != 0) return false;
  const u64 here = s.privilege == kMachine      ? hpm::kNotMachine
                   : s.privilege == kSupervisor ? hpm::kNotSupervisor
                                                : hpm::kNotUser;
  const u64 filter = s.virt != 0 ? here >> hpm::kGuestShift : here;
  return (event & filter) == 0;
}

/// Makes `value` the counter's when the base has reached `base`; from then on it counts, if it does.
void restart(HpmCounter& counter, u64 value, u64 base, bool counting) {
  counter.offset = value - (counting ? base : 0);
  const u64 left = u64{0} - value;
  counter.due = counting && value != 0 && base < kFar && left < kFar - base ? base + left : kNever;
}

void overflow(Vcpu& vcpu, HpmCounter& counter) {
  counter.due = kNever;
  if ((counter.event & hpm::kOverflow) != 0) return;
  counter.event |= hpm::kOverflow;
  vcpu.state<RiscvState>().mip |= u64{1} << irq::kCounterOverflow;
  vcpu.request_exit();
}

u64 low_or_high(const RiscvArch& arch, u64 old, u64 value, bool high) {
  if (arch.xlen() != 32) return value;
  return high ? value << 32 | static_cast<u32>(old) : (old & ~u64{0xffff'ffff}) | static_cast<u32>(value);
}

u64 event_mask(const RiscvArch& arch) {
  u64 mask = hpm::kOverflow | hpm::kNotMachine | hpm::kEventMask;
  if (arch.features().has(ext::S)) mask |= hpm::kNotSupervisor;
  if (arch.features().has(ext::U)) mask |= hpm::kNotUser;
  if (arch.features().has(ext::H)) mask |= (hpm::kNotSupervisor | hpm::kNotUser) >> hpm::kGuestShift;
  return mask;
}

u64 value_of(const Vcpu& vcpu, unsigned n) {
  const RiscvState& s = vcpu.state<RiscvState>();
  return s.hpm[n].offset + (counts(s, n) ? base_of(vcpu, s.hpm[n].event) : 0);
}

}  // namespace

bool hpm_is_counter(const RiscvArch& arch, unsigned number) {
  const unsigned n = number & 31;
  return arch.features().has(ext::Sscofpmf) && n >= kFirst && n < kFirst + kHpmCounters;
}

u32 hpm_counting(const RiscvArch& arch, const RiscvState& s) {
  u32 set = 0;
  if (!arch.features().has(ext::Sscofpmf)) return set;
  for (unsigned n = 0; n < kHpmCounters; ++n) set |= u32{counts(s, n)} << (kFirst + n);
  return set;
}

void hpm_settle(const RiscvArch& arch, Vcpu& vcpu, u32 before) {
  if (!arch.features().has(ext::Sscofpmf)) return;
  RiscvState& s = vcpu.state<RiscvState>();
  const u32 after = hpm_counting(arch, s);
  if (before == after) return;
  for (unsigned n = 0; n < kHpmCounters; ++n) {
    if (((before ^ after) >> (kFirst + n) & 1) == 0) continue;
    HpmCounter& counter = s.hpm[n];
    const bool counted = (before >> (kFirst + n) & 1) != 0;
    const u64 base = base_of(vcpu, counter.event) + 1;
    if (counted && counter.due <= base) overflow(vcpu, counter);
    restart(counter, counter.offset + (counted ? base : 0), base, !counted);
  }
  hpm_arm(arch, vcpu);
}

void hpm_check(const RiscvArch& arch, Vcpu& vcpu) {
  for (HpmCounter& counter : vcpu.state<RiscvState>().hpm)
    if (counter.due <= base_of(vcpu, counter.event)) overflow(vcpu, counter);
  hpm_arm(arch, vcpu);
}

void hpm_arm(const RiscvArch& arch, Vcpu& vcpu) {
  if (!arch.features().has(ext::Sscofpmf)) return;
  const RiscvState& s = vcpu.state<RiscvState>();
  Vcpu::Deadlines next;
  for (const HpmCounter& counter : s.hpm) {
    if (counter.due == kNever) continue;
    if ((counter.event & hpm::kEventMask) == hpm::kCycles)
      next.icount = std::min(next.icount, counter.due);
    else if (s.not_retired < kFar)  // no earlier than if all that the vCPU tries from now on retires
      next.executed = std::min(next.executed, counter.due + s.not_retired);
  }
  vcpu.set_deadlines(next);
}

u64 inhibitable(const RiscvArch& arch) {
  return kInhibitable | (arch.features().has(ext::Sscofpmf) ? kAllBits : 0);
}

bool hpm_keep_legal(const RiscvArch& arch, RiscvState& s) {
  bool legal = true;
  for (HpmCounter& counter : s.hpm) {
    const u64 event = counter.event & event_mask(arch);
    const u64 due = counter.due < kFar ? counter.due : kNever;
    legal = legal && event == counter.event && due == counter.due;
    counter.event = event;
    counter.due = due;
  }
  return legal;
}

void hpm_state(const RiscvArch& arch, RiscvState& s, Archive& ar) {
  if (!arch.features().has(ext::Sscofpmf)) return;
  for (unsigned n = 0; n < kHpmCounters; ++n) {
    const std::string name = "mhpmcounter" + std::to_string(kFirst + n);
    ar.field((name + "_event").c_str(), s.hpm[n].event);
    ar.field((name + "_offset").c_str(), s.hpm[n].offset);
    ar.field((name + "_due").c_str(), s.hpm[n].due);
  }
}

// ---- CSRs

u64 hpm_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  if (!hpm_is_counter(arch, number)) return 0;
  const u64 value = value_of(vcpu, (number & 31) - kFirst);
  return (number & 0x80) != 0 ? value >> 32 : arch.truncate(value);
}

void hpm_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  if (!hpm_is_counter(arch, number)) return;
  const unsigned n = (number & 31) - kFirst;
  RiscvState& s = vcpu.state<RiscvState>();
  value = low_or_high(arch, value_of(vcpu, n), value, (number & 0x80) != 0);
  restart(s.hpm[n], value, base_of(vcpu, s.hpm[n].event) + 1, counts(s, n));
  hpm_arm(arch, vcpu);
}

u64 hpm_event_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  if (!hpm_is_counter(arch, number)) return 0;
  const u64 event = vcpu.state<RiscvState>().hpm[(number & 31) - kFirst].event;
  return number >= kHighEvents ? event >> 32 : arch.truncate(event);
}

void hpm_event_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  if (!hpm_is_counter(arch, number)) return;
  const unsigned n = (number & 31) - kFirst;
  RiscvState& s = vcpu.state<RiscvState>();
  HpmCounter& counter = s.hpm[n];
  // The write itself still counts by what was before, but what it overflows is lost.
  const u64 now = value_of(vcpu, n) + (counts(s, n) ? 1 : 0);
  counter.event = low_or_high(arch, counter.event, value, number >= kHighEvents) & event_mask(arch);
  restart(counter, now, base_of(vcpu, counter.event) + 1, counts(s, n));
  hpm_arm(arch, vcpu);
}

u64 scountovf_read(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  const RiscvState& s = vcpu.state<RiscvState>();
  u64 set = 0;
  for (unsigned n = 0; n < kHpmCounters; ++n) set |= (s.hpm[n].event >> 63) << (kFirst + n);
  if (s.virt != 0) set &= s.hcounteren;
  return s.privilege == kMachine ? set : set & s.mcounteren;
}

}  // namespace hindcast::riscv
