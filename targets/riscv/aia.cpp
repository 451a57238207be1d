#include "targets/riscv/aia.h"

#include <array>
#include <bit>
#include <string>
#include <utility>

#include "engine/machine.h"
#include "targets/devices/external_interrupts.h"
#include "targets/devices/imsic.h"

namespace hindcast::riscv {
namespace {

using devices::Imsic;

constexpr unsigned kSieh = 0x114, kSiselect = 0x150, kSireg = 0x151, kSiph = 0x154, kStopei = 0x15c,
                   kMvienh = 0x318, kMviph = 0x319, kMiselect = 0x350, kMireg = 0x351, kMtopei = 0x35c,
                   kMtopi = 0xfb0, kStopi = 0xdb0;
constexpr unsigned kFirstPriority = 0x30, kLastPriority = 0x3f;
constexpr u64 kSelectMask = 0x1ff;
/// The number of an interrupt to which no controller gives one, and of a default below all numbers.
constexpr unsigned kNoNumber = 256, kLowest = 0xffff;
constexpr u64 kSsi = u64{1} << irq::kSupervisorSoftware, kSti = u64{1} << irq::kSupervisorTimer,
              kSei = u64{1} << irq::kSupervisorExternal;
/// Interrupts that machine mode can make for supervisor mode: 1, 9, and all that are local or custom.
constexpr u64 kVirtual = kSsi | kSei | ~u64{0x1fff};

RiscvState& state_of(const Vcpu& vcpu) { return vcpu.state<RiscvState>(); }

/// Place in the default order, table 5.1 and the plan for local interrupts; custom ones come last.
constexpr std::array<u8, 64> make_order() {
  constexpr u8 kOrder[] = {47, 23, 46, 45, 22, 44, 43, 21, 42, 41, 20, 40, 11, 3,  7,  9,  1,  5, 12, 10,
                           2,  6,  13, 39, 19, 38, 37, 18, 36, 35, 17, 34, 33, 16, 32, 14, 15, 0, 4,  8};
  std::array<u8, 64> place{};
  u8 next = 0;
  for (const u8 number : kOrder) place[number] = next++;
  for (u8 number = 24; number < 32; ++number) place[number] = next++;
  for (u8 number = 48; number < 64; ++number) place[number] = next++;
  return place;
}
constexpr std::array<u8, 64> kPlace = make_order();

/// Elsewhere there is nothing, whoever looks: what an instruction may not do a debugger may.
bool in_file(u64 select) { return select >= Imsic::kFirstRegister && select <= Imsic::kLastRegister; }

bool is_machine(unsigned number) { return (number >> 8 & 3) == kMachine; }

const Imsic* imsic_of(const Vcpu& vcpu, bool machine) {
  const auto* imsic =
      vcpu.machine().extension<Imsic>(machine ? Imsic::kMachineFiles : Imsic::kSupervisorFiles);
  return imsic != nullptr && vcpu.index() < imsic->hart_count() ? imsic : nullptr;
}
Imsic* imsic_of(Vcpu& vcpu, bool machine) {
  return const_cast<Imsic*>(imsic_of(std::as_const(vcpu), machine));
}

unsigned external_irq(bool machine) { return machine ? irq::kExternal : irq::kSupervisorExternal; }

/// The number by which the interrupt is compared with those of the level: the smaller, the sooner.
unsigned number_of(const Vcpu& vcpu, bool machine, unsigned interrupt) {
  const RiscvState& s = state_of(vcpu);
  const unsigned external = external_irq(machine);
  if (interrupt == external) {
    const auto* controller = vcpu.machine().extension<devices::ExternalPriorities>(
        machine ? devices::kMachineExternal : devices::kSupervisorExternal);
    const bool line = machine || (s.supervisor_lines & kSei) != 0;
    const unsigned number = controller != nullptr && line ? controller->external_priority(vcpu.index()) : 0;
    return number == 0 ? kNoNumber : number;
  }
  const unsigned set = machine ? s.machine_priorities[interrupt] : s.supervisor_priorities[interrupt];
  return set != 0 ? set : kPlace[interrupt] < kPlace[external] ? 0 : kLowest;
}

/// The bytes of an iprio array that can be written: of interrupts that can be enabled at the level, but not
/// of its external one.
u64 with_priority(const RiscvArch& arch, bool machine) {
  const u64 overflow = arch.features().has(ext::Sscofpmf) ? u64{1} << irq::kCounterOverflow : 0;
  const u64 supervisor = arch.features().has(ext::S) ? irq::kSupervisorAll : 0;
  if (machine) return (irq::kMachineLines | supervisor | overflow) & ~(u64{1} << irq::kExternal);
  return arch.features().has(ext::S) ? (irq::kSupervisorAll | kVirtual) & ~kSei : 0;
}

u64 write_half(const RiscvArch& arch, u64 old, u64 value, bool high) {
  constexpr u64 kLow = 0xffff'ffff;
  if (high) return value << 32 | (old & kLow);
  return arch.xlen() == 32 ? (value & kLow) | (old & ~kLow) : value;
}
u64 read_half(const RiscvArch& arch, u64 value, bool high) {
  return high ? value >> 32 : arch.truncate(value);
}

u64 mvip_of(const RiscvState& s) {
  const u64 alias = (s.mvien & kSsi) != 0 ? s.mvip : s.mip;
  const u64 timer = (s.menvcfg & envcfg::kStce) != 0 ? 0 : s.mip & kSti;
  return (alias & kSsi) | timer | (s.mip & kSei) | (s.mvip & ~u64{0x1fff});
}

/// Bits of mvip that software owns, whichever way it reaches them.
void set_mvip(RiscvState& s, u64 value, u64 mask) {
  if ((s.mvien & kSsi) != 0)
    s.mvip = (s.mvip & ~(mask & kSsi)) | (value & mask & kSsi);
  else
    s.mip = (s.mip & ~(mask & kSsi)) | (value & mask & kSsi);
  u64 shared = kSei;
  if ((s.menvcfg & envcfg::kStce) == 0) shared |= kSti;
  s.mip = (s.mip & ~(mask & shared)) | (value & mask & shared);
  const u64 local = mask & ~u64{0x1fff};
  s.mvip = (s.mvip & ~local) | (value & local);
}

u64 virtual_bits(const RiscvState& s) { return s.mvien & ~s.mideleg; }

}  // namespace

u64 supervisor_pending(const RiscvState& s) {
  return (pending_of(s) & s.mideleg) | (s.mvien == 0 ? 0 : mvip_of(s) & virtual_bits(s));
}
u64 supervisor_enabled(const RiscvState& s) {
  return (s.mie & s.mideleg) | (s.virtual_enabled & virtual_bits(s));
}

u64 guest_interrupts(const RiscvState& s) { return pending_of(s) & s.mie & s.hideleg; }
u64 machine_interrupts(const RiscvState& s) { return pending_of(s) & s.mie & ~s.mideleg; }
u64 supervisor_interrupts(const RiscvState& s) {
  return supervisor_pending(s) & supervisor_enabled(s) & ~s.hideleg;
}

void write_virtual_pending(RiscvState& s, u64 value) { set_mvip(s, value, virtual_bits(s) & ~kSei); }
void write_virtual_enabled(RiscvState& s, u64 value) {
  const u64 mask = virtual_bits(s);
  s.virtual_enabled = (s.virtual_enabled & ~mask) | (value & mask);
}

unsigned first_interrupt(const RiscvArch& arch, const Vcpu& vcpu, bool machine, u64 pending) {
  const bool numbered = arch.features().has(ext::Smaia);
  unsigned first = 64, first_number = 0;
  for (u64 bits = pending; bits != 0; bits &= bits - 1) {
    const auto interrupt = static_cast<unsigned>(std::countr_zero(bits));
    const unsigned number = numbered ? number_of(vcpu, machine, interrupt) : 0;
    const bool before =
        first == 64 || number < first_number || (number == first_number && kPlace[interrupt] < kPlace[first]);
    if (!before) continue;
    first = interrupt;
    first_number = number;
  }
  return first;
}

// ---- what is there

bool aia_permits(const RiscvArch& arch, const Vcpu& vcpu, const CsrAccess& access) {
  const RiscvState& s = state_of(vcpu);
  const unsigned number = access.number;
  const bool less = s.privilege != kMachine && arch.features().has(ext::Smstateen);
  const auto refused = [&](u64 bit) { return less && (s.mstateen[0] & bit) == 0; };
  const bool external = number == kMtopei || number == kStopei;
  switch (number) {
    case kSieh:
    case kSiph:
    case kStopi: return !refused(stateen::kAia);
    case kSiselect: return !refused(stateen::kIndirect);
    case kMtopei:
    case kStopei:
    case kMireg:
    case kSireg: break;
    default: return true;
  }
  const bool machine = is_machine(number);
  const u64 select = machine ? s.miselect : s.siselect;
  if (!external) {
    if (refused(stateen::kIndirect)) return false;
    if (arch.xlen() == 64 && select % 2 != 0 &&
        ((select >= kFirstPriority && select <= kLastPriority) || (select >= 0x80 && select <= 0xff)))
      return false;
    if (select >= kFirstPriority && select <= kLastPriority) return !refused(stateen::kAia);
    if (!in_file(select)) return false;
  }
  // Machine mode has taken supervisor mode's external interrupts over (5.2.2).
  const bool taken = !machine && s.privilege == kSupervisor && (s.mvien & kSei) != 0;
  return imsic_of(vcpu, machine) != nullptr && !taken && !refused(stateen::kImsic);
}

u64 aia_stateen(const RiscvArch& arch, const Vcpu* vcpu) {
  if (!arch.features().has(ext::Ssaia)) return 0;
  const bool files = vcpu == nullptr || imsic_of(*vcpu, false) != nullptr;
  return stateen::kIndirect | stateen::kAia | (files ? stateen::kImsic : 0);
}

bool aia_keep_legal(const RiscvArch& arch, RiscvState& s) {
  bool legal = true;
  const auto keep = [&](auto& field, u64 mask) {
    const u64 kept = field & mask;
    legal = legal && kept == field;
    field = static_cast<std::remove_reference_t<decltype(field)>>(kept);
  };
  const bool machine = arch.features().has(ext::Smaia), supervisor = arch.features().has(ext::S);
  keep(s.mvien, machine && supervisor ? kVirtual : 0);
  keep(s.mvip, machine && supervisor ? kVirtual & ~kSei : 0);
  keep(s.virtual_enabled, machine && supervisor ? kVirtual : 0);
  keep(s.miselect, machine ? kSelectMask : 0);
  keep(s.siselect, arch.features().has(ext::Ssaia) ? kSelectMask : 0);
  const u64 of_machine = machine ? with_priority(arch, true) : 0;
  const u64 of_supervisor = arch.features().has(ext::Ssaia) ? with_priority(arch, false) : 0;
  for (unsigned i = 0; i < 64; ++i) {
    keep(s.machine_priorities[i], (of_machine >> i & 1) * 0xff);
    keep(s.supervisor_priorities[i], (of_supervisor >> i & 1) * 0xff);
  }
  return legal;
}

void aia_state(const RiscvArch& arch, RiscvState& s, Archive& ar) {
  if (!arch.features().has(ext::Smaia)) return;
  ar.field("mvien", s.mvien);
  ar.field("mvip", s.mvip);
  ar.field("virtual_enabled", s.virtual_enabled);
  ar.field("machine_priorities", s.machine_priorities);
  ar.field("supervisor_priorities", s.supervisor_priorities);
}

// ---- CSRs

u64 top_interrupt_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  const bool machine = is_machine(number);
  const RiscvState& s = state_of(vcpu);
  const u64 pending = machine ? machine_interrupts(s) : supervisor_interrupts(s);
  if (pending == 0) return 0;
  const unsigned first = first_interrupt(arch, vcpu, machine, pending);
  return u64{first} << 16 | std::min(number_of(vcpu, machine, first), 255u);
}

