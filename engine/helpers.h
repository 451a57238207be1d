// Helpers: C++ functions that IR calls, for what is too rare or too large to be IR.
#pragma once
#include <string_view>

#include "engine/types.h"

namespace hindcast {

class Vcpu;

/// Sees and may change all guest state in the vCPU: registers are in memory while it runs, vcpu.icount() is
/// exact. To raise a guest exception it calls vcpu.raise() and returns anything. The instruction is then
/// abandoned, which requires that the helper has changed nothing else and that the translator has set no
/// register before.
using HelperFn = u64 (*)(Vcpu& vcpu, u64 a, u64 b, u64 c);
/// A function of its operands alone, which computes in integers: it runs with the guest's rounding.
using PureFn = u64 (*)(u64 a, u64 b, u64 c);

struct Helper {
  const char* name;
  HelperFn fn = nullptr;
  PureFn pure = nullptr;
};

/// Registers a helper and returns its number. The name is a unique string literal (letters, digits, '_',
/// '.'). The same function under the same name again gives the number that it has; another function: Fatal.
/// Only before machines run (one thread). Numbers are of this process only; IR text uses names.
u32 register_helper(const char* name, HelperFn fn);
u32 register_pure_helper(const char* name, PureFn fn);
u32 helper_count();
/// The reference stays valid. Fatal if there is none of that number.
const Helper& helper(u32 number);
/// kNoHelper if there is none of that name.
inline constexpr u32 kNoHelper = ~u32{0};
u32 find_helper(std::string_view name);

}  // namespace hindcast
