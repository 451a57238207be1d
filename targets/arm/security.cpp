#include "targets/arm/security.h"

#include "targets/arm/exceptions.h"
#include "targets/arm/frames.h"
#include "targets/arm/mpu.h"
#include "targets/arm/system.h"

namespace hindcast::arm {
namespace {

constexpr u16 kSgHalf = 0xe97f;  // SG is this, twice

/// Addresses that belong to the security state that accesses them (DDI 0553, B8.3).
bool is_exempt(u32 address, bool fetch) {
  struct Range {
    u32 first, last;
  };
  constexpr Range kExempt[] = {{0xe0000000, 0xe0002fff},
                               {0xe000e000, 0xe000efff},
                               {0xe002e000, 0xe002efff},
                               {0xe0040000, 0xe0041fff},
                               {0xe00ff000, 0xe00fffff}};
  if (fetch) return address >= 0xe0000000;
  for (const Range& r : kExempt)
    if (address >= r.first && address <= r.last) return true;
  return false;
}

}  // namespace

Attribution attribute(const ArmState& s, const SecurityMap* map, u32 address, u32 secure, bool fetch) {
  Attribution a;
  SecurityMap::Attributes board;
  if (map != nullptr) board = map->attributes(address);
  if (fetch && address >= 0xf0000000) return a;
  if (board.exempt || is_exempt(address, fetch)) {
    a.non_secure = secure == kNonSecure;
    a.granule = AddressSpace::kPage;
    return a;
  }
  a.idau_valid = board.valid;
  a.idau_region = board.region;
  if ((s.sau_ctrl & sau_ctrl::kEnable) == 0) {
    a.non_secure = (s.sau_ctrl & sau_ctrl::kAllNs) != 0;
  } else {
    unsigned hits = 0;
    for (unsigned n = 0; n < kSauRegions; ++n) {
      if ((s.sau_rlar[n] & 1) == 0) continue;
      const u32 base = s.sau_rbar[n] & ~u32{31}, limit = s.sau_rlar[n] | 31;
      a.granule = undivided(a.granule, address, base, limit);
      if (address < base || address > limit) continue;
      a.sau_region = static_cast<u8>(n);
      (s.sau_rlar[n] & 2) != 0 ? a.callable = true : a.non_secure = true;
      ++hits;
    }
    a.sau_valid = hits == 1;
    if (hits > 1) {  // regions that overlap are Secure
      a.non_secure = a.callable = false;
      a.sau_region = 0;
    }
  }
  // The more secure of the two.
  if (!board.non_secure && (a.non_secure || (!board.callable && a.callable))) {
    a.non_secure = false;
    a.callable = board.callable;
  }
  return a;
}

bool vector_readable(const ArmArch& arch, Vcpu& vcpu, u32 secure, u32 address, GuestAddr* physical) {
  const SecurityMap* map = security_map(vcpu);
  if (map != nullptr) *physical = map->physical(address);
  if (!arch.has(ext::Sec)) return true;
  const Attribution a = attribute(vcpu.state<ArmState>(), map, address, secure, false);
  if (secure == kNonSecure && !a.non_secure) return false;
  return map == nullptr || map->allows(address, a.non_secure ? kNonSecure : kSecure, true);
}

namespace {

/// Reads for the gateway, as Secure code would, what is at `at` (up to four bytes). Its faults are the Secure
/// state's, whose memory protection unit was asked. Null cause: done.
GuestFault read_for_gateway(Vcpu& vcpu, u32 at, void* out, unsigned size, Access access) {
  const ArmState& s = vcpu.state<ArmState>();
  const ArmArch& arch = arch_of(vcpu);
  const Translation t = translate_for(arch, vcpu, {kSecure, is_privileged(s, kSecure)}, at, size, access);
  GuestFault fault{t.cause, t.value};
  if (t.ok)
    fault =
        vcpu.machine().memory().host_read(t.physical, out, size) ? GuestFault{} : arch.bus_fault(at, access);
  if (fault.cause != 0) fault.cause |= kCauseSecure;
  return fault;
}

/// Armv8.1-M: what may be an exception frame of Secure code that lies open must not be built upon. The word
/// is read whether or not it is looked at.
GuestFault check_secure_stack(Vcpu& vcpu, const GuestFault& refused) {
  constexpr u32 kIntegrity = 0xfefa125a;
  ArmState& s = vcpu.state<ArmState>();
  const Bank& secure = s.banks[kSecure];
  const u32 at = stack_pointer(s, kSecure, (secure.control & control::kSpsel) != 0);
  u32 word = 0;
  const GuestFault fault = read_for_gateway(vcpu, at, &word, 4, Access::Read);
  if (fault.cause != 0 && !ignores_bus_fault(vcpu, fault, kSecure)) return fault;
  const bool open = (word & ~u32{1}) == kIntegrity || (secure.control & control::kNpriv) == 0;
  return (secure.ccr & ccr::kTrd) != 0 && open ? refused : GuestFault{};
}

}  // namespace

GuestFault enter_secure_gateway(Vcpu& vcpu, const GuestFault& none) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 pc = static_cast<u32>(s.pc);
  const SecurityMap* map = security_map(vcpu);
  if (s.thumb == 0) return none;
  for (const u32 at : {pc, pc + 2}) {
    u16 half = 0;
    if (!attribute(s, map, at, kSecure, true).callable) return none;
    const GuestFault fault = read_for_gateway(vcpu, at, &half, 2, Access::Execute);
    if (fault.cause != 0) return fault;
    if (half != kSgHalf) return none;
  }
  if (arch_of(vcpu).has(ext::V81) && !is_handler(s)) {
    const GuestFault fault = check_secure_stack(vcpu, none);
    if (fault.cause != 0) return fault;
  }
  s.r[kLr] &= ~u32{1};
  s.fp_context &= ~control::kSfpa;
  switch_security(s, kSecure);
  s.it = 0;
  s.pc = pc + 4;
  return {};
}

