// What the x86-64 host can do, and its register convention for translated code.
#pragma once
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast::jit {

/// Host features that the emitter asks about. All others are x86-64's baseline.
struct HostFeatures {
  bool avx = false, avx512 = false, bmi2 = false, fma = false, lzcnt = false, bmi1 = false, popcnt = false;
  bool fsgsbase = false;  // WRGSBASE usable in user mode
  bool usable = false;    // the JIT can run here at all
};

/// Detects, then removes what `off` names. Fatal for an unknown name.
HostFeatures detect_host(const std::vector<std::string>& off);

// Register convention between blocks (asmjit register ids). rsp: host stack; rbp: CPU state + kStateBias;
// r15: budget; gs: the guest's memory window. rax, rcx, rdx: temporaries.
inline constexpr u8 kTempGprs[] = {0, 1, 2};
inline constexpr u8 kPinnedGprs[] = {3, 6, 7, 8, 9, 10, 11, 12, 13, 14};
inline constexpr u8 kBudgetGpr = 15;
inline constexpr u8 kTempXmms[] = {0, 1, 2, 3};
inline constexpr u8 kPinnedXmms[] = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
/// Registers that a C function may destroy (System V ABI).
inline constexpr bool is_caller_saved(u8 gpr) { return gpr <= 2 || (gpr >= 6 && gpr <= 11); }

/// Where each guest register lives in a piece of translated code: a host register, or its slot in the CPU
/// state (-1).
struct HomeMap {
  std::vector<i8> gpr, xmm;        // by register row
  u32 gpr_mask = 0, xmm_mask = 0;  // the host registers among them
};

}  // namespace hindcast::jit
