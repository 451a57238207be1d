// The C library's memory and string functions over blocks of many sizes and alignments.
#include <string.h>

#include "kernels.h"

enum { kBlock = 8192 };
static char from[kBlock + 64], to[kBlock + 64];

uint32_t kernel_memops(uint32_t scale) {
  uint32_t random = 71, sum = 0;
  for (int i = 0; i < kBlock; i++) from[i] = (char)(1 + next_random(&random) % 255);
  for (uint32_t round = 0; round < scale * 60; round++) {
    uint32_t r = next_random(&random);
    size_t a = r & 63, b = r >> 8 & 63, size = (r >> 16 & (kBlock / 2 - 1)) + (r & 1 ? kBlock / 2 - 1 : 0);
    memcpy(to + a, from + b, size);
    to[a + size] = 0;
    sum = mix(sum, (uint32_t)strlen(to + a));
    sum = mix(sum, (uint32_t)(memcmp(to + a, from + b, size) != 0));
    const char* hit = memchr(from + b, (int)(r >> 24), kBlock / 2);
    sum = mix(sum, hit != NULL ? (uint32_t)(hit - from) : 0xffffffffu);
    memset(to + b, (int)(r >> 3 & 127) + 1, size / 2);
    memmove(to + a / 2, to + b, size / 2);
    sum = mix(sum, (uint8_t)to[r >> 5 & 4095]);
    sum = mix(sum, (uint32_t)(strcmp(to + b, from + a) < 0));
    to[kBlock + 63] = 0;
  }
  return sum;
}
