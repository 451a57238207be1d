// Performance counters with a choice of event, their filters and their overflow (Sscofpmf 1.0; Privileged,
// 3.1.10). Without Sscofpmf they read as zero.
#pragma once
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {

/// What bits of mhpmevent# are for; below kEventMask is the event's number.
namespace hpm {
inline constexpr u64 kOverflow = u64{1} << 63;  // has overflowed: no interrupt until software clears it
inline constexpr u64 kNotMachine = u64{1} << 62;
inline constexpr u64 kNotSupervisor = u64{1} << 61;
inline constexpr u64 kNotUser = u64{1} << 60;
inline constexpr unsigned kGuestShift = 2;  // what is for a guest's modes is so much lower
inline constexpr u64 kEventMask = (u64{1} << 56) - 1;
inline constexpr u64 kCycles = 1;        // attempts of the machine, as mcycle
inline constexpr u64 kInstructions = 2;  // what the vCPU has retired, as minstret; other events never happen
}  // namespace hpm

/// The counters that count now, as bits of mcountinhibit; 0 without Sscofpmf.
u32 hpm_counting(const RiscvArch& arch, const RiscvState& s);
/// To be called from an instruction or trap that has changed the privilege or mcountinhibit: `before` is what
/// hpm_counting() said then. That instruction or trap still counts by what was before.
void hpm_settle(const RiscvArch& arch, Vcpu& vcpu, u32 before);
/// Overflows that are due now, and when the next one is.
void hpm_check(const RiscvArch& arch, Vcpu& vcpu);
/// When the next one is, after a saved state was loaded.
void hpm_arm(const RiscvArch& arch, Vcpu& vcpu);
/// Bits of mcountinhibit.
u64 inhibitable(const RiscvArch& arch);
/// Part of keep_legal().
bool hpm_keep_legal(const RiscvArch& arch, RiscvState& s);
void hpm_state(const RiscvArch& arch, RiscvState& s, Archive& ar);

// CSRs.
u64 hpm_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void hpm_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
u64 hpm_event_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);
void hpm_event_write(const RiscvArch& arch, Vcpu& vcpu, unsigned number, u64 value);
/// Whether the CPU has the counter of one of their numbers.
bool hpm_is_counter(const RiscvArch& arch, unsigned number);
u64 scountovf_read(const RiscvArch& arch, const Vcpu& vcpu, unsigned number);

}  // namespace hindcast::riscv
