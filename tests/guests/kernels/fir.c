// Filters on 16-bit samples with saturation (FIR, IIR, IMA-like ADPCM): narrow loads, multiply-accumulate.
#include "kernels.h"

enum { kSamples = 1024, kTaps = 24 };
static int16_t input[kSamples], output[kSamples], taps[kTaps];

static int16_t clamp16(int32_t x) { return (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x); }

static uint32_t adpcm(const int16_t* samples, int count) {
  static const int8_t adjust[8] = {-1, -1, -1, -1, 2, 4, 6, 8};
  int32_t predicted = 0, index = 0;
  uint32_t sum = 0;
  for (int i = 0; i < count; i++) {
    int32_t step = 7 << (index >> 2);
    int32_t delta = samples[i] - predicted, code = 0;
    if (delta < 0) code = 8, delta = -delta;
    int32_t change = step >> 3;
    for (int bit = 4; bit > 0; bit >>= 1, step >>= 1) {
      if (delta < step) continue;
      code |= bit;
      delta -= step;
      change += step;
    }
    predicted = clamp16(code & 8 ? predicted - change : predicted + change);
    index += adjust[code & 7];
    index = index < 0 ? 0 : index > 47 ? 47 : index;
    sum = sum * 17 + (uint32_t)code;
  }
  return sum;
}

uint32_t kernel_fir(uint32_t scale) {
  uint32_t random = 41, sum = 0;
  for (int i = 0; i < kTaps; i++) taps[i] = (int16_t)(next_random(&random) % 8192 - 4096);
  for (int i = 0; i < kSamples; i++) input[i] = (int16_t)next_random(&random);
  for (uint32_t round = 0; round < scale * 4; round++) {
    for (int i = kTaps; i < kSamples; i++) {
      int32_t total = 1 << 14;
      for (int t = 0; t < kTaps; t++) total += (int32_t)input[i - t] * taps[t] / 16;
      output[i] = clamp16(total >> 11);
    }
    int32_t y1 = 0, y2 = 0;
    for (int i = 0; i < kSamples; i++) {
      int32_t y = clamp16(output[i] / 4 + (y1 * 13 >> 4) - (y2 * 5 >> 4));
      y2 = y1, y1 = y;
      input[i] = (int16_t)(y ^ (int32_t)(round & 3));
    }
    sum = mix(mix(sum, (uint32_t)(uint16_t)output[round % kSamples]), adpcm(output, kSamples));
    input[round % kSamples] = (int16_t)next_random(&random);
    for (int i = 0; i < kSamples; i += 16) input[i] = (int16_t)(next_random(&random) >> 3);
  }
  return sum;
}
