// Operands for the softfloat tests: a deterministic mixture of random patterns and those that sit on the
// edges.
#pragma once
#include <bit>
#include <iterator>

#include "engine/softfloat/fp.h"

namespace hindcast::fp::test {

inline constexpr Round kRounds[] = {Round::NearestEven, Round::TowardZero, Round::Down, Round::Up,
                                    Round::NearestMaxMagnitude};

/// SplitMix64: the same sequence everywhere for the same seed.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, bound); the bias of the modulus does not matter here.
  u64 below(u64 bound) { return next() % bound; }

 private:
  u64 state_;
};

template <typename F>
class Operands {
 public:
  using Bits = typename F::Bits;
  explicit Operands(u64 seed) : random_(seed) {}

  /// Any pattern; every second one with an exponent and a fraction chosen to provoke trouble.
  Bits any() {
    if (random_.below(4) == 0) return static_cast<Bits>(random_.next());
    return compose(exponent(), fraction());
  }

  /// Often close to `other` in exponent, so that sums align, cancel and carry.
  Bits near(Bits other) {
    const u64 kind = random_.below(6);
    if (kind < 2) return any();
    if (kind == 2) return static_cast<Bits>((other ^ sign()) + random_.below(5) - 2);
    const u64 spread = 2 * F::kFracBits + 6;
    return compose(exponent_of(other) + random_.below(2 * spread) - spread, fraction());
  }

  /// Often such that the product (or, with `inverse`, the quotient) lands near overflow, underflow or one.
  Bits partner(Bits other, bool inverse) {
    if (random_.below(3) == 0) return any();
    const u64 bias = (u64{1} << (F::kExpBits - 1)) - 1;
    const u64 targets[] = {0, bias, 2 * bias, u64{0} - F::kFracBits};
    const u64 target = targets[random_.below(std::size(targets))] + random_.below(5) - 2;
    const u64 exp = inverse ? exponent_of(other) - target + bias : target + bias - exponent_of(other);
    return compose(exp, fraction());
  }

  /// Within reach of the integer conversions: magnitudes 2^-3 to 2^66, with fractions around one half.
  Bits near_integer() {
    if (random_.below(8) == 0) return any();
    const u64 bias = (u64{1} << (F::kExpBits - 1)) - 1;
    const u64 centres[] = {0, 8, 31, 32, 63, 64};
    const u64 exp = random_.below(2) == 0 ? random_.below(70) : centres[random_.below(6)] + random_.below(3);
    return compose(bias + exp - 3 + random_.below(4), fraction());
  }

  /// Integers of every length, with runs of ones and zeros, so that they round in every way.
  u64 integer() { return run(64) >> random_.below(64); }

 private:
  static constexpr u64 kFracMask = (u64{1} << F::kFracBits) - 1;
  static constexpr u64 kExpMask = (u64{1} << F::kExpBits) - 1;

  static u64 exponent_of(Bits a) { return (u64{a} >> F::kFracBits) & kExpMask; }
  Bits sign() { return static_cast<Bits>(random_.below(2) << (F::kFracBits + F::kExpBits)); }

  /// An exponent outside the format is clamped to its edges, which are worth a test too.
  Bits compose(u64 exp, u64 frac) {
    const i64 wanted = static_cast<i64>(exp);
    const u64 clamped = wanted < 0 ? 0 : wanted > static_cast<i64>(kExpMask) ? kExpMask - 1 : exp;
    return static_cast<Bits>(sign() | clamped << F::kFracBits | (frac & kFracMask));
  }

  u64 exponent() {
    const u64 bias = kExpMask >> 1;
    switch (random_.below(6)) {
      case 0: return random_.below(3);
      case 1: return kExpMask - random_.below(3);
      case 2: return bias + random_.below(9) - 4;
      case 3: return bias + random_.below(4 * F::kFracBits) - 2 * F::kFracBits;
      default: return random_.below(kExpMask + 1);
    }
  }

  u64 fraction() {
    switch (random_.below(6)) {
      case 0: return u64{0} - random_.below(3);
      case 1: return random_.below(3);
      case 2: return u64{1} << random_.below(F::kFracBits);
      case 3: return run(F::kFracBits);
      case 4:
        return random_.next() << random_.below(F::kFracBits);  // few leading bits: exact results and halves
      default: return random_.next();
    }
  }

  /// One run of ones among zeros, or the reverse, with a little noise now and then.
  u64 run(u64 bits) {
    const u64 from = random_.below(bits), to = random_.below(bits);
    u64 value = (~u64{0} << from) ^ (~u64{0} << to);
    if (random_.below(2) == 0) value = ~value;
    if (random_.below(4) == 0) value ^= u64{1} << random_.below(bits);
    return random_.below(3) == 0 ? random_.next() : value;
  }

  Random random_;
};

}  // namespace hindcast::fp::test
