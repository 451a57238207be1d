// Exceptions, interrupts, and the instructions that leave and await them (Privileged 1.12, sections 3.1.6
// to 3.1.16, 3.3).
#include "targets/riscv/traps.h"

#include <algorithm>

#include "engine/machine.h"
#include "targets/riscv/pmp.h"
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {
namespace {

/// Into machine mode at mtvec.
void enter_trap(const RiscvArch& arch, RiscvState& s, u64 cause, u64 value, bool interrupt) {
  s.reservation_valid = 0;
  s.mepc = s.pc;
  s.mcause = interrupt ? cause | u64{1} << (arch.xlen() - 1) : cause;
  s.mtval = arch.truncate(value);
  const u64 enabled = s.mstatus & mstatus::kMie;
  s.mstatus &= ~(mstatus::kMie | mstatus::kMpie | mstatus::kMpp);
  s.mstatus |= (enabled != 0 ? mstatus::kMpie : 0) | s.privilege << mstatus::kMppShift;
  s.privilege = kMachine;
  const u64 base = s.mtvec & ~u64{3};
  const bool vectored = (s.mtvec & 3) == 1;
  s.pc = arch.truncate(interrupt && vectored ? base + 4 * cause : base);
}

/// Interrupts that would be taken now, as mip bits.
u64 deliverable(const RiscvState& s) {
  const bool enabled = s.privilege < kMachine || (s.mstatus & mstatus::kMie) != 0;
  return enabled ? s.mip & s.mie : 0;
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
  enter_trap(*this, s, fault.cause, fault.value, false);
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
  const u64 bit = line < 64 ? u64{1} << line & irq::kAll : 0;
  RiscvState& s = vcpu.state<RiscvState>();
  s.mip = level ? s.mip | bit : s.mip & ~bit;
  if (level) vcpu.request_exit();
}

bool RiscvArch::interrupt_pending(const Vcpu& vcpu) const {
  return deliverable(vcpu.state<RiscvState>()) != 0;
}

void RiscvArch::enter_interrupt(Vcpu& vcpu) const {
  RiscvState& s = vcpu.state<RiscvState>();
  const u64 pending = deliverable(s);
  for (const unsigned line : {irq::kExternal, irq::kSoftware, irq::kTimer}) {  // by priority
    if ((pending >> line & 1) == 0) continue;
    s.not_retired += 1;
    enter_trap(*this, s, line, 0, true);
    return;
  }
}

bool RiscvArch::wakes(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  return (s.mip & s.mie) != 0;  // whether or not interrupts are enabled globally
}

Translation RiscvArch::translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  const u64 privilege = access == Access::Execute ? s.privilege : data_privilege(s);
  const u8 wanted = access == Access::Read    ? pmp::kRead
                    : access == Access::Write ? pmp::kWrite
                                              : pmp::kExecute;
  Translation t;
  t.physical = va;
  if (pmp_summary(*this, vcpu, privilege).restricts == 0) {
    t.ok = true;
    t.granule = u64{1} << page_bits();
    return t;
  }
  for (u64 done = 0; done < size;) {
    const u64 part = std::min<u64>(size - done, kPmpPart - (va + done) % kPmpPart);
    if ((pmp_permissions(*this, s, privilege, va + done, part, nullptr) & wanted) == 0) {
      const GuestFault fault = bus_fault(va + done, access);
      t.cause = fault.cause;
      t.value = fault.value;
      return t;
    }
    done += part;
  }
  t.ok = true;
  // The page, if one permission holds for all of it; else the largest aligned block around the address that
  // has one.
  for (u64 block = u64{1} << page_bits(); block > 1; block >>= 1) {
    bool uniform = false;
    const u8 allowed = pmp_permissions(*this, s, privilege, va & ~(block - 1), block, &uniform);
    if (!uniform || (allowed & wanted) == 0) continue;
    t.granule = block;
    break;
  }
  return t;
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
  const bool user = vcpu.state<RiscvState>().privilege == kUser;
  vcpu.raise({user ? cause::kEcallFromU : cause::kEcallFromM, 0});
  return 0;
}

u64 mret_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  RiscvState& s = vcpu.state<RiscvState>();
  if (s.privilege != kMachine) return illegal_helper(vcpu, bits, 0, 0);
  s.reservation_valid = 0;
  s.privilege = (s.mstatus & mstatus::kMpp) >> mstatus::kMppShift;
  const u64 previous = s.mstatus & mstatus::kMpie;
  s.mstatus &= ~(mstatus::kMie | mstatus::kMpp);
  s.mstatus |= mstatus::kMpie | (previous != 0 ? mstatus::kMie : 0);
  if (!arch_of(vcpu).features().has(ext::U)) s.mstatus |= mstatus::kMpp;  // the only mode there is
  if (s.privilege != kMachine) s.mstatus &= ~mstatus::kMprv;
  return s.mepc;
}

u64 wfi_helper(Vcpu& vcpu, u64 bits, u64, u64) {
  const RiscvState& s = vcpu.state<RiscvState>();
  if (s.privilege != kMachine && (s.mstatus & mstatus::kTw) != 0) return illegal_helper(vcpu, bits, 0, 0);
  if (!arch_of(vcpu).wakes(vcpu)) vcpu.halt();
  return 0;
}

}  // namespace hindcast::riscv
