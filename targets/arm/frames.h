// Stack frames of exceptions (DDI 0403, B1.5.6 to B1.5.8; DDI 0553, B3.18 to B3.22).
#pragma once
#include "targets/arm/arm.h"

namespace hindcast::arm {

/// EXC_RETURN (DDI 0553, D1.2.95). Before Armv8-M bits 6, 5 and 0 are ones.
namespace exc_return {
inline constexpr u32 kSecureHandler = 1 << 0, kProcessSp = 1 << 2, kThread = 1 << 3, kNoFp = 1 << 4,
                     kCalleeNotSaved = 1 << 5, kSecureStack = 1 << 6;
inline constexpr u32 kPrefix = 0xff000000, kOnes = 0xffffff80;
}  // namespace exc_return
/// What BLXNS leaves in lr; the low bit does not matter.
inline constexpr u32 kFunctionReturn = 0xfefffffe;

/// Whether the MPU takes the code for a HardFault or NMI handler's.
enum class Priority : u8 { AsNow, Ordinary, Negative };
/// On whose behalf memory is accessed.
struct View {
  u32 secure;
  bool privileged;
  Priority priority = Priority::AsNow;
};
inline View current_view(const ArmState& s) { return {s.secure, is_privileged(s)}; }
/// Translation as seen from there: protection, security attribution.
Translation translate_for(const ArmArch& arch, Vcpu& vcpu, const View& view, u32 address, unsigned size,
                          Access access);

/// Why stacks are accessed: it decides about the fault status bits.
enum class Stacking : u8 { Push, Pop, Lazy };
/// The fault that an access to the frame at `at` ends in: `words` words there. Null cause: none.
GuestFault write_stack(Vcpu& vcpu, const View& view, u32 at, const u32* words, unsigned count, Stacking why);
GuestFault read_stack(Vcpu& vcpu, const View& view, u32 at, u32* words, unsigned count);

/// Stores the frame below the stack pointer in use, which moves in any case. False: not all of it could be
/// stored; the faults met are pending.
bool push_frame(Vcpu& vcpu, u32 return_address);
/// Stores r4 to r11 below the Secure stack pointer that EXC_RETURN names. Likewise; `quiet` leaves no faults.
bool push_callee_frame(Vcpu& vcpu, u32 exc_return, bool chained, bool quiet);

enum class Popped : u8 {
  Done,
  Fault,    // pending: to be taken on the frame as it is
  LockUp,   // one that cannot be taken
  BadMode,  // Armv7-M: all is restored, but the mode is not the one that EXC_RETURN says
};
/// Restores the frame of the security state that is the current one already; afterwards the mode is that of
/// the frame.
Popped pop_frame(Vcpu& vcpu, u32 exc_return);

}  // namespace hindcast::arm