// ---- helpers

/// TestTarget: what the memory protection unit and the attribution say about an address (DDI 0553, C2.4).
u64 tt_helper(Vcpu& vcpu, u64 address64, u64 options, u64) {
  const ArmState& s = vcpu.state<ArmState>();
  const ArmArch& arch = arch_of(vcpu);
  const u32 address = static_cast<u32>(address64);
  const bool unprivileged = (options & 1) != 0, alternate = (options & 2) != 0;
  const u32 secure = alternate ? 1 - s.secure : s.secure;
  const bool privileged = !unprivileged && is_privileged(s, secure);
  MpuAnswer mpu;
  if (is_privileged(s) || alternate)
    mpu = ask_mpu(arch, s, secure, address, privileged, mpu_active(s, secure));
  u32 result = (mpu.read ? 1u << 18 : 0) | (mpu.write ? 1u << 19 : 0);
  if (mpu.region >= 0) result |= static_cast<u32>(mpu.region) | 1u << 16;
  if (s.secure != kSecure) return result;
  const Attribution a = attribute(s, security_map(vcpu), address, secure, false);
  if (a.non_secure) result |= (mpu.read ? 1u << 20 : 0) | (mpu.write ? 1u << 21 : 0);
  if (!a.non_secure) result |= 1u << 22;
  if (a.sau_valid) result |= 1u << 17;
  if (a.idau_valid) result |= 1u << 23;
  return result | u32{a.sau_region} << 8 | u32{a.idau_region} << 24;
}

/// BXNS and BLXNS of Secure code to Non-secure code.
u64 branch_non_secure_helper(Vcpu& vcpu, u64 target, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  s.fp_context &= ~control::kSfpa;
  switch_security(s, kNonSecure);
  return target & ~u64{1};
}

u64 call_non_secure_helper(Vcpu& vcpu, u64 target, u64 next, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 at = s.r[kSp] - 8;
  if (at < s.stack_limit && stack_limit_applies(s, s.secure)) {
    vcpu.raise({fault_cause(exc::kUsageFault, cfsr::kStkOf), 0});
    return 0;
  }
  const u32 words[2] = {static_cast<u32>(next) | 1,
                        s.ipsr | ((s.fp_context & control::kSfpa) != 0 ? 1u << 20 : 0)};
  for (u32 i = 0; i < 2; ++i) {
    const Translation t = translate_for(arch_of(vcpu), vcpu, current_view(s), at + 4 * i, 4, Access::Write);
    GuestFault fault{t.cause, t.value};
    if (t.ok) fault = write_stack(vcpu, current_view(s), at + 4 * i, &words[i], 1, Stacking::Push);
    if (t.ok && fault.cause != 0) fault = vcpu.arch().bus_fault(at + 4 * i, Access::Write);
    if (fault.cause != 0) {
      vcpu.raise(fault);
      return 0;
    }
  }
  s.r[kSp] = at;
  s.r[kLr] = kFunctionReturn | 1;
  if (s.ipsr != 0) s.ipsr = 1;  // the Non-secure state does not see which
  return branch_non_secure_helper(vcpu, target, 0, 0);
}

}  // namespace hindcast::arm
