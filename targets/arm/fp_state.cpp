#include "targets/arm/fp_state.h"

#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_helpers.h"

namespace hindcast::arm {
namespace {

constexpr unsigned kStacked = 16;

}  // namespace

u32 read_fpscr(const ArmState& s) {
  // fp::Flag bits, from bit 0: invalid, input denormal, divide by zero, overflow, underflow, inexact.
  const u32 f = s.fp_flags;
  const u32 accrued = (f & 1) | (f >> 2 & 1) << 1 | (f >> 3 & 1) << 2 | (f >> 4 & 1) << 3 |
                      (f >> 5 & 1) << 4 | (f >> 1 & 1) << 7;
  return s.fpscr | s.fp_nzcv | accrued;
}

void write_fpscr(ArmState& s, u32 value) {
  s.fpscr = value & fpscr::kControl;
  s.fp_nzcv = value & 0xf0000000;
  s.fp_flags = (value & 1) | (value >> 1 & 1) << 2 | (value >> 2 & 1) << 3 | (value >> 3 & 1) << 4 |
               (value >> 4 & 1) << 5 | (value >> 7 & 1) << 1;
}

bool store_fp_registers(Vcpu& vcpu, u32 at) {
  const ArmState& s = vcpu.state<ArmState>();
  u32 words[kStacked + 2] = {};
  for (unsigned i = 0; i < kStacked; ++i) words[i] = static_cast<u32>(s.s[i]);
  words[kStacked] = read_fpscr(s);
  return vcpu.write_memory(at, words, sizeof words);
}

bool push_fp_frame(Vcpu& vcpu, u32 at) {
  ArmState& s = vcpu.state<ArmState>();
  if ((s.fpccr & fpccr::kLspen) == 0) {
    if (!store_fp_registers(vcpu, at)) return false;
    write_fpscr(s, s.fpdscr & fpscr::kControl);
    return true;
  }
  s.fpcar = at;
  // Whether the faults that storing may meet could be taken now; looked at when it happens.
  const i32 now = execution_priority(s);
  const auto could = [&](unsigned exception) {
    return s.enabled.has(exception) && exception_priority(s, exception) < now;
  };
  s.fpccr &= fpccr::kAspen | fpccr::kLspen;
  s.fpccr |= fpccr::kLspact | (is_privileged(s) ? 0 : fpccr::kUser) | (is_handler(s) ? 0 : fpccr::kThread) |
             (now > kPriorityHardFault ? fpccr::kHfrdy : 0) | (could(exc::kMemManage) ? fpccr::kMmrdy : 0) |
             (could(exc::kBusFault) ? fpccr::kBfrdy : 0) | (could(exc::kDebugMonitor) ? fpccr::kMonrdy : 0);
  return true;
}

bool pop_fp_frame(Vcpu& vcpu, u32 at) {
  ArmState& s = vcpu.state<ArmState>();
  if ((s.fpccr & fpccr::kLspact) != 0) {
    s.fpccr &= ~fpccr::kLspact;  // never stored: the registers still hold it
    return true;
  }
  u32 words[kStacked + 2];
  if (!vcpu.read_memory(at, words, sizeof words)) return false;
  for (unsigned i = 0; i < kStacked; ++i) s.s[i] = words[i];
  write_fpscr(s, words[kStacked]);
  return true;
}

// ---- helpers

/// ExecuteFPCheck (DDI 0403, B1.5.7): access is checked, state that waits to be stored is stored, and the
/// context becomes a floating-point one.
u64 fp_activate_helper(Vcpu& vcpu, u64, u64, u64) {
  ArmState& s = vcpu.state<ArmState>();
  if (!fp_accessible(s)) {
    vcpu.raise({fault_cause(exc::kUsageFault, cfsr::kNoCp), 0});
    return 0;
  }
  if ((s.fpccr & fpccr::kLspact) != 0) {
    if (!store_fp_registers(vcpu, s.fpcar)) {
      vcpu.raise(mpu_active(s) ? GuestFault{fault_cause(exc::kMemManage, cfsr::kMlspErr), 0}
                               : GuestFault{fault_cause(exc::kBusFault, cfsr::kLspErr), 0});
      return 0;
    }
    s.fpccr &= ~fpccr::kLspact;
  }
  if ((s.fpccr & fpccr::kAspen) != 0 && (s.control & control::kFpca) == 0) {
    s.control |= control::kFpca;
    write_fpscr(s, s.fpdscr & fpscr::kControl);
  }
  return 0;
}

u64 read_fpscr_helper(Vcpu& vcpu, u64, u64, u64) { return read_fpscr(vcpu.state<ArmState>()); }

u64 write_fpscr_helper(Vcpu& vcpu, u64 value, u64, u64) {
  write_fpscr(vcpu.state<ArmState>(), static_cast<u32>(value));
  return 0;
}

bool fp_accessible(const ArmState& s) {
  const u32 access = s.cpacr >> 20 & 3;
  return access == 3 || (access == 1 && is_privileged(s));
}

}  // namespace hindcast::arm