u64 top_external_read(const RiscvArch&, const Vcpu& vcpu, unsigned number) {
  const Imsic* imsic = imsic_of(vcpu, is_machine(number));
  const u64 top = imsic == nullptr ? 0 : imsic->top(vcpu.index());
  return top << 16 | top;
}

void top_external_write(const RiscvArch&, Vcpu& vcpu, unsigned number, u64) {
  if (Imsic* imsic = imsic_of(vcpu, is_machine(number))) imsic->claim(vcpu.index());
}

u64 indirect_select_read(const RiscvArch&, const Vcpu& vcpu, unsigned number) {
  return is_machine(number) ? state_of(vcpu).miselect : state_of(vcpu).siselect;
}

void indirect_select_write(const RiscvArch&, Vcpu& vcpu, unsigned number, u64 value) {
  (is_machine(number) ? state_of(vcpu).miselect : state_of(vcpu).siselect) = value & kSelectMask;
}

u64 indirect_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  const bool machine = is_machine(number);
  const RiscvState& s = state_of(vcpu);
  const auto select = static_cast<unsigned>(machine ? s.miselect : s.siselect);
  if (select >= kFirstPriority && select <= kLastPriority) {
    const u8* priorities = machine ? s.machine_priorities : s.supervisor_priorities;
    u64 value = 0;
    // A debugger may look where no instruction can: on RV64 the odd numbers have no register.
    if (arch.xlen() == 64 && select % 2 != 0) return 0;
    for (unsigned i = 0; i < arch.xlen() / 8; ++i)
      value |= u64{priorities[(select - kFirstPriority) * 4 + i]} << (8 * i);
    return value;
  }
  const Imsic* imsic = imsic_of(vcpu, machine);
  return imsic == nullptr || !in_file(select) ? 0 : imsic->read(vcpu.index(), select, arch.xlen());
}

