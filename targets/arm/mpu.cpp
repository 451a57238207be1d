// The protected memory system architectures of Armv6-M and v7-M (DDI 0403, B3.5) and of v8-M (DDI 0553,
// B8.4), the default memory map, and what comes before: security attribution.
#include "targets/arm/mpu.h"

#include <algorithm>

#include "engine/machine.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/frames.h"
#include "targets/arm/helpers.h"
#include "targets/arm/security.h"
#include "targets/arm/system.h"

namespace hindcast::arm {
namespace {

constexpr u32 kPrivatePeripherals = 0xe0000000, kPrivateEnd = 0xe0100000;

Permission background(const Bank& bank, u32 address, bool privileged) {
  if (!privileged || (bank.mpu_ctrl & mpu_ctrl::kPrivdefena) == 0) return {};
  return {true, true, default_map_executable(address)};
}

/// What the CPU has fewer of than kMostRegions is never enabled. Armv6-M and v7-M: the region with the
/// highest number decides.
Permission lookup_v7(const Bank& bank, u32 address, bool privileged, MpuAnswer& answer) {
  for (unsigned n = 0; n < kMostRegions; ++n) {
    const Region r = region(bank, n);
    if (!r.enabled()) continue;
    // Like undivided(), but pieces of a region may differ: they are subregions that may be off.
    const u64 end = r.base + (u64{1} << r.bits);
    while (answer.granule > r.piece()) {
      const u64 block = address & ~(answer.granule - 1);
      if (block >= end || block + answer.granule <= r.base) break;
      answer.granule /= 2;
    }
    if (r.contains(address)) answer.region = static_cast<int>(n);
  }
  if (answer.region < 0) return background(bank, address, privileged);
  Permission p = permission_of(bank.mpu_rasr[answer.region], privileged);
  if (address >= kPrivatePeripherals) p.execute = false;
  return p;
}

/// Armv8-M: regions are from a base to a limit, and do not overlap where they are used.
Permission lookup_v8(const Bank& bank, u32 address, bool privileged, MpuAnswer& answer) {
  unsigned hits = 0;
  for (unsigned n = 0; n < kMostRegions; ++n) {
    if (!region_v8_enabled(bank, n)) continue;
    const u32 base = region_v8_base(bank, n), limit = region_v8_limit(bank, n);
    answer.granule = undivided(answer.granule, address, base, limit);
    if (address < base || address > limit) continue;
    answer.region = static_cast<int>(n);
    ++hits;
  }
  if (hits == 0) return background(bank, address, privileged);
  if (hits > 1) {
    answer.region = -1;
    return {};
  }
  Permission p = permission_v8(bank, static_cast<unsigned>(answer.region), privileged);
  if (address >= kPrivatePeripherals) p.execute = false;
  return p;
}

GuestFault memory_fault(u32 address, Access access) {
  const u32 status = access == Access::Execute ? cfsr::kIaccViol : cfsr::kDaccViol | cfsr::kMmarValid;
  return {fault_cause(exc::kMemManage, status), address};
}

/// The private peripheral bus is outside the MPU's reach. Open to all are the stimulus ports of the ITM,
/// which itself knows whose each is, and the software trigger where CCR says so.
Translation translate_private(const ArmArch& arch, const ArmState& s, u32 address, Access access,
                              bool privileged) {
  constexpr u32 kStimulusEnd = 0xe0000080, kStir = 0xe000ef00;
  Translation t;
  t.physical = address;
  t.granule = privileged ? u64{AddressSpace::kPage} : 4;
  const bool open = (address == kStir && (s.bank().ccr & ccr::kUserSetMpend) != 0) ||
                    (address < kStimulusEnd && arch.has(ext::Main));
  t.ok = access != Access::Execute && (privileged || open);
  if (t.ok) return t;
  const GuestFault fault = access == Access::Execute
                               ? GuestFault{fault_cause(exc::kMemManage, cfsr::kIaccViol), address}
                               : arch.bus_fault(address, access);
  t.cause = fault.cause;
  t.value = fault.value;
  return t;
}

/// The fault of an access that the attribution forbids; null cause: none.
GuestFault security_fault(const Attribution& a, u32 secure, u32 address, Access access) {
  if (access != Access::Execute) {
    if (secure == kSecure || a.non_secure) return {};
    return {fault_cause(exc::kSecureFault, sfsr::kAuViol | sfsr::kSfarValid), address};
  }
  if (a.non_secure == (secure == kNonSecure)) return {};
  if (secure == kSecure) return {fault_cause(exc::kSecureFault, sfsr::kInvTran), 0};
  return {fault_cause(exc::kSecureFault, sfsr::kInvEp) | (a.callable ? kCauseGateway : 0), 0};
}

}  // namespace

u64 undivided(u64 granule, u32 address, u32 first, u32 last) {
  for (;; granule /= 2) {
    const u64 begin = address & ~(granule - 1), end = begin + (granule - 1);
    const bool meet = begin <= last && end >= first;
    if (!meet || (begin >= first && end <= last)) return granule;
  }
}

/// MPU_RASR.AP and XN.
Permission permission_of(u32 rasr, bool privileged) {
  Permission p;
  switch (rasr >> 24 & 7) {
    case 1: p.read = p.write = privileged; break;
    case 2:
      p.read = true;
      p.write = privileged;
      break;
    case 3: p.read = p.write = true; break;
    case 5: p.read = privileged; break;
    case 6:
    case 7: p.read = true; break;
    default: break;
  }
  p.execute = p.read && (rasr >> 28 & 1) == 0;
  return p;
}

Region region(const Bank& bank, unsigned n) {
  const u32 rasr = bank.mpu_rasr[n];
  const unsigned bits = std::max(5u, (rasr >> 1 & 31) + 1);
  const u32 mask = bits >= 32 ? 0 : ~((u32{1} << bits) - 1);
  return {bank.mpu_rbar[n] & mask, rasr, bits};
}

Permission permission_v8(const Bank& bank, unsigned n, bool privileged) {
  constexpr u32 kXn = 1, kAnyPrivilege = 2, kReadOnly = 4, kPxn = 16;
  const u32 rbar = bank.mpu_rbar[n], rlar = bank.mpu_rasr[n];
  Permission p;
  p.read = privileged || (rbar & kAnyPrivilege) != 0;
  p.write = p.read && (rbar & kReadOnly) == 0;
  p.execute = p.read && (rbar & kXn) == 0 && !(privileged && (rlar & kPxn) != 0);
  return p;
}

bool default_map_executable(u32 address) {
  return address < 0x40000000 || (address >= 0x60000000 && address < 0xa0000000);
}

bool mpu_active(const ArmState& s, u32 secure, bool negative) {
  const u32 ctrl = s.banks[secure].mpu_ctrl;
  return (ctrl & mpu_ctrl::kEnable) != 0 && (!negative || (ctrl & mpu_ctrl::kHfnmiena) != 0);
}
bool mpu_active(const ArmState& s, u32 secure) { return mpu_active(s, secure, negative_priority(s, secure)); }

MpuAnswer ask_mpu(const ArmArch& arch, const ArmState& s, u32 secure, u32 address, bool privileged,
                  bool checked) {
  MpuAnswer answer;
  Permission p{true, true, default_map_executable(address)};
  const Bank& bank = s.banks[secure];
  // The private peripheral bus is outside its reach: TT says so too.
  const bool is_private = address >= kPrivatePeripherals && address < kPrivateEnd;
  if (checked && !is_private) {
    p = arch.has(ext::V8) ? lookup_v8(bank, address, privileged, answer)
                          : lookup_v7(bank, address, privileged, answer);
  }
  answer.read = p.read;
  answer.write = p.write;
  answer.execute = p.execute;
  return answer;
}

namespace {

/// The granule of what a protection controller refuses without a fault: nothing around it is known.
constexpr u64 kRefused = 1;

/// What is said about one address; it holds for the whole block of the answer's granule.
Translation translate_at(const ArmArch& arch, Vcpu& vcpu, const View& view, u32 address, Access access) {
  const ArmState& s = vcpu.state<ArmState>();
  Translation t;
  t.physical = address;
  t.granule = AddressSpace::kPage;
  const auto refuse = [&](const GuestFault& fault) {
    t.ok = false;
    t.cause = fault.cause;
    t.value = fault.value;
    return t;
  };
  SecurityMap* map = s.has_security != 0 ? security_map(vcpu) : nullptr;
  u32 transaction = view.secure;
  if (s.has_security != 0) {
    const Attribution a = attribute(s, map, address, view.secure, access == Access::Execute);
    t.granule = a.granule;
    const GuestFault fault = security_fault(a, view.secure, address, access);
    if (fault.cause != 0) return refuse(fault);
    if (a.non_secure) transaction = kNonSecure;
  }
  if (address >= kPrivatePeripherals && address < kPrivateEnd)
    return translate_private(arch, s, address, access, view.privileged);
  const bool negative = view.priority == Priority::AsNow ? negative_priority(s, view.secure)
                                                         : view.priority == Priority::Negative;
  const bool checked = mpu_active(s, view.secure, negative);
  const MpuAnswer answer = ask_mpu(arch, s, view.secure, address, view.privileged, checked);
  t.granule = std::min(t.granule, answer.granule);
  t.ok = access == Access::Read ? answer.read : access == Access::Write ? answer.write : answer.execute;
  if (!t.ok) return refuse(memory_fault(address, access));
  if (map == nullptr) return t;
  if (!map->allows(address, transaction, view.privileged)) {
    // Fetches may be ahead of what is executed: they raise nothing, and have nothing to read.
    const std::optional<GuestAddr> instead =
        access == Access::Execute ? std::nullopt : map->refuse(address, transaction, view.privileged);
    if (!instead) return refuse(arch.bus_fault(address, access));
    t.granule = kRefused;  // each attempt is noted
    t.physical = *instead;
    return t;
  }
  t.granule = std::min(t.granule, map->granule(address));
  t.physical = map->physical(address);
  return t;
}

}  // namespace

Translation translate_for(const ArmArch& arch, Vcpu& vcpu, const View& view, u32 address, unsigned size,
                          Access access) {
  const Translation first = translate_at(arch, vcpu, view, address, access);
  const u32 last = address + (size - 1);
  if (!first.ok || first.granule == kRefused || (last ^ address) < first.granule) return first;
  // The last byte lies in another block, about which all may be different. Fault addresses are the access's.
  Translation second = translate_at(arch, vcpu, view, last, access);
  if (second.ok && second.granule != kRefused) return first;
  if (second.value == last) second.value = address;
  return second;
}

Translation ArmArch::translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
  const u32 address = static_cast<u32>(va);
  const Translation t =
      translate_for(*this, vcpu, current_view(vcpu.state<ArmState>()), address, size, access);
  if (access == Access::Execute && t.ok) note_code(vcpu, address);
  return t;
}

u64 check_unprivileged_helper(Vcpu& vcpu, u64 address64, u64 what, u64) {
  const u32 address = static_cast<u32>(address64);
  const UnprivilegedAccess a = UnprivilegedAccess::of(what);
  const ArmArch& arch = arch_of(vcpu);
  if (a.aligned && address % a.size != 0) {
    vcpu.raise(arch.misaligned_fault(address, a.access()));
    return 0;
  }
  const View view{vcpu.state<ArmState>().secure, false};
  const Translation t = translate_for(arch, vcpu, view, address, a.size, a.access());
  if (t.ok) return t.granule != kRefused ? 1 : 0;
  const GuestFault fault{t.cause, t.value};
  if (!arch.ignores_fault(vcpu, fault)) vcpu.raise(fault);
  return 0;
}

bool ArmArch::debug_translate(Vcpu& vcpu, GuestAddr va, GuestAddr* physical) const {
  const SecurityMap* map = has(ext::Sec) ? security_map(vcpu) : nullptr;
  *physical = map != nullptr ? map->physical(static_cast<u32>(va)) : static_cast<u32>(va);
  return true;
}

}  // namespace hindcast::arm
