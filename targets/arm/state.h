// The Armv6-M, v7-M and v8-M state block, and the numbers of the system level (Armv7-M Architecture Reference
// Manual, DDI 0403, parts B1 and B3; Armv8-M, DDI 0553).
#pragma once
#include "engine/vcpu.h"

namespace hindcast::arm {

inline constexpr unsigned kSp = 13, kLr = 14, kPc = 15;

/// What is known of C and V (the representation of the condition flags is explained in flags.h).
namespace flag_kind {
inline constexpr u32 kSub = 0;   // C: x >= y unsigned
inline constexpr u32 kAdd = 1;   // C: x < y unsigned; x is a sum, y one of its terms
inline constexpr u32 kSign = 2;  // C: bit 31 of `cc_c`
}  // namespace flag_kind

inline constexpr unsigned kExceptions = 256;  // 16 of the system and up to 240 interrupts
/// Exceptions have a slot each, which is their number; the Secure instance of one that both security states
/// have lies kSecureSlots above it.
inline constexpr unsigned kSecureSlots = kExceptions, kSlots = kExceptions + 16;
inline constexpr unsigned kExceptionWords = (kSlots + 31) / 32;

/// A set of exceptions, by their slots.
struct ExceptionSet {
  u32 words[kExceptionWords];
  bool has(unsigned n) const { return (words[n / 32] >> (n % 32) & 1) != 0; }
  void set(unsigned n, bool on) {
    const u32 bit = u32{1} << (n % 32);
    words[n / 32] = on ? words[n / 32] | bit : words[n / 32] & ~bit;
  }
};

/// The security states, as indices of what exists once for each. CPUs without the security extension have
/// the Non-secure one.
inline constexpr unsigned kNonSecure = 0, kSecure = 1;
inline constexpr unsigned kMostRegions = 16, kSauRegions = 8;
inline constexpr unsigned kCodePieceWords = 4;

/// Registers that each security state has its own of.
struct Bank {
  u32 sp[2];        // main and process stack pointer; that in use is in ArmState::r
  u32 sp_limit[2];  // of them
  u32 control;      // nPRIV, SPSEL
  u32 primask, faultmask, basepri;
  u32 vtor, prigroup, scr, ccr, cpacr;
  u32 cfsr;  // the part for bus faults is in the Non-secure bank
  u32 mmfar;
  u32 fpccr, fpcar, fpdscr;  // what FPCCR has once is in the Secure bank, if there is one
  // Memory protection unit.
  u32 mpu_ctrl, mpu_rnr;
  u32 mpu_rbar[kMostRegions], mpu_rasr[kMostRegions];  // Armv8-M: RLAR
  u32 mpu_mair[2];
};

struct ArmState : CpuHeader {
  u32 r[15];   // r[13]: the stack pointer in use
  u32 secure;  // the security state: kSecure or kNonSecure
  // Condition flags (flags.h).
  u64 nz;
  u32 cc_x, cc_y, cc_kind, cc_c;
  u32 q;      // 0 or 1
  u32 ge;     // four bits
  u32 it;     // ITSTATE: 0 outside IT blocks
  u32 thumb;  // EPSR.T
  u64 s[32];  // floating-point registers, in the low halves
  /// FPSCR's control bits (AHP, DN, FZ, RMode, Stride, Len). Its flags N Z C V are in fp_nzcv, the exception
  /// flags in the header.
  u32 fpscr;
  u32 fp_nzcv;                       // in bits 31 to 28
  u32 exclusive_address, exclusive;  // local monitor: marked address, and whether one is
  // Special registers.
  u32 ipsr;             // number of the exception being handled; 0: Thread mode
  u32 fp_context;       // CONTROL.FPCA and SFPA, in their places there
  u32 stack_limit;      // of the stack pointer in use (update_stack_limit())
  u32 exc_return;       // an exception or function return waits for the run loop: the value, else 0
  u32 event;            // the event register of WFE
  u32 waits_for_event;  // the wait is a WFE's
  u32 lockup;           // 0 or 1
  u32 has_security;     // the CPU has the security extension
  u32 fpscr_mask;       // FPSCR's control bits that the CPU has
  u32 gated;            // the board refuses some of Secure code's accesses (SecurityMap::watches_secure())
  u32 shadowed;         // it was reset into memory's second addresses: flat accesses are slow there
  u32 priority_mask;    // the implemented bits of priorities
  Bank banks[2];
  // The system control block, as far as it is not banked.
  u32 hfsr, dfsr, bfar;
  // Security extension.
  u32 aircr;  // PRIS, BFHFNMINS, SYSRESETREQS
  u32 sfsr, sfar, nsacr;
  u32 sau_ctrl, sau_rnr;
  u32 sau_rbar[kSauRegions], sau_rlar[kSauRegions];
  ExceptionSet targets_non_secure;  // interrupts of the Non-secure state (NVIC_ITNS)
  // Exceptions: what the system control block and the NVIC keep.
  ExceptionSet enabled, pending, active, level;
  u8 priority[kSlots];  // of those with a programmable one
  // Derived from the above, kept for speed (update_exceptions()): group priority of the most urgent active
  // exception, and the pending exception to be taken next with its group priority.
  i32 active_priority;
  i32 pending_priority;
  u32 pending_exception;  // its slot; 0: none
  // Caches (mpu_code.cpp): where code has been found, one bit for each piece of the address space, and what
  // executable_number() is for each security state without and with privileges; 0: not known.
  u64 code_pieces[kCodePieceWords];
  u64 executable[2][2];
  u32 fpscr_ones;  // FPSCR's and FPDSCR's bits that the CPU has as ones