void indirect_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  const bool machine = is_machine(number);
  RiscvState& s = state_of(vcpu);
  const auto select = static_cast<unsigned>(machine ? s.miselect : s.siselect);
  if (select >= kFirstPriority && select <= kLastPriority) {
    u8* priorities = machine ? s.machine_priorities : s.supervisor_priorities;
    const u64 there = with_priority(arch, machine);
    for (unsigned i = 0; i < arch.xlen() / 8; ++i) {
      const unsigned interrupt = (select - kFirstPriority) * 4 + i;
      if ((there >> interrupt & 1) != 0) priorities[interrupt] = static_cast<u8>(value >> (8 * i));
    }
  } else if (Imsic* imsic = imsic_of(vcpu, machine); imsic != nullptr && in_file(select)) {
    imsic->write(vcpu.index(), select, arch.xlen(), value);
  }
}

u64 mvien_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return read_half(arch, state_of(vcpu).mvien, number == kMvienh);
}

void mvien_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  u64& mvien = state_of(vcpu).mvien;
  mvien = write_half(arch, mvien, value, number == kMvienh) & kVirtual;
}

u64 mvip_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number) {
  return read_half(arch, mvip_of(state_of(vcpu)), number == kMviph);
}

void mvip_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = state_of(vcpu);
  set_mvip(s, write_half(arch, mvip_of(s), value, number == kMviph), kVirtual | kSti);
}

u64 supervisor_high_read(const RiscvArch&, const Vcpu& vcpu, unsigned number) {
  const RiscvState& s = state_of(vcpu);
  return (number == kSieh ? supervisor_enabled(s) : supervisor_pending(s)) >> 32;
}

void supervisor_high_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value) {
  RiscvState& s = state_of(vcpu);
  if (number == kSieh)
    write_virtual_enabled(s, write_half(arch, supervisor_enabled(s), value, true));
  else
    write_virtual_pending(s, write_half(arch, supervisor_pending(s), value, true));
}

}  // namespace hindcast::riscv
