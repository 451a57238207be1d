// Compute kernels that run as bare-metal guests and, from the same source, natively: the checksums must be
// equal.
//
// A kernel takes a scale (how much work, at least 1) and returns a checksum of what it computed. Kernels use
// integers of fixed width, no heap, no libm and no undefined behaviour, so that every build gives the same
// sum.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef uint32_t (*KernelFn)(uint32_t scale);

#define KERNEL(name) uint32_t kernel_##name(uint32_t scale);
#include "kernels.inc"
#undef KERNEL

// Folds one word into a checksum; the order of the words matters.
static inline uint32_t mix(uint32_t sum, uint32_t word) {
  sum ^= word;
  sum = (sum << 13) | (sum >> 19);
  return sum * 5u + 0xe6546b64u;
}

// The bits of a floating-point result, for the checksum.
static inline uint32_t mix_double(uint32_t sum, double value) {
  union {
    double value;
    uint64_t bits;
  } u = {value};
  return mix(mix(sum, (uint32_t)u.bits), (uint32_t)(u.bits >> 32));
}

static inline uint32_t mix_float(uint32_t sum, float value) {
  union {
    float value;
    uint32_t bits;
  } u = {value};
  return mix(sum, u.bits);
}

// A small generator of repeatable test data (xorshift32); the state must not be 0.
static inline uint32_t next_random(uint32_t* state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}
