// A simulated Petri net whose transitions are unrolled by macros into some 90 KiB of branches that are mostly
// not taken: the guest's code is far larger than what runs twice from one page (like Embench's nsichneu).
#include "kernels.h"

enum { kPlaces = 64 };
static int32_t tokens[kPlaces];
static uint32_t fired;

// Transition n: needs tokens in three places, moves them to three others. The numbers are arbitrary but
// spread.
#define P(n, k) tokens[((n) * (k) + (k)) % kPlaces]
#define T(n)                                                  \
  if (P(n, 5) >= 1 && P(n, 11) >= 1 && P(n, 7) != P(n, 13)) { \
    if (P(n, 3) <= (n) % 9 + 2 && P(n, 17) < 40) {            \
      int32_t x = P(n, 5), y = P(n, 11), z = P(n, 19);        \
      if (x > y + (n) % 3) {                                  \
        P(n, 5) -= 1, P(n, 3) += 1;                           \
        fired += (n);                                         \
      } else if (z < x) {                                     \
        P(n, 11) -= 1, P(n, 17) += 1;                         \
        fired ^= (uint32_t)z + (n);                           \
      } else {                                                \
        P(n, 19) -= (z > 0), P(n, 23) += (z > 0);             \
        fired = fired * 3 + (n);                              \
      }                                                       \
    }                                                         \
  }
#define T4(n) T(n) T((n) + 1) T((n) + 2) T((n) + 3)
#define T16(n) T4(n) T4((n) + 4) T4((n) + 8) T4((n) + 12)
#define T64(n) T16(n) T16((n) + 16) T16((n) + 32) T16((n) + 48)

// Two functions of 256 transitions: one of 512 takes the compiler too long.
__attribute__((noinline)) static void step_low(void) { T64(0) T64(64) T64(128) T64(192) }
__attribute__((noinline)) static void step_high(void){T64(256) T64(320) T64(384) T64(448)}

uint32_t kernel_petri(uint32_t scale) {
  uint32_t random = 3, sum = 0;
  for (int i = 0; i < kPlaces; i++) tokens[i] = (int32_t)(next_random(&random) % 6);
  fired = 0;
  for (uint32_t round = 0; round < scale * 40; round++) {
    step_low();
    step_high();
    tokens[round % kPlaces] += 1;
    sum = mix(sum, fired);
  }
  for (int i = 0; i < kPlaces; i++) sum = mix(sum, (uint32_t)tokens[i]);
  return sum;
}
