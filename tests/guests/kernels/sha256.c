// SHA-256 (FIPS 180-4) over a chain of its own digests: rotates, adds, long straight code.
#include "kernels.h"

static uint32_t k[64];
static uint32_t initial[8];

// The constants are the fractional parts of the roots of the first primes; integer square and cube roots give
// them.
static uint32_t root_fraction(uint32_t prime, int cube) {
  uint64_t root = 0;  // floor(prime^(1/2 or 1/3) * 2^32), built bit by bit
  for (int bit = 35; bit >= 0; bit--) {
    uint64_t trial = root | (uint64_t)1 << bit;
    // Compare trial^n with prime * 2^(32 n) in 32-bit limbs.
    uint32_t limbs[6] = {(uint32_t)trial, (uint32_t)(trial >> 32)};
    int size = 2;
    for (int times = cube ? 2 : 1; times > 0; times--) {
      uint32_t product[6] = {0};
      for (int i = 0; i < size; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 2; j++) {
          uint32_t digit = j ? (uint32_t)(trial >> 32) : (uint32_t)trial;
          uint64_t t = (uint64_t)limbs[i] * digit + product[i + j] + carry;
          product[i + j] = (uint32_t)t;
          carry = t >> 32;
        }
        if (i + 2 < 6) product[i + 2] += (uint32_t)carry;
      }
      for (int i = 0; i < 6; i++) limbs[i] = product[i];
      if (size < 4) size += 1;
    }
    int whole = cube ? 3 : 2;
    uint64_t high = limbs[whole] | (uint64_t)limbs[whole + 1] << 32;
    if (high < prime) root = trial;
  }
  return (uint32_t)root;
}

static void make_constants(void) {
  uint32_t found = 0;
  for (uint32_t n = 2; found < 64; n++) {
    uint32_t d = 2;
    while (d * d <= n && n % d != 0) d++;
    if (d * d <= n) continue;
    k[found] = root_fraction(n, 1);
    if (found < 8) initial[found] = root_fraction(n, 0);
    found++;
  }
}

static inline uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress(uint32_t state[8], const uint8_t block[64]) {
  uint32_t w[64];
  for (int i = 0; i < 16; i++) {
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
           block[4 * i + 3];
  }
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
    uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

uint32_t kernel_sha256(uint32_t scale) {
  make_constants();
  uint8_t block[64] = "abc\x80";  // the standard's first example, padded
  block[63] = 24;
  uint32_t sum = 0;
  for (uint32_t round = 0; round < scale * 400; round++) {
    uint32_t state[8];
    for (int i = 0; i < 8; i++) state[i] = initial[i];
    compress(state, block);
    for (int i = 0; i < 8; i++) {
      sum = mix(sum, state[i]);
      for (int j = 0; j < 4; j++) block[4 * i + j] = (uint8_t)(state[i] >> (24 - 8 * j));
    }
    // The first digest is known: a wrong one must not pass for a checksum.
    if (round == 0 && (state[0] != 0xba7816bfu || state[7] != 0xf20015adu)) return 0xbadbadu;
  }
  return sum;
}
