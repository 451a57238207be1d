// Modular powers with 64-bit moduli, by Montgomery's method and by plain remainders: wide multiplies,
// divisions.
#include "kernels.h"

static void multiply_wide(uint64_t a, uint64_t b, uint64_t* high, uint64_t* low) {
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
  uint64_t middle = (p00 >> 32) + (uint32_t)p01 + (uint32_t)p10;
  *low = (uint32_t)p00 | middle << 32;
  *high = p11 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
}

// a * b / 2^64 mod m, where inverse * m = -1 mod 2^64.
static uint64_t montgomery(uint64_t a, uint64_t b, uint64_t m, uint64_t inverse) {
  uint64_t high, low, high2, low2;
  multiply_wide(a, b, &high, &low);
  multiply_wide(low * inverse, m, &high2, &low2);
  uint64_t carry = low != 0;  // low + low2 is 0 mod 2^64 by construction
  uint64_t r = high + high2 + carry;
  return r >= m || r < high ? r - m : r;
}

static uint64_t power(uint64_t base, uint64_t exponent, uint64_t m) {
  uint64_t inverse = m;  // Newton's iteration doubles the correct bits
  for (int i = 0; i < 6; i++) inverse *= 2 - m * inverse;
  inverse = -inverse;
  uint64_t one = -m % m, x = base % m;
  for (int i = 0; i < 64; i++) x = x >= m - x ? x - (m - x) : x + x;
  uint64_t result = one;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = montgomery(result, x, m, inverse);
    x = montgomery(x, x, m, inverse);
  }
  return montgomery(result, 1, m, inverse);
}

uint32_t kernel_mont(uint32_t scale) {
  uint32_t random = 31, sum = 0;
  for (uint32_t round = 0; round < scale * 30; round++) {
    uint64_t m = (uint64_t)next_random(&random) << 32 | next_random(&random) | 1;
    uint64_t base = (uint64_t)next_random(&random) << 32 | next_random(&random);
    uint64_t p = power(base, 65537 + round, m);
    // Check with a 31-bit modulus, where plain remainders do.
    uint32_t small = (next_random(&random) >> 1) | 1;
    uint64_t plain = 1 % small, x = base % small;
    for (uint32_t e = 65537 + round; e != 0; e >>= 1) {
      if (e & 1) plain = plain * x % small;
      x = x * x % small;
    }
    if (plain != power(base, 65537 + round, small)) return 0xbadbadu;
    sum = mix(mix(sum, (uint32_t)p), (uint32_t)(p >> 32));
  }
  return sum;
}
