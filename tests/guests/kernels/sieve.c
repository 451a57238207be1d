// Sieve of Eratosthenes: tight loops of byte stores with a stride.
#include "kernels.h"

enum { kLimit = 65536 };
static uint8_t composite[kLimit];

uint32_t kernel_sieve(uint32_t scale) {
  uint32_t sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (uint32_t i = 0; i < kLimit; i++) composite[i] = 0;
    uint32_t count = 0, last = 0;
    for (uint32_t i = 2; i < kLimit; i++) {
      if (composite[i]) continue;
      count++;
      last = i;
      for (uint32_t j = 2 * i; j < kLimit; j += i) composite[j] = 1;
    }
    sum = mix(mix(sum, count), last + round);
  }
  return sum;
}
