// What the engine asks about address spaces.
#include "engine/machine.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/pmp.h"

namespace hindcast::riscv {
namespace {

/// The root and mode of the tables, then the bits given.
u64 space_number(const RiscvArch& arch, const RiscvState& s, u64 bits) {
  return satp::mode(arch, s.satp) << 60 | root_table(arch, s.satp) >> kPageBits << 8 | bits;
}

/// The same of a guest's, whose two roots have no room: no satp has that mode.
u64 guest_space_number(const RiscvArch& arch, const Vcpu& vcpu, u64 bits) {
  constexpr u64 kGuestSpace = u64{15} << 60;
  RiscvState& s = vcpu.state<RiscvState>();
  if (s.guest_space == 0) {
    const auto root = [&](u64 atp) { return satp::mode(arch, atp) << 60 | root_table(arch, atp); };
    const u64 description[] = {kGuestSpace, root(s.vsatp), root(s.hgatp)};
    s.guest_space = vcpu.machine().context_numbers().number(description);
  }
  return kGuestSpace | s.guest_space << 8 | bits;
}

constexpr u64 kUnpaged = u64{1} << 7;  // of a space's number

/// Checks an access of `size` bytes that begins at `va` and whose first byte is at `pa`.
Translation check_physical(const RiscvArch& arch, const Vcpu& vcpu, GuestAddr va, GuestAddr pa, unsigned size,
                           Access access, u64 privilege) {
  const u8 wanted = access == Access::Read    ? pmp::kRead
                    : access == Access::Write ? pmp::kWrite
                                              : pmp::kExecute;
  Translation t;
  t.physical = pa;
  const u64 page = u64{1} << kPageBits;
  if (pmp_summary(arch, vcpu, privilege).restricts == 0) {
    t.ok = true;
    t.granule = page;
    return t;
  }
  // Mostly one permission holds for the page.
  bool uniform = false;
  const u8 all = pmp_permissions(arch, vcpu, privilege, pa & ~(page - 1), page, &uniform);
  if (uniform && (all & wanted) != 0 && pa % page + size <= page) {
    t.ok = true;
    t.granule = page;
    return t;
  }
  for (u64 done = 0; done < size;) {
    const u64 part = std::min<u64>(size - done, kPmpPart - (pa + done) % kPmpPart);
    if ((pmp_permissions(arch, vcpu, privilege, pa + done, part, nullptr) & wanted) == 0) {
      const GuestFault fault = arch.bus_fault(va + done, access);
      t.cause = fault.cause;
      t.value = fault.value;
      return t;
    }
    done += part;
  }
  t.ok = true;
  // The page, if one permission holds for all of it; else the largest aligned block around the address that
  // has one.
  for (u64 block = page; block > 1; block >>= 1) {
    const u8 allowed = pmp_permissions(arch, vcpu, privilege, pa & ~(block - 1), block, &uniform);
    if (!uniform || (allowed & wanted) == 0) continue;
    t.granule = block;
    break;
  }
  return t;
}

Translation translate_for(const RiscvArch& arch, Vcpu& vcpu, GuestAddr va, unsigned size, Access access,
                          WalkFor purpose) {
  const RiscvState& s = vcpu.state<RiscvState>();
  const Actor actor = access == Access::Execute ? fetch_actor(s) : data_actor(s);
  GuestAddr pa = va;
  if (paged(arch, s, actor)) {
    const Walk walk = walk_page_table(arch, vcpu, va, access, actor, purpose);
    if (!walk.ok) return {.cause = walk.fault.cause, .value = walk.fault.value, .detail = walk.fault.detail};
    pa = walk.physical;
  }
  return check_physical(arch, vcpu, va, pa, size, access, actor.privilege);
}

}  // namespace

Translation RiscvArch::translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  return translate_for(*this, vcpu, va, size, access, WalkFor::Access);
}

Translation RiscvArch::probe(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  return translate_for(*this, vcpu, va, size, access, WalkFor::Probe);
}

bool RiscvArch::debug_translate(Vcpu& vcpu, GuestAddr va, GuestAddr* physical) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  *physical = truncate(va);
  const Actor actor = data_actor(s);
  if (!paged(*this, s, actor)) return true;
  const Walk walk = walk_page_table(*this, vcpu, truncate(va), Access::Read, actor, WalkFor::Debugger);
  *physical = walk.physical;
  return walk.ok;
}

u64 RiscvArch::data_space(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  const Actor actor = data_actor(s);
  const u64 privilege = actor.privilege;
  if (!paged(*this, s, actor)) return kUnpaged | privilege;
  if (actor.guest) {
    const u64 sum = (s.vsstatus & mstatus::kSum) != 0 ? 4 : 0,
              mxr = (s.vsstatus & mstatus::kMxr) != 0 ? 8 : 0;
    const u64 both = (s.mstatus & mstatus::kMxr) != 0 ? 16 : 0;
    return guest_space_number(*this, vcpu, privilege | sum | mxr | both);
  }
  const u64 sum = (s.mstatus & mstatus::kSum) != 0 ? 4 : 0, mxr = (s.mstatus & mstatus::kMxr) != 0 ? 8 : 0;
  return space_number(*this, s, privilege | sum | mxr);
}

u64 RiscvArch::fetch_space(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  if (s.virt != 0) return guest_space_number(*this, vcpu, s.privilege);
  return space_number(*this, s, s.privilege);
}

bool RiscvArch::table_entries_used(ByteView entries) const {
  const std::size_t size = xlen() / 8;
  for (std::size_t at = 0; at < entries.size(); at += size)
    if ((entries[at] & pte::kValid) != 0) return true;
  return false;
}

}  // namespace hindcast::riscv
