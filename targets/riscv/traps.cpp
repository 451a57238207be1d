// Exceptions, interrupts, and the instructions that leave and await them (Privileged 1.12, sections 3.1.6
// to 3.1.16, 3.3, 4.1 and 4.2).
#include "targets/riscv/traps.h"

#include "engine/machine.h"
#include "targets/riscv/aia.h"
#include "targets/riscv/hpm.h"
#include "targets/riscv/riscv.h"
#include "targets/riscv/supervisor_timer.h"

namespace hindcast::riscv {
namespace {

/// Into machine mode at mtvec, or into supervisor mode at stvec.
void enter_trap(const RiscvArch& arch, RiscvState& s, bool machine, u64 cause, u64 value, bool interrupt) {
  s.reservation_valid = 0;
  const u64 cause_value = interrupt ? cause | u64{1} << (arch.xlen() - 1) : cause;
  u64 vector = s.mtvec;
  if (!machine) {
    s.sepc = s.pc;
    s.scause = cause_value;
    s.stval = arch.truncate(value);
    const u64 enabled = s.mstatus & mstatus::kSie;
    s.mstatus &= ~(mstatus::kSie | mstatus::kSpie | mstatus::kSpp);
    s.mstatus |= (enabled != 0 ? mstatus::kSpie : 0) | (s.privilege == kSupervisor ? mstatus::kSpp : 0);
    s.privilege = kSupervisor;
    vector = s.stvec;
  } else {
    s.mepc = s.pc;
    s.mcause = cause_value;
    s.mtval = arch.truncate(value);
    const u64 enabled = s.mstatus & mstatus::kMie;
    s.mstatus &= ~(mstatus::kMie | mstatus::kMpie | mstatus::kMpp);
    s.mstatus |= (enabled != 0 ? mstatus::kMpie : 0) | s.privilege << mstatus::kMppShift;
    s.privilege = kMachine;
  }
  const u64 base = vector & ~u64{3};
  const bool vectored = (vector & 3) == 1;
  s.pc = arch.truncate(interrupt && vectored ? base + 4 * cause : base);
}

/// Interrupts that would be taken now, as mip bits: those for the most privileged mode that has any.
struct Deliverable {
  u64 pending = 0;
  bool machine = false;
};
Deliverable deliverable(const RiscvState& s) {
  const bool machine = s.privilege < kMachine || (s.mstatus & mstatus::kMie) != 0;
  if (machine)
    if (const u64 mine = machine_interrupts(s); mine != 0) return {mine, true};
  const bool supervisor =
      s.privilege < kSupervisor || (s.privilege == kSupervisor && (s.mstatus & mstatus::kSie) != 0);
  return {supervisor ? supervisor_interrupts(s) : 0, false};
}

const RiscvArch& arch_of(const Vcpu& vcpu) { return static_cast<const RiscvArch&>(vcpu.arch()); }

}  // namespace

u64 data_privilege(const RiscvState& s) {
  return (s.mstatus & mstatus::kMprv) != 0 ? (s.mstatus & mstatus::kMpp) >> mstatus::kMppShift : s.privilege;
}

void RiscvArch::enter_exception(Vcpu& vcpu, const GuestFault& fault) const {
  RiscvState& s = vcpu.state<RiscvState>();
  s.not_retired += kAttemptsPerException;
  // The handler's first instruction raised what was raised before, with interrupts off: so will the next
  // attempt.
  constexpr u64 kStack = mstatus::kMie | mstatus::kMpie | mstatus::kMpp;
  const bool again = s.pc == (s.mtvec & ~u64{3}) && s.pc == s.mepc && s.mcause == fault.cause &&
                     s.mtval == truncate(fault.value) && s.privilege == kMachine &&
                     (s.mstatus & kStack) == mstatus::kMpp;
  const u32 counting = hpm_counting(*this, s);
  const bool machine = s.privilege == kMachine || (s.medeleg >> fault.cause & 1) == 0;
  enter_trap(*this, s, machine, fault.cause, fault.value, false);
  hpm_settle(*this, vcpu, counting);
  if (again) vcpu.machine().note_stuck();
}

GuestFault RiscvArch::bus_fault(GuestAddr va, Access access) const {
  switch (access) {
    case Access::Read: return {cause::kLoadAccess, va};
    case Access::Write: return {cause::kStoreAccess, va};
    case Access::Execute: return {cause::kFetchAccess, va};
  }
  return {};
}

GuestFault RiscvArch::misaligned_fault(GuestAddr va, Access access) const {
  switch (access) {
    case Access::Read: return {cause::kLoadMisaligned, va};
    case Access::Write: return {cause::kStoreMisaligned, va};
    case Access::Execute: return {cause::kFetchMisaligned, va};
  }
  return {};
}

void RiscvArch::set_irq(Vcpu& vcpu, unsigned line, bool level) const {
  if (line >= 64) return;
  RiscvState& s = vcpu.state<RiscvState>();
  const u64 machine = u64{1} << line & irq::kMachineLines;
  const u64 supervisor = u64{1} << line & supervisor_line_mask(*this);
  s.mip = level ? s.mip | machine : s.mip & ~machine;
  s.supervisor_lines = level ? s.supervisor_lines | supervisor : s.supervisor_lines & ~supervisor;
  if (level) vcpu.request_exit();
}

bool RiscvArch::interrupt_pending(const Vcpu& vcpu) const {
  return deliverable(vcpu.state<RiscvState>()).pending != 0;
}

void RiscvArch::enter_interrupt(Vcpu& vcpu) const {
  RiscvState& s = vcpu.state<RiscvState>();
  const Deliverable ready = deliverable(s);
  if (ready.pending == 0) return;
  s.not_retired += 1;
  const u32 counting = hpm_counting(*this, s);
  enter_trap(*this, s, ready.machine, first_interrupt(*this, vcpu, ready.machine, ready.pending), 0, true);
  hpm_settle(*this, vcpu, counting);
}

bool RiscvArch::wakes(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  // Whether or not interrupts are enabled globally.
  return machine_interrupts(s) != 0 || supervisor_interrupts(s) != 0;
}

// ---- helpers

u64 illegal_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  vcpu.raise({cause::kIllegalInsn, bits});
  return 0;
}

