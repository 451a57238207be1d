// The RISC-V state block and the numbers of the privileged architecture (Privileged 1.12, chapters 2 and 3).
#pragma once
#include "engine/vcpu.h"

namespace hindcast::riscv {

inline constexpr unsigned kPmpEntries = 16;

/// Counters with a choice of event (hpm.h): mhpmcounter3 and on.
inline constexpr unsigned kHpmCounters = 8;
struct HpmCounter {
  u64 event;   // mhpmevent#
  u64 offset;  // value = base + offset while counting, = offset while not
  u64 due;     // the base at which it overflows; kNever: not in sight
};

struct RiscvState : CpuHeader {
  u64 x[32];  // RV32: zero-extended
  u64 f[32];  // narrower values NaN-boxed, also where FLEN is 32
  // LR/SC.
  u64 reservation;        // address
  u64 reservation_valid;  // 0 or 1
  u64 privilege;          // kUser, kSupervisor or kMachine
  u64 frm;                // 0 to 7; 5 and above are invalid
  u64 mstatus;            // without SD, which is computed
  u64 mie;
  u64 mip;  // levels of machine mode's lines, and what software has set; all that is pending: pending_of()
  u64 mtvec;
  u64 mepc;
  u64 mcause;
  u64 mtval;
  u64 mscratch;
  u64 mcounteren;
  u64 mcountinhibit;
  u64 menvcfg;
  u64 medeleg;
  u64 mideleg;
  u64 stvec;
  u64 sepc;
  u64 scause;
  u64 stval;
  u64 sscratch;
  u64 scounteren;
  u64 senvcfg;
  u64 satp;
  u64 supervisor_lines;  // mip bits of the lines whose interrupts software can also raise: external, of
                         // supervisor mode, and the timer that stimecmp makes
  u64 stimecmp;
  u64 mseccfg;
  u64 mstateen[4];
  // Counters: value = base + offset while counting, = offset while inhibited (csr_counters.cpp).
  u64 mcycle_offset;
  u64 minstret_offset;
  u64 not_retired;  // attempts of this vCPU that retired nothing: traps and what they interrupted
  u64 pmpaddr[kPmpEntries];
  u8 pmpcfg[kPmpEntries];
  HpmCounter hpm[kHpmCounters];
  // Advanced Interrupt Architecture (aia.h).
  u64 mvien;            // interrupts that machine mode makes for supervisor mode
  u64 mvip;             // those pending; its bits that are aliases are in mip
  u64 virtual_enabled;  // bits of sie that mvien makes
  u64 miselect;
  u64 siselect;
  u8 machine_priorities[64];  // the iprio arrays, by interrupt
  u8 supervisor_priorities[64];
  // Hypervisor extension (hypervisor.h); all zero without it.
  u64 virt;            // V: 0 or 1
  u64 virtual_status;  // what mstatus has of it: vstatus:: bits, where RV64 has them
  u64 guest_lines;     // hip bits of lines: the timer that vstimecmp makes
  u64 hstatus;
  u64 hedeleg;
  u64 hideleg;
  u64 hvip;
  u64 hcounteren;
  u64 htimedelta;
  u64 henvcfg;  // never more of menvcfg's kGuestMasked than that has
  u64 hstateen[4];
  u64 htval;
  u64 htinst;
  u64 hgatp;
  u64 mtval2;
  u64 mtinst;
  u64 vsstatus;  // without SD
  u64 vstvec;
  u64 vsscratch;
  u64 vsepc;
  u64 vscause;
  u64 vstval;
  u64 vsatp;
  u64 vstimecmp;
  // What pmp_summary() has found out about the entries, for user and machine mode. Not state.
  struct PmpSummary {
    u64 known;       // 0: not yet, or no longer
    u64 restricts;   // something can be refused
    u64 executable;  // number of what may be executed (Machine::context_numbers()), if `restricts`
  } pmp_summary[2];
  // Addresses around one that was asked for, [first, end), where user mode may do the same all over, and
  // what. Not state.
  struct PmpMemo {
    u64 first, end;  // equal: nothing yet, or no longer
    u64 permissions;
  } pmp_memo;
  u64 pmp_unused;   // how many of the last entries are known to be off. Not state
  u64 guest_space;  // number of vsatp's and hgatp's tables (Machine::context_numbers()); 0: not yet. Not
                    // state
  u64 acting;       // of an HLV, HLVX or HSV that is being made: Actor::encoded(); 0: none. Not state
};

inline constexpr u64 kUser = 0;
inline constexpr u64 kSupervisor = 1;
inline constexpr u64 kMachine = 3;

namespace mstatus {
inline constexpr u64 kSie = u64{1} << 1;
inline constexpr u64 kMie = u64{1} << 3;
inline constexpr u64 kSpie = u64{1} << 5;
inline constexpr u64 kMpie = u64{1} << 7;
inline constexpr u64 kSpp = u64{1} << 8;
inline constexpr unsigned kMppShift = 11;
inline constexpr u64 kMpp = u64{3} << kMppShift;
inline constexpr unsigned kFsShift = 13;
inline constexpr u64 kFs = u64{3} << kFsShift;  // off, initial, clean, dirty
inline constexpr u64 kMprv = u64{1} << 17;
inline constexpr u64 kSum = u64{1} << 18;
inline constexpr u64 kMxr = u64{1} << 19;
inline constexpr u64 kTvm = u64{1} << 20;
inline constexpr u64 kTw = u64{1} << 21;
inline constexpr u64 kTsr = u64{1} << 22;
inline constexpr unsigned kUxlShift = 32;  // RV64 only
inline constexpr unsigned kSxlShift = 34;
}  // namespace mstatus

/// mstatus of RV64; mstatush has them 32 lower.
namespace vstatus {
inline constexpr u64 kGva = u64{1} << 38;  // mtval has a guest's virtual address
inline constexpr u64 kMpv = u64{1} << 39;  // V before the trap into machine mode
}  // namespace vstatus

namespace hstatus {
inline constexpr u64 kGva = u64{1} << 6;
inline constexpr u64 kSpv = u64{1} << 7;
inline constexpr u64 kSpvp = u64{1} << 8;
inline constexpr u64 kHu = u64{1} << 9;  // user mode has HLV, HLVX and HSV
inline constexpr u64 kVtvm = u64{1} << 20;
inline constexpr u64 kVtw = u64{1} << 21;
inline constexpr u64 kVtsr = u64{1} << 22;
inline constexpr unsigned kVsxlShift = 32;  // RV64 only
inline constexpr u64 kWritable = kGva | kSpv | kSpvp | kHu | kVtvm | kVtw | kVtsr;
}  // namespace hstatus

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
inline constexpr u64 kEcallFromS = 9;
inline constexpr u64 kEcallFromGuest = 10;  // VS mode
inline constexpr u64 kEcallFromM = 11;
inline constexpr u64 kFetchPage = 12;
inline constexpr u64 kLoadPage = 13;
inline constexpr u64 kStorePage = 15;
inline constexpr u64 kFetchGuestPage = 20;
inline constexpr u64 kLoadGuestPage = 21;
inline constexpr u64 kVirtualInsn = 22;
inline constexpr u64 kStoreGuestPage = 23;
/// What can be delegated to supervisor mode: all but calls from machine mode.
inline constexpr u64 kDelegable = 0xb3ff;
/// What the hypervisor extension adds to that.
inline constexpr u64 kDelegableOfGuests = u64{1} << kEcallFromGuest | u64{0xf} << kFetchGuestPage;
/// What a hypervisor can delegate to its guest.
inline constexpr u64 kDelegableToGuest = 0xb1ff;
}  // namespace cause

