// Exceptions, interrupts, and the instructions that leave and await them (Privileged 1.12, sections 3.1.6
// to 3.1.16, 3.3, 4.1 and 4.2).
#include "targets/riscv/traps.h"

#include "engine/machine.h"
#include "targets/riscv/aia.h"
#include "targets/riscv/hpm.h"
#include "targets/riscv/hypervisor.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/riscv.h"
#include "targets/riscv/supervisor_timer.h"

namespace hindcast::riscv {
namespace {

/// Where a trap goes.
enum class Level : u8 { Machine, Supervisor, Guest };

struct Trap {
  Level to;
  u64 cause;
  bool interrupt;
  u64 value = 0;
  // With the hypervisor extension.
  bool guest_address = false;  // the value is one
  u64 guest_physical = 0;      // shifted right by 2
  u64 instruction = 0;
};

/// The stack of a status register with sstatus's layout, and the vector's base.
void push(u64& status, bool from_supervisor) {
  const u64 enabled = status & mstatus::kSie;
  status &= ~(mstatus::kSie | mstatus::kSpie | mstatus::kSpp);
  status |= (enabled != 0 ? mstatus::kSpie : 0) | (from_supervisor ? mstatus::kSpp : 0);
}

void enter_machine(const RiscvArch& arch, RiscvState& s, const Trap& trap) {
  s.mepc = s.pc;
  s.mtval = arch.truncate(trap.value);
  const u64 enabled = s.mstatus & mstatus::kMie;
  s.mstatus &= ~(mstatus::kMie | mstatus::kMpie | mstatus::kMpp);
  s.mstatus |= (enabled != 0 ? mstatus::kMpie : 0) | s.privilege << mstatus::kMppShift;
  s.privilege = kMachine;
  if (!arch.features().has(ext::H)) return;
  s.virtual_status = (trap.guest_address ? vstatus::kGva : 0) | (s.virt != 0 ? vstatus::kMpv : 0);
  s.mtval2 = arch.truncate(trap.guest_physical);
  s.mtinst = trap.instruction;
  s.virt = 0;
}

void enter_supervisor(const RiscvArch& arch, RiscvState& s, const Trap& trap) {
  s.sepc = s.pc;
  s.stval = arch.truncate(trap.value);
  push(s.mstatus, s.privilege == kSupervisor);
  if (arch.features().has(ext::H)) {
    s.hstatus &= ~(hstatus::kGva | hstatus::kSpv);
    if (trap.guest_address) s.hstatus |= hstatus::kGva;
    if (s.virt != 0) {
      s.hstatus &= ~hstatus::kSpvp;
      s.hstatus |= hstatus::kSpv | (s.privilege == kSupervisor ? hstatus::kSpvp : 0);
    }
    s.htval = arch.truncate(trap.guest_physical);
    s.htinst = trap.instruction;
    s.virt = 0;
  }
  s.privilege = kSupervisor;
}

void enter_guest(const RiscvArch& arch, RiscvState& s, const Trap& trap) {
  s.vsepc = s.pc;
  s.vstval = arch.truncate(trap.value);
  push(s.vsstatus, s.privilege == kSupervisor);
  s.privilege = kSupervisor;
}

void enter_trap(const RiscvArch& arch, RiscvState& s, const Trap& trap) {
  s.reservation_valid = 0;
  // A guest knows its interrupts by supervisor mode's numbers.
  const u64 cause = trap.interrupt && trap.to == Level::Guest ? trap.cause - 1 : trap.cause;
  const u64 cause_value = trap.interrupt ? cause | u64{1} << (arch.xlen() - 1) : cause;
  u64 vector = 0;
  switch (trap.to) {
    case Level::Machine:
      enter_machine(arch, s, trap);
      s.mcause = cause_value;
      vector = s.mtvec;
      break;
    case Level::Supervisor:
      enter_supervisor(arch, s, trap);
      s.scause = cause_value;
      vector = s.stvec;
      break;
    case Level::Guest:
      enter_guest(arch, s, trap);
      s.vscause = cause_value;
      vector = s.vstvec;
      break;
  }
  const u64 base = vector & ~u64{3};
  const bool vectored = (vector & 3) == 1;
  s.pc = arch.truncate(trap.interrupt && vectored ? base + 4 * cause : base);
}

/// Interrupts that would be taken now, as mip bits: those for the most privileged mode that has any.
struct Deliverable {
  u64 pending = 0;
  Level to = Level::Machine;
};
Deliverable deliverable(const RiscvState& s) {
  const bool machine = s.privilege < kMachine || (s.mstatus & mstatus::kMie) != 0;
  if (machine)
    if (const u64 mine = machine_interrupts(s); mine != 0) return {mine, Level::Machine};
  if (s.privilege == kMachine) return {};
  const bool user = s.privilege == kUser;
  if (user || s.virt != 0 || (s.mstatus & mstatus::kSie) != 0)
    if (const u64 mine = supervisor_interrupts(s); mine != 0) return {mine, Level::Supervisor};
  if (s.virt != 0 && (user || (s.vsstatus & mstatus::kSie) != 0)) return {guest_interrupts(s), Level::Guest};
  return {};
}

/// Whether the value of an exception is an address of a guest's.
bool tells_guest_address(const RiscvState& s, const GuestFault& fault) {
  switch (fault.cause) {
    case cause::kFetchMisaligned:
    case cause::kFetchAccess:
    case cause::kBreakpoint:
    case cause::kFetchPage: return s.virt != 0;
    case cause::kLoadMisaligned:
    case cause::kLoadAccess:
    case cause::kStoreMisaligned:
    case cause::kStoreAccess:
    case cause::kLoadPage:
    case cause::kStorePage: return (fault.detail & fault_detail::kGuestAddress) != 0 || data_actor(s).guest;
    case cause::kFetchGuestPage:
    case cause::kLoadGuestPage:
    case cause::kStoreGuestPage: return true;
    default: return false;
  }
}

bool is_guest_page_fault(u64 cause) {
  return cause == cause::kFetchGuestPage || cause == cause::kLoadGuestPage || cause == cause::kStoreGuestPage;
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
  const auto delegated = [&](u64 causes) { return (causes >> fault.cause & 1) != 0; };
  Trap trap{.to = Level::Machine, .cause = fault.cause, .interrupt = false, .value = fault.value};
  if (s.privilege != kMachine && delegated(s.medeleg))
    trap.to = s.virt != 0 && delegated(s.hedeleg) ? Level::Guest : Level::Supervisor;
  if (cpu_.has(ext::H) && trap.to != Level::Guest) {
    trap.guest_address = tells_guest_address(s, fault);
    if (is_guest_page_fault(fault.cause)) trap.guest_physical = fault.detail >> 2;
    trap.instruction = trap_instruction(*this, vcpu, fault);
  }
  enter_trap(*this, s, trap);
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
  const u64 guest = u64{1} << line & guest_line_mask(*this);
  s.guest_lines = level ? s.guest_lines | guest : s.guest_lines & ~guest;
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
  const unsigned first = first_interrupt(*this, vcpu, ready.to == Level::Machine, ready.pending);
  enter_trap(*this, s, {.to = ready.to, .cause = first, .interrupt = true});
  hpm_settle(*this, vcpu, counting);
}

bool RiscvArch::wakes(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  // Whether or not interrupts are enabled globally.
  return machine_interrupts(s) != 0 || supervisor_interrupts(s) != 0 || guest_interrupts(s) != 0;
}

// ---- helpers

namespace {

/// Who may execute an instruction of supervisor mode's: `trap` is mstatus's bit by which machine mode keeps
/// it from supervisor mode, `guest_trap` that of hstatus for VS mode; 0: none.
Verdict supervisor_verdict(const RiscvState& s, u64 trap, u64 guest_trap) {
  if (s.virt != 0) {
    const bool refused = s.privilege == kUser || (s.hstatus & guest_trap) != 0;
    return refused ? Verdict::Virtual : Verdict::Allowed;
  }
  const bool refused = s.privilege == kUser || (s.privilege == kSupervisor && (s.mstatus & trap) != 0);
  return refused ? Verdict::Illegal : Verdict::Allowed;
}

}  // namespace

u64 illegal_helper(Vcpu& vcpu, u64 bits, u64, u64) { return refuse(vcpu, Verdict::Illegal, bits); }

u64 fetch_misaligned_helper(Vcpu& vcpu, u64 target, u64, u64) {
  vcpu.raise({cause::kFetchMisaligned, target});
  return 0;
}

u64 store_misaligned_helper(Vcpu& vcpu, u64 address, u64, u64) {
  vcpu.raise({cause::kStoreMisaligned, address});
  return 0;
}

u64 ecall_helper(Vcpu& vcpu, u64, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const bool guest = s.virt != 0 && s.privilege == kSupervisor;
  vcpu.raise({guest ? cause::kEcallFromGuest : cause::kEcallFromU + s.privilege, 0});
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
  if (s.privilege != kMachine) {
    s.mstatus &= ~mstatus::kMprv;
    s.virt = (s.virtual_status & vstatus::kMpv) != 0;
  }
  s.virtual_status &= ~vstatus::kMpv;
  hpm_settle(arch_of(vcpu), vcpu, counting);
  return s.mepc;
}

u64 sret_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  RiscvState& s = vcpu.state<RiscvState>();
  const Verdict verdict = supervisor_verdict(s, mstatus::kTsr, hstatus::kVtsr);
  if (verdict != Verdict::Allowed) return refuse(vcpu, verdict, bits);
  const u32 counting = hpm_counting(arch_of(vcpu), s);
  const bool guest = s.virt != 0;
  s.reservation_valid = 0;
  u64& status = guest ? s.vsstatus : s.mstatus;
  s.privilege = (status & mstatus::kSpp) != 0 ? kSupervisor : kUser;
  const u64 previous = status & mstatus::kSpie;
  status &= ~(mstatus::kSie | mstatus::kSpp);
  status |= mstatus::kSpie | (previous != 0 ? mstatus::kSie : 0);
  if (!guest) {
    s.mstatus &= ~mstatus::kMprv;
    s.virt = (s.hstatus & hstatus::kSpv) != 0;
    s.hstatus &= ~hstatus::kSpv;
  }
  hpm_settle(arch_of(vcpu), vcpu, counting);
  return guest ? s.vsepc : s.sepc;
}

/// Whatever was derived from page tables follows them at once: there is nothing to be made to agree.
u64 sfence_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const Verdict verdict = supervisor_verdict(s, mstatus::kTvm, hstatus::kVtvm);
  return verdict != Verdict::Allowed ? refuse(vcpu, verdict, bits) : 0;
}