u64 fetch_misaligned_helper(Vcpu& vcpu, u64 target, u64, u64) {
  vcpu.raise({cause::kFetchMisaligned, target});
  return 0;
}

u64 store_misaligned_helper(Vcpu& vcpu, u64 address, u64, u64) {
  vcpu.raise({cause::kStoreMisaligned, address});
  return 0;
}

u64 ecall_helper(Vcpu& vcpu, u64, u64, u64) {
  vcpu.raise({cause::kEcallFromU + vcpu.state<RiscvState>().privilege, 0});
  return 0;
}

u64 mret_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  RiscvState& s = vcpu.state<RiscvState>();
  if (s.privilege != kMachine) return illegal_helper(vcpu, bits, 0, 0);
  const u32 counting = hpm_counting(arch_of(vcpu), s);
  s.reservation_valid = 0;
  s.privilege = (s.mstatus & mstatus::kMpp) >> mstatus::kMppShift;
  const u64 previous = s.mstatus & mstatus::kMpie;
  s.mstatus &= ~(mstatus::kMie | mstatus::kMpp);
  s.mstatus |= mstatus::kMpie | (previous != 0 ? mstatus::kMie : 0);
  if (!arch_of(vcpu).features().has(ext::U)) s.mstatus |= mstatus::kMpp;  // the only mode there is
  if (s.privilege != kMachine) s.mstatus &= ~mstatus::kMprv;
  hpm_settle(arch_of(vcpu), vcpu, counting);
  return s.mepc;
}

u64 sret_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  RiscvState& s = vcpu.state<RiscvState>();
  const bool trapped = s.privilege == kSupervisor && (s.mstatus & mstatus::kTsr) != 0;
  if (s.privilege == kUser || trapped) return illegal_helper(vcpu, bits, 0, 0);
  const u32 counting = hpm_counting(arch_of(vcpu), s);
  s.reservation_valid = 0;
  s.privilege = (s.mstatus & mstatus::kSpp) != 0 ? kSupervisor : kUser;
  const u64 previous = s.mstatus & mstatus::kSpie;
  s.mstatus &= ~(mstatus::kSie | mstatus::kSpp | mstatus::kMprv);
  s.mstatus |= mstatus::kSpie | (previous != 0 ? mstatus::kSie : 0);
  hpm_settle(arch_of(vcpu), vcpu, counting);
  return s.sepc;
}

/// Whatever was derived from page tables follows them at once: there is nothing to be made to agree.
u64 sfence_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const bool trapped = s.privilege == kSupervisor && (s.mstatus & mstatus::kTvm) != 0;
  return s.privilege == kUser || trapped ? illegal_helper(vcpu, bits, 0, 0) : 0;
}

u64 invalidation_fence_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  return vcpu.state<RiscvState>().privilege == kUser ? illegal_helper(vcpu, bits, 0, 0) : 0;
}

/// Zawrs: waiting may end for any reason; here it does when the others have had their turns.
u64 wait_on_reservation_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  RiscvState& s = vcpu.state<RiscvState>();
  const bool without_timeout = (bits >> 24 & 1) == 0;
  if (without_timeout && s.privilege != kMachine && (s.mstatus & mstatus::kTw) != 0)
    return illegal_helper(vcpu, bits, 0, 0);
  s.reservation_valid = 0;
  vcpu.machine().end_turn(vcpu);
  return 0;
}

u64 wfi_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  // User mode may not wait where there is a supervisor (3.3.3).
  const bool never = s.privilege == kUser && arch_of(vcpu).features().has(ext::S);
  if (never || (s.privilege != kMachine && (s.mstatus & mstatus::kTw) != 0))
    return illegal_helper(vcpu, bits, 0, 0);
  // What an interrupt that is pending but not taken does not let wait is most likely a loop around this
  // instruction, until another hart changes something.
  if (arch_of(vcpu).wakes(vcpu))
    vcpu.machine().end_turn(vcpu);
  else
    vcpu.halt();
  return 0;
}

u64 pause_helper(Vcpu& vcpu, u64, u64, u64) {
  vcpu.machine().end_turn(vcpu);
  return 0;
}

}  // namespace hindcast::riscv
