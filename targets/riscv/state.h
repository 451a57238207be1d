// The RISC-V state block and the numbers of the privileged architecture (Privileged 1.12, chapters 2 and 3).
#pragma once
#include "engine/vcpu.h"

namespace hindcast::riscv {

inline constexpr unsigned kPmpEntries = 16;

struct RiscvState : CpuHeader {
  u64 x[32];  // RV32: zero-extended
  u64 f[32];  // narrower values NaN-boxed, also where FLEN is 32
  // LR/SC.
  u64 reservation;        // address
  u64 reservation_valid;  // 0 or 1
  u64 privilege;          // kUser or kMachine
  u64 frm;                // 0 to 7; 5 and above are invalid
  u64 mstatus;            // without SD, which is computed
  u64 mie;
  u64 mip;  // levels of the lines
  u64 mtvec;
  u64 mepc;
  u64 mcause;
  u64 mtval;
  u64 mscratch;
  u64 mcounteren;
  u64 mcountinhibit;
  u64 menvcfg;
  // Counters: value = base + offset while counting, = offset while inhibited (csr_counters.cpp).
  u64 mcycle_offset;
  u64 minstret_offset;
  u64 not_retired;  // attempts of this vCPU that retired nothing: traps and what they interrupted
  u64 pmpaddr[kPmpEntries];
  u8 pmpcfg[kPmpEntries];
  // What pmp_summary() has found out about the entries, for user and machine mode. Not state.
  struct PmpSummary {
    u64 known;       // 0: not yet, or no longer
    u64 restricts;   // something can be refused
    u64 executable;  // number of what may be executed (Machine::context_numbers()), if `restricts`
  } pmp_summary[2];
};

inline constexpr u64 kUser = 0;
inline constexpr u64 kMachine = 3;

namespace mstatus {
inline constexpr u64 kMie = u64{1} << 3;
inline constexpr u64 kMpie = u64{1} << 7;
inline constexpr unsigned kMppShift = 11;
inline constexpr u64 kMpp = u64{3} << kMppShift;
inline constexpr unsigned kFsShift = 13;
inline constexpr u64 kFs = u64{3} << kFsShift;  // off, initial, clean, dirty
inline constexpr u64 kMprv = u64{1} << 17;
inline constexpr u64 kTw = u64{1} << 21;
inline constexpr unsigned kUxlShift = 32;  // RV64 only
}  // namespace mstatus

namespace cause {
inline constexpr u64 kFetchMisaligned = 0;
inline constexpr u64 kFetchAccess = 1;
inline constexpr u64 kIllegalInsn = 2;
inline constexpr u64 kBreakpoint = 3;
inline constexpr u64 kLoadMisaligned = 4;
inline constexpr u64 kLoadAccess = 5;
inline constexpr u64 kStoreMisaligned = 6;
inline constexpr u64 kStoreAccess = 7;
inline constexpr u64 kEcallFromU = 8;
inline constexpr u64 kEcallFromM = 11;
}  // namespace cause

/// Interrupt lines of a hart, numbered by their bit in mip.
namespace irq {
inline constexpr unsigned kSoftware = 3;
inline constexpr unsigned kTimer = 7;
inline constexpr unsigned kExternal = 11;
inline constexpr u64 kAll = u64{1} << kSoftware | u64{1} << kTimer | u64{1} << kExternal;
}  // namespace irq

/// What translated code depends on, packed into the 64-bit context. Bits 10 to 23 are free for paging (satp's
/// mode, SUM, MXR) and the vector unit's vtype.
namespace context {
inline constexpr u64 kPrivilege = 3;              // bits 0-1: of instruction fetch
inline constexpr unsigned kDataPrivShift = 2;     // bits 2-3: of loads and stores (MPRV)
inline constexpr u64 kFsOn = u64{1} << 4;         // mstatus.FS is not off
inline constexpr u64 kFsDirty = u64{1} << 5;      // mstatus.FS is dirty: nothing to update
inline constexpr unsigned kFrmShift = 6;          // bits 6-8
inline constexpr u64 kChecked = u64{1} << 9;      // PMP can refuse something at these privileges
inline constexpr unsigned kExecutableShift = 24;  // kChecked: number of what PMP lets be executed
}  // namespace context

}  // namespace hindcast::riscv
