#include "targets/riscv/pure.h"

#include "engine/softfloat/fp.h"

namespace hindcast::riscv {
namespace {

u128 carryless_product(u64 a, u64 b) {
  u128 product = 0;
  for (unsigned i = 0; i < 64; ++i) {
    if ((b >> i & 1) != 0) product ^= u128{a} << i;
  }
  return product;
}

/// Bits [first, first + xlen) of the product.
u64 product_bits(u64 a, u64 b, u64 first, u64 xlen) {
  const u64 value = static_cast<u64>(carryless_product(a, b) >> first);
  return xlen == 32 ? static_cast<u32>(value) : value;
}

template <typename F>
u64 fclass(u64 bits) {
  constexpr unsigned kSignBit = F::kExpBits + F::kFracBits;
  constexpr u64 kExpMax = (u64{1} << F::kExpBits) - 1;
  const bool negative = (bits >> kSignBit & 1) != 0;
  const u64 exponent = bits >> F::kFracBits & kExpMax;
  const u64 fraction = bits & ((u64{1} << F::kFracBits) - 1);
  if (exponent == kExpMax && fraction != 0) return (fraction >> (F::kFracBits - 1)) != 0 ? 1u << 9 : 1u << 8;
  // Away from zero: zero, subnormal, normal, infinite.
  const unsigned magnitude = exponent == kExpMax ? 3 : exponent != 0 ? 2 : fraction != 0 ? 1 : 0;
  return negative ? 1u << (3 - magnitude) : 1u << (4 + magnitude);
}

}  // namespace

u64 clmul(u64 a, u64 b, u64 xlen) { return product_bits(a, b, 0, xlen); }
u64 clmulh(u64 a, u64 b, u64 xlen) { return product_bits(a, b, xlen, xlen); }
u64 clmulr(u64 a, u64 b, u64 xlen) { return product_bits(a, b, xlen - 1, xlen); }

u64 fclass16(u64 bits, u64, u64) { return fclass<fp::F16>(bits); }
u64 fclass32(u64 bits, u64, u64) { return fclass<fp::F32>(bits); }
u64 fclass64(u64 bits, u64, u64) { return fclass<fp::F64>(bits); }

}  // namespace hindcast::riscv
