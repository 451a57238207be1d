// The floating-point context registers of Armv8.1-M (DDI 0553, D1.2.71 and D1.2.72), which Secure code saves
// before it calls, and after it is called by, Non-secure code.
#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_state.h"

namespace hindcast::arm {
namespace {

constexpr u32 kSfpa = u32{1} << 31, kFlags = 0xf0000000, kStatus = ~kFlags;

/// No floating-point state of the Non-secure state is there: it has used none since it was last stored.
bool inactive(const ArmState& s) {
  return (s.banks[kNonSecure].fpccr & fpccr::kAspen) != 0 && (s.fp_context & control::kFpca) == 0;
}

}  // namespace

u64 check_fp_register_helper(Vcpu& vcpu, u64 number, u64, u64) {
  const ArmState& s = vcpu.state<ArmState>();
  if (number != fp_register::kContextNs) return fp_active(s) ? 0 : fp_activate_helper(vcpu, 0, 0, 0);
  if (inactive(s)) return 0;
  const GuestFault fault = fp_access_fault(s);
  if (fault.cause != 0) {
    vcpu.raise(fault);
  } else if (!settle_lazy_state(vcpu)) {
    vcpu.raise({kTakePending, 0});
  }
  return 0;
}

u64 read_fp_register_helper(Vcpu& vcpu, u64 number, u64, u64) {
  const ArmState& s = vcpu.state<ArmState>();
  const u32 fpscr = read_fpscr(s);
  switch (number) {
    case fp_register::kNzcvqc: return fpscr & kFlags;
    case fp_register::kContextNs:
      if (inactive(s)) return s.banks[kNonSecure].fpdscr | s.fpscr_ones;
      [[fallthrough]];
    case fp_register::kContextS:
      return (fpscr & kStatus) | ((s.fp_context & control::kSfpa) != 0 ? kSfpa : 0);
    default: return fpscr;
  }
}

u64 fp_register_read_helper(Vcpu& vcpu, u64 number, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const bool ns = number == fp_register::kContextNs;
  if (number != fp_register::kContextS && (!ns || inactive(s) || (s.fp_context & control::kSfpa) != 0))
    return 0;
  write_fpscr(s, s.banks[kNonSecure].fpdscr);
  if (!ns) s.fp_context &= ~control::kSfpa;
  return 0;
}

u64 write_fp_register_helper(Vcpu& vcpu, u64 number, u64 value64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const u32 value = static_cast<u32>(value64);
  switch (number) {
    case fp_register::kNzcvqc: write_fpscr(s, (read_fpscr(s) & kStatus) | (value & kFlags)); break;
    case fp_register::kContextNs:
      if (inactive(s)) break;
      [[fallthrough]];
    case fp_register::kContextS:
      write_fpscr(s, value & kStatus);
      s.fp_context = (s.fp_context & ~control::kSfpa) | ((value & kSfpa) != 0 ? control::kSfpa : 0);
      break;
    default: write_fpscr(s, value); break;
  }
  return 0;
}

u64 clear_floats_helper(Vcpu& vcpu, u64 first, u64 count, u64) {
  ArmState& s = vcpu.state<ArmState>();
  const bool own = (s.fp_context & control::kSfpa) != 0 || (s.bank().fpccr & fpccr::kAspen) == 0;
  if (!own) return 0;  // there is nothing of the Secure state's to clear
  if (!fp_active(s)) fp_activate_helper(vcpu, 0, 0, 0);
  if (!fp_active(s)) return 0;  // a fault has been raised
  for (u64 i = 0; i < count && first + i < kAllSingles; ++i) s.s[first + i] = 0;
  return 0;
}

}  // namespace hindcast::arm