  Bank& bank() { return banks[secure]; }
  const Bank& bank() const { return banks[secure]; }
};

/// Exception numbers.
namespace exc {
inline constexpr unsigned kReset = 1, kNmi = 2, kHardFault = 3, kMemManage = 4, kBusFault = 5,
                          kUsageFault = 6, kSecureFault = 7, kSvc = 11, kDebugMonitor = 12, kPendSv = 14,
                          kSysTick = 15, kFirstIrq = 16;
}  // namespace exc

/// Lower is more urgent. Programmable priorities are 0 to 255.
inline constexpr i32 kPriorityNone = 256, kPriorityHardFault = -1, kPriorityNmi = -2,
                     kPrioritySecureHardFault = -3, kPriorityReset = -4;

namespace control {
inline constexpr u32 kNpriv = 1, kSpsel = 2, kFpca = 4, kSfpa = 8;
}
namespace ccr {
inline constexpr u32 kNonBaseThread = 1 << 0, kUserSetMpend = 1 << 1, kUnalignTrap = 1 << 3,
                     kDiv0Trap = 1 << 4, kBfhfnmign = 1 << 8, kStkAlign = 1 << 9, kStkOfHfNmiGn = 1 << 10,
                     kTrd = 1 << 20;
}
namespace cfsr {
inline constexpr u32 kIaccViol = 1 << 0, kDaccViol = 1 << 1, kMunstkErr = 1 << 3, kMstkErr = 1 << 4,
                     kMlspErr = 1 << 5, kMmarValid = 1 << 7;
inline constexpr u32 kIbusErr = 1 << 8, kPrecisErr = 1 << 9, kImprecisErr = 1 << 10, kUnstkErr = 1 << 11,
                     kStkErr = 1 << 12, kLspErr = 1 << 13, kBfarValid = 1 << 15;
inline constexpr u32 kUndefInstr = 1 << 16, kInvState = 1 << 17, kInvPc = 1 << 18, kNoCp = 1 << 19,
                     kStkOf = 1 << 20, kUnaligned = 1 << 24, kDivByZero = 1 << 25;
}  // namespace cfsr
namespace dfsr {
inline constexpr u32 kBkpt = 1 << 1;
}
namespace hfsr {
inline constexpr u32 kVectTbl = 1 << 1, kForced = u32{1} << 30, kDebugEvt = u32{1} << 31;
}
namespace fpccr {
inline constexpr u32 kLspact = 1, kUser = 2, kThread = 8, kHfrdy = 16, kMmrdy = 32, kBfrdy = 64,
                     kMonrdy = 256, kLspen = u32{1} << 30, kAspen = u32{1} << 31;
// Armv8-M.
inline constexpr u32 kSecure = 4, kSfrdy = 128, kSplimViol = 512, kUfrdy = 1024, kTs = 1 << 26,
                     kClrOnRetS = 1 << 27, kClrOnRet = 1 << 28, kLspenS = 1 << 29;
}  // namespace fpccr
namespace sfsr {
inline constexpr u32 kInvEp = 1, kInvIs = 2, kInvEr = 4, kAuViol = 8, kInvTran = 16, kLsPerr = 32,
                     kSfarValid = 64, kLsErr = 128;
}
namespace aircr {
inline constexpr u32 kSysResetReqS = 1 << 3, kBfhfnmins = 1 << 13, kPris = 1 << 14;
}
namespace sau_ctrl {
inline constexpr u32 kEnable = 1, kAllNs = 2;
}
namespace fpscr {
inline constexpr u32 kRmodeShift = 22, kFz16 = 1 << 19, kFz = 1 << 24, kDn = 1 << 25, kAhp = 1 << 26;
/// Armv8.1-M: LTPSIZE, how much of a vector a loop's last round leaves; 4, all, without MVE.
inline constexpr u32 kNoTail = 4 << 16;
inline constexpr u32 kControl = kAhp | kDn | kFz | 3 << kRmodeShift;
}  // namespace fpscr
namespace scr {
inline constexpr u32 kSleepOnExit = 2, kSleepDeep = 4, kSevOnPend = 16;
}
namespace mpu_ctrl {
inline constexpr u32 kEnable = 1, kHfnmiena = 2, kPrivdefena = 4;
}

/// Bits of the architecture context: all that translated code depends on.
namespace context {
inline constexpr u64 kIt = 0xff;
inline constexpr u64 kNotThumb = u64{1} << 8;  // EPSR.T is clear: every instruction faults
inline constexpr u64 kHandler = u64{1} << 9;   // branches to EXC_RETURN values return
inline constexpr u64 kUnprivileged = u64{1} << 10;
inline constexpr u64 kAlignTrap = u64{1} << 11;  // all accesses must be aligned
inline constexpr u64 kDiv0Trap = u64{1} << 12;
inline constexpr u64 kChecked = u64{1} << 13;   // accesses go through translate()
inline constexpr u64 kFpActive = u64{1} << 15;  // floating-point state is in the registers and in use
inline constexpr unsigned kRmodeShift = 16;     // as in FPSCR
inline constexpr u64 kFz = u64{1} << 18, kDn = u64{1} << 19;
inline constexpr u64 kSecure = u64{1} << 21;
inline constexpr u64 kMpuActive = u64{1} << 22;   // the memory protection unit has its say
inline constexpr u64 kStackLimit = u64{1} << 23;  // the stack pointer in use has a limit that is checked
inline constexpr unsigned kExecutableShift =
    24;  // with kMpuActive: executable_number(), above all other bits
}  // namespace context

/// GuestFault::cause: the exception's number, the CFSR, SFSR or HFSR bits that it sets above.
constexpr u64 fault_cause(unsigned exception, u32 status) { return exception | u64{status} << 32; }
/// Beside it: the fault is the Secure state's whatever the current one.
inline constexpr u64 kCauseSecure = u64{1} << 16;

/// No fault of the instruction's own: what is pending is to be taken before it.
constexpr u64 kTakePending = 0;

inline bool is_handler(const ArmState& s) { return s.ipsr != 0; }
/// Whether code of security state `secure` has privileges in the current mode.
inline bool is_privileged(const ArmState& s, u32 secure) {
  return is_handler(s) || (s.banks[secure].control & control::kNpriv) == 0;
}
inline bool is_privileged(const ArmState& s) { return is_privileged(s, s.secure); }
/// Whether the process stack pointer is in use.
inline bool process_sp_in_use(const ArmState& s) {
  return !is_handler(s) && (s.bank().control & control::kSpsel) != 0;
}

}  // namespace hindcast::arm