/// Interrupt lines of a hart, numbered by their bit in mip.
namespace irq {
inline constexpr unsigned kSupervisorSoftware = 1;
inline constexpr unsigned kGuestSoftware = 2;  // VS mode's
inline constexpr unsigned kSoftware = 3;
inline constexpr unsigned kSupervisorTimer = 5;
inline constexpr unsigned kGuestTimer = 6;
inline constexpr unsigned kTimer = 7;
inline constexpr unsigned kSupervisorExternal = 9;
inline constexpr unsigned kGuestExternal = 10;
inline constexpr unsigned kExternal = 11;
inline constexpr unsigned kCounterOverflow = 13;  // Sscofpmf
inline constexpr u64 kMachineLines = u64{1} << kSoftware | u64{1} << kTimer | u64{1} << kExternal;
inline constexpr u64 kSupervisorAll =
    u64{1} << kSupervisorSoftware | u64{1} << kSupervisorTimer | u64{1} << kSupervisorExternal;
/// Each is the bit above supervisor mode's.
inline constexpr u64 kGuestAll = kSupervisorAll << 1;
}  // namespace irq

/// Environment configuration (menvcfg; senvcfg has the low ones).
namespace envcfg {
inline constexpr u64 kFiom = 1;
inline constexpr unsigned kCbieShift = 4;  // what cbo.inval does: 0 illegal, 1 flush, 3 invalidate
inline constexpr u64 kCbie = u64{3} << kCbieShift;
inline constexpr u64 kCbcfe = u64{1} << 6;   // cbo.clean, cbo.flush
inline constexpr u64 kCbze = u64{1} << 7;    // cbo.zero
inline constexpr u64 kAdue = u64{1} << 61;   // hardware sets accessed and dirty bits
inline constexpr u64 kPbmte = u64{1} << 62;  // entries of page tables have memory types
inline constexpr u64 kStce = u64{1} << 63;   // stimecmp is there
/// Of henvcfg: what menvcfg has to allow.
inline constexpr u64 kGuestMasked = kAdue | kPbmte | kStce;
}  // namespace envcfg

