// Operand values at which instructions tend to be wrong, mixed with random ones.
#pragma once
#include "engine/types.h"

namespace hindcast::oracle {

/// A repeatable source of random numbers (splitmix64).
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next();
  /// 0 .. bound-1; bound > 0.
  u32 below(u32 bound) { return static_cast<u32>((next() >> 32) * bound >> 32); }
  bool chance(u32 percent) { return below(100) < percent; }

 private:
  u64 state_;
};

/// What a floating-point register holds, NaN-boxed into 64 bits.
enum class FpFormat : u8 { Half, Single, Double, Any };

u64 integer_operand(Random& random);
u64 float_operand(Random& random, FpFormat format);

}  // namespace hindcast::oracle
