#include "tests/oracle/operands.h"

#include <iterator>

namespace hindcast::oracle {
namespace {

constexpr u64 kIntegers[] = {
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffffffffffffffff,
    0xffffffff80000000,
    0xffffffff7fffffff,
    0x5555555555555555,
    0xaaaaaaaaaaaaaaaa,
    0x0123456789abcdef,
};

struct Layout {
  unsigned exponent_bits, fraction_bits;
};

Layout layout_of(FpFormat format) {
  switch (format) {
    case FpFormat::Half: return {5, 10};
    case FpFormat::Single: return {8, 23};
    default: return {11, 52};
  }
}

u64 low_mask(unsigned bits) { return bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1; }

/// A number of the format by its parts, chosen at the borders of the encoding.
u64 float_bits(Random& random, Layout f) {
  const u64 fraction_mask = low_mask(f.fraction_bits), exponent_mask = low_mask(f.exponent_bits);
  const u64 bias = exponent_mask >> 1;
  u64 exponent = 0, fraction = 0;
  switch (random.below(10)) {
    case 0: break;                            // zero
    case 1: exponent = exponent_mask; break;  // infinity
    case 2:                                   // NaN, quiet or signalling, with a payload
      exponent = exponent_mask;
      fraction = random.next() & fraction_mask;
      if (random.chance(50)) fraction = random.chance(50) ? 1 : fraction_mask / 2 + 1;
      if (fraction == 0) fraction = 1;
      break;
    case 3:  // subnormal
      fraction = random.chance(50) ? random.next() & fraction_mask : u64{1} << random.below(f.fraction_bits);
      break;
    case 4:  // the smallest and largest normal numbers
      exponent = random.chance(50) ? 1 : exponent_mask - 1;
      fraction = random.chance(50) ? 0 : fraction_mask;
      break;
    case 5:  // around one
      exponent = bias - 1 + random.below(3);
      fraction = random.chance(50) ? 0 : random.next() & fraction_mask;
      break;
    case 6:  // around the limits and halves of integers
      exponent = bias + random.below(67) - 2;
      fraction = random.chance(50) ? random.next() & fraction_mask & ~low_mask(random.below(f.fraction_bits))
                                   : (random.chance(50) ? fraction_mask : 0);
      break;
    case 7:  // few bits set
      exponent = random.next() & exponent_mask;
      fraction = u64{1} << random.below(f.fraction_bits);
      break;
    default: exponent = random.next() & exponent_mask; fraction = random.next() & fraction_mask;
  }
  exponent &= exponent_mask;
  const u64 sign = random.next() & 1;
  return sign << (f.exponent_bits + f.fraction_bits) | exponent << f.fraction_bits | fraction;
}

}  // namespace

u64 Random::next() {
  u64 z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

u64 integer_operand(Random& random) {
  u64 value = kIntegers[random.below(std::size(kIntegers))];
  switch (random.below(6)) {
    case 0: return value + random.below(5) - 2;
    case 1: return random.next() >> random.below(64);
    case 2: return static_cast<u64>(static_cast<i64>(random.next()) >> random.below(64));
    case 3: return u64{1} << random.below(64);
    default: return value;
  }
}

u64 float_operand(Random& random, FpFormat format) {
  if (format == FpFormat::Any) return integer_operand(random);
  const Layout f = layout_of(format);
  const unsigned width = 1 + f.exponent_bits + f.fraction_bits;
  const u64 box = ~low_mask(width);
  u64 value = float_bits(random, f) | box;
  // A number that is not boxed counts as the default NaN.
  if (box != 0 && random.chance(3)) value &= ~(u64{1} << (width + random.below(64 - width)));
  return value;
}

}  // namespace hindcast::oracle
