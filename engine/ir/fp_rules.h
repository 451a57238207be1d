// What IEEE 754 leaves to the architecture, for the Fp ops. All executors follow it.
#pragma once
#include "engine/types.h"

namespace hindcast::ir {

struct FpRules {
  /// What an operation with a NaN among its operands gives. One that makes a NaN of numbers (inf - inf, or
  /// inf * 0 in FMulAdd whatever is added) always gives the default NaN, and raises invalid.
  enum class Nan : u8 {
    Default,         // the default NaN
    SignalingFirst,  // the first signalling operand made quiet; without one the first quiet operand
  };
  Nan nan = Nan::Default;          // FMulAdd's order is c, a, b, with the signs that its flags give them
  bool signaling_min_max = false;  // FMin and FMax of a signalling NaN and a number are NaNs (IEEE 754-2008)
  bool nan_to_zero = false;        // FToS and FToU of a NaN give 0, not the largest integer
  bool tiny_before_rounding = false;  // whether an inexact result raises underflow
  /// Subnormal operands are zeros of their sign (and raise fp::kInputDenormal); results that are tiny before
  /// rounding are zeros and raise underflow alone.
  bool flush_to_zero = false;
  u32 default_nan32 = 0x7fc00000;
  u64 default_nan64 = 0x7ff8000000000000;
};

}  // namespace hindcast::ir
