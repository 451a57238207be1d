// The C++ functions that Arm translations call. Registered together, when the first CPU is built.
#pragma once
#include "engine/arch.h"
#include "engine/helpers.h"

namespace hindcast::arm {

/// An access of LDRT, STRT and their kin, which is checked as one of unprivileged code.
struct UnprivilegedAccess {
  unsigned size;  // bytes
  bool write, aligned;
  u64 packed() const { return size | u64{write} << 8 | u64{aligned} << 9; }
  static UnprivilegedAccess of(u64 packed) {
    return {static_cast<unsigned>(packed & 0xff), (packed >> 8 & 1) != 0, (packed >> 9 & 1) != 0};
  }
  Access access() const { return write ? Access::Write : Access::Read; }
};

struct Helpers {
  // Raise (exceptions.cpp).
  u32 undefined;  // a: instruction bits
  u32 invalid_state, unaligned, div_by_zero, stack_limit;
  u32 no_coprocessor;      // a: 1 for the floating-point unit, which may be there without the instruction
  u32 check_unprivileged;  // a: address; b: UnprivilegedAccess; raises what unprivileged code would meet;
                           // 0: nothing is to be accessed, loads give 0
  u32 svc;                 // a: pc of the next instruction
  // System (system.cpp, semihosting.cpp).
  u32 bkpt;  // a: immediate, b: pc of the next instruction
  u32 cps;   // a: 1 sets the masks, 0 clears them; b: bit 0 FAULTMASK, bit 1 PRIMASK
  u32 mrs;   // a: SYSm; the register's value
  u32 msr;   // a: SYSm, the mask field above it (bit 8), b: value
  u32 wfe, wfi;
  // Security extension (security.cpp).
  u32 test_target;        // a: address, b: bit 0 T, bit 1 A; the answer
  u32 branch_non_secure;  // a: target; where to go
  u32 call_non_secure;    // a: target, b: pc of the next instruction; where to go
  // Floating point (fp_state.cpp, fp_helpers.cpp).
  u32 fp_activate;              // makes floating-point state usable, or raises
  u32 lazy_store, lazy_load;    // VLSTM, VLLDM; a: address
  u32 read_fpscr, write_fpscr;  // a: the value
  // Armv8.1-M: registers by fp_register numbers (fp_context.cpp).
  u32 check_fp_register;  // a: number; makes it usable, or raises
  u32 read_fp_register;   // a: number; the value
  u32 fp_register_read;   // a: number; what reading changes
  u32 write_fp_register;  // a: number, b: value
  u32 half_arith;         // half.h
  u32 clear_floats;       // a: first single, b: how many
  /// a: the operand's bits; b: what the function says.
  u32 from_fixed, to_fixed, round_integral, half;
};
const Helpers& helpers();

}  // namespace hindcast::arm