/// Security configuration (mseccfg).
namespace mseccfg {
inline constexpr u64 kMml = 1;              // machine mode obeys PMP too
inline constexpr u64 kMmwp = 2;             // what no entry matches is refused to machine mode
inline constexpr u64 kRlb = 4;              // locks do not hold
inline constexpr u64 kUseed = u64{1} << 8;  // user mode may read seed
inline constexpr u64 kSseed = u64{1} << 9;  // supervisor mode may
}  // namespace mseccfg

/// State enable (mstateen0): what less privileged modes may use.
namespace stateen {
inline constexpr u64 kImsic = u64{1} << 58;     // supervisor mode's interrupt file
inline constexpr u64 kAia = u64{1} << 59;       // what else the Advanced Interrupt Architecture adds
inline constexpr u64 kIndirect = u64{1} << 60;  // siselect and sireg
inline constexpr u64 kEnvcfg = u64{1} << 62;
inline constexpr u64 kStateen = u64{1} << 63;  // sstateen; in each of the four
}  // namespace stateen

/// What translated code depends on, packed into the 64-bit context. Bits 12 to 23 are free for the vector
/// unit's vtype. Of paging code depends on nothing else: where pages are is looked up at run time.
namespace context {
inline constexpr u64 kPrivilege = 3;           // bits 0-1: of instruction fetch
inline constexpr unsigned kDataPrivShift = 2;  // bits 2-3: of loads and stores (MPRV)
inline constexpr u64 kFsOn = u64{1} << 4;      // mstatus.FS is not off
inline constexpr u64 kFsDirty = u64{1} << 5;   // mstatus.FS is dirty: nothing to update
inline constexpr unsigned kFrmShift = 6;       // bits 6-8
inline constexpr u64 kChecked = u64{1} << 9;   // PMP can refuse something at these privileges
inline constexpr u64 kMapped = u64{1} << 10;   // fetches go through page tables
inline constexpr u64 kLookedUp = u64{1}
                                 << 11;  // loads and stores do, or stores to page tables must be noticed
inline constexpr unsigned kExecutableShift = 24;  // kChecked: number of what PMP lets be executed
inline constexpr u64 kVirtual = u64{1} << 63;     // V: floating point concerns vsstatus too
}  // namespace context

}  // namespace hindcast::riscv
