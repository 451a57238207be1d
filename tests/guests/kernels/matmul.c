// Integer matrix product modulo 2^32: nested loops, multiply-add, two strides.
#include "kernels.h"

enum { kSize = 40 };
static uint32_t a[kSize][kSize], b[kSize][kSize], c[kSize][kSize];

uint32_t kernel_matmul(uint32_t scale) {
  uint32_t random = 7, sum = 0;
  for (int i = 0; i < kSize; i++) {
    for (int j = 0; j < kSize; j++) {
      a[i][j] = next_random(&random) % 1000;
      b[i][j] = next_random(&random) % 1000;
    }
  }
  for (uint32_t round = 0; round < scale * 4; round++) {
    for (int i = 0; i < kSize; i++) {
      for (int j = 0; j < kSize; j++) {
        uint32_t total = 0;
        for (int n = 0; n < kSize; n++) total += a[i][n] * b[n][j];
        c[i][j] = total;
      }
    }
    for (int i = 0; i < kSize; i++) sum = mix(sum, c[i][(i * 7 + (int)round) % kSize]);
    a[round % kSize][(round * 3) % kSize] += sum & 15;
  }
  return sum;
}