u64 invalidation_fence_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const Verdict verdict = supervisor_verdict(vcpu.state<RiscvState>(), 0, 0);
  return verdict != Verdict::Allowed ? refuse(vcpu, verdict, bits) : 0;
}

u64 hypervisor_fence_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  if (s.virt != 0) return refuse(vcpu, Verdict::Virtual, bits);
  const bool second_stage = (bits >> 30 & 1) != 0;  // HFENCE.GVMA, HINVAL.GVMA
  const Verdict verdict = supervisor_verdict(s, second_stage ? mstatus::kTvm : 0, 0);
  return verdict != Verdict::Allowed ? refuse(vcpu, verdict, bits) : 0;
}

/// Zawrs: waiting may end for any reason; here it does when the others have had their turns.
u64 wait_on_reservation_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  RiscvState& s = vcpu.state<RiscvState>();
  const bool without_timeout = (bits >> 24 & 1) == 0;
  if (without_timeout && s.privilege != kMachine && (s.mstatus & mstatus::kTw) != 0)
    return illegal_helper(vcpu, bits, 0, 0);
  if (without_timeout && s.virt != 0 && (s.hstatus & hstatus::kVtw) != 0)
    return refuse(vcpu, Verdict::Virtual, bits);
  s.reservation_valid = 0;
  vcpu.machine().end_turn(vcpu);
  return 0;
}

u64 wfi_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  // User mode may not wait where there is a supervisor (3.3.3).
  const bool never = s.privilege == kUser && arch_of(vcpu).features().has(ext::S);
  if ((never && s.virt == 0) || (s.privilege != kMachine && (s.mstatus & mstatus::kTw) != 0))
    return illegal_helper(vcpu, bits, 0, 0);
  if (s.virt != 0 && (never || (s.hstatus & hstatus::kVtw) != 0)) return refuse(vcpu, Verdict::Virtual, bits);
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
