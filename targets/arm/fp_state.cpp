#include "targets/arm/fp_state.h"

#include "engine/machine.h"
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

namespace {

/// What a frame holds of the floating-point state.
struct FpFrame {
  u32 words[kStacked + 2];
};
FpFrame fp_frame(const ArmState& s) {
  FpFrame frame = {};
  for (unsigned i = 0; i < kStacked; ++i) frame.words[i] = static_cast<u32>(s.s[i]);
  frame.words[kStacked] = read_fpscr(s);
  return frame;
}

/// Whether the MPU lets the frame that was reserved at FPCAR be stored, with the rights that its owner had.
bool lazy_store_allowed(const ArmArch& arch, const ArmState& s) {
  const bool unmaskable = (s.fpccr & fpccr::kHfrdy) == 0;
  if ((s.mpu_ctrl & mpu_ctrl::kEnable) == 0) return true;
  if (unmaskable && (s.mpu_ctrl & mpu_ctrl::kHfnmiena) == 0) return true;
  for (u32 i = 0; i < sizeof(FpFrame); i += 4) {
    u64 granule = 0;
    if (!mpu_allows(s, arch.features().model->mpu_regions, s.fpcar + i, 4, Access::Write,
                    (s.fpccr & fpccr::kUser) == 0, &granule))
      return false;
  }
  return true;
}

/// Stores the state for which a frame was reserved (PreserveFPState; DDI 0403, B1.5.7). A fault goes by what
/// could be taken when the frame was reserved. False: it comes first, and the state still waits.
bool store_lazily(Vcpu& vcpu) {
  ArmState& s = vcpu.state<ArmState>();
  const FpFrame frame = fp_frame(s);
  u32 ready = 0;
  unsigned exception = 0;
  if (!lazy_store_allowed(arch_of(vcpu), s)) {
    s.cfsr |= cfsr::kMlspErr;
    exception = exc::kMemManage;
    ready = fpccr::kMmrdy;
  } else if (!vcpu.machine().memory().host_write(s.fpcar, &frame, sizeof frame)) {
    s.cfsr |= cfsr::kLspErr;
    exception = exc::kBusFault;
    ready = fpccr::kBfrdy;
  }
  if (exception != 0) {
    if ((s.fpccr & ready) == 0) {
      exception = exc::kHardFault;
      s.hfsr |= hfsr::kForced;
    }
    s.pending.set(exception, true);
    update_exceptions(s);
    if (s.pending_exception != 0 && s.pending_priority < execution_priority(s)) return false;
  }
  s.fpccr &= ~fpccr::kLspact;
  return true;
}

}  // namespace

bool push_fp_frame(Vcpu& vcpu, u32 at) {
  ArmState& s = vcpu.state<ArmState>();
  const FpFrame frame = fp_frame(s);
  if (!vcpu.write_memory(at, &frame, sizeof frame)) return false;
  write_fpscr(s, s.fpdscr & fpscr::kControl);
  return true;
}

void reserve_fp_frame(ArmState& s, u32 at) {
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
}

bool pop_fp_frame(Vcpu& vcpu, u32 at) {
  ArmState& s = vcpu.state<ArmState>();
  FpFrame frame;
  if (!vcpu.read_memory(at, &frame, sizeof frame)) return false;
  for (unsigned i = 0; i < kStacked; ++i) s.s[i] = frame.words[i];
  write_fpscr(s, frame.words[kStacked]);
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
    if (!store_lazily(vcpu)) {
      vcpu.raise({kTakePending, 0});
      return 0;
    }
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
