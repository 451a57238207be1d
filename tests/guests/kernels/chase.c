// Follows a random cycle of links through 2 MiB: every load waits for the one before, and the caches do not
// help.
#include "kernels.h"

enum { kLinks = 524288 };
static uint32_t next[kLinks];

uint32_t kernel_chase(uint32_t scale) {
  uint32_t random = 23, sum = 0;
  for (uint32_t i = 0; i < kLinks; i++) next[i] = i;
  // Sattolo's shuffle gives one cycle through all of them.
  for (uint32_t i = kLinks - 1; i > 0; i--) {
    uint32_t j = next_random(&random) % i, t = next[i];
    next[i] = next[j];
    next[j] = t;
  }
  uint32_t at = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (uint32_t i = 0; i < kLinks; i++) at = next[at];
    if (at != 0) return 0xbadbadu;
    for (uint32_t i = 0; i < 1000; i++) at = next[at];
    sum = mix(sum, at);
    at = 0;
  }
  return sum;
}
