// An LZ77 compressor with a hash table, and its decompressor: byte copies of irregular length, table
// look-ups.
#include "kernels.h"

enum { kBytes = 16384, kHash = 1024, kMinMatch = 4, kMaxMatch = 130 };
static uint8_t plain[kBytes], packed[kBytes + kBytes / 32 + 64], again[kBytes];
static int32_t table[kHash];

static uint32_t hash(const uint8_t* p) {
  uint32_t v = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  return v * 2654435761u >> 22;
}

// Tokens: 0nnnnnnn = n+1 literal bytes follow; 1nnnnnnn dd dd = copy n+kMinMatch bytes from distance d.
static int compress(void) {
  int out = 0, literals = 0, i = 0;
  for (int h = 0; h < kHash; h++) table[h] = -1;
  while (i < kBytes) {
    int length = 0, from = -1;
    if (i + kMinMatch <= kBytes) {
      uint32_t h = hash(plain + i);
      from = table[h];
      table[h] = i;
      if (from >= 0) {
        while (i + length < kBytes && length < kMaxMatch && plain[from + length] == plain[i + length])
          length++;
      }
    }
    if (length >= kMinMatch || literals == 128 || i + 1 == kBytes) {
      if (length < kMinMatch && literals < 128) literals++, i++;
      if (literals > 0) {
        packed[out++] = (uint8_t)(literals - 1);
        for (int j = i - literals; j < i; j++) packed[out++] = plain[j];
        literals = 0;
      }
    }
    if (length >= kMinMatch) {
      int distance = i - from;
      packed[out++] = (uint8_t)(0x80 | (length - kMinMatch));
      packed[out++] = (uint8_t)distance;
      packed[out++] = (uint8_t)(distance >> 8);
      i += length;
    } else if (i < kBytes) {
      literals++, i++;
    }
  }
  if (literals > 0) {
    packed[out++] = (uint8_t)(literals - 1);
    for (int j = i - literals; j < i; j++) packed[out++] = plain[j];
  }
  return out;
}

static int decompress(int size) {
  int out = 0;
  for (int in = 0; in < size;) {
    int token = packed[in++];
    if (token < 0x80) {
      for (int n = token + 1; n > 0; n--) again[out++] = packed[in++];
    } else {
      int distance = packed[in] | packed[in + 1] << 8;
      in += 2;
      for (int n = (token & 0x7f) + kMinMatch; n > 0; n--, out++) again[out] = again[out - distance];
    }
  }
  return out;
}

uint32_t kernel_lz(uint32_t scale) {
  static const char* const words[] = {"record ", "replay ", "of ",    "the ",   "guest ", "is ",
                                      "exact ",  "and ",    "every ", "byte\n", "a ",     "timer "};
  uint32_t random = 11, sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (int i = 0; i < kBytes;) {
      const char* word = words[next_random(&random) % 12];
      while (*word != 0 && i < kBytes) plain[i++] = (uint8_t)*word++;
      if (random % 16 == 0 && i < kBytes) plain[i++] = (uint8_t)(random >> 8);
    }
    int size = compress();
    for (int repeat = 0; repeat < 4; repeat++) {
      if (decompress(size) != kBytes) return 0xbadbadu;
    }
    for (int i = 0; i < kBytes; i++) {
      if (plain[i] != again[i]) return 0xbadbadu;
    }
    sum = mix(mix(sum, (uint32_t)size), packed[size / 2]);
  }
  return sum;
}
