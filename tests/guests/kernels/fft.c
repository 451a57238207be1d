// Radix-2 complex FFT and its inverse in single precision, with twiddle factors from a recurrence in double.
#include "kernels.h"

enum { kBits = 9, kPoints = 1 << kBits };
static float re[kPoints], im[kPoints], wr[kPoints / 2], wi[kPoints / 2];

static void make_twiddles(void) {
  // cos and sin of 2 pi / kPoints by their series; the higher ones by rotation.
  double x = 6.283185307179586 / kPoints, term = 1, c = 0, s = 0;
  for (int n = 0; n < 12; n++) {
    switch (n & 3) {
      case 0: c += term; break;
      case 1: s += term; break;
      case 2: c -= term; break;
      case 3: s -= term; break;
    }
    term = term * x / (n + 1);
  }
  double a = 1, b = 0;
  for (int i = 0; i < kPoints / 2; i++) {
    wr[i] = (float)a, wi[i] = (float)-b;
    double t = a * c - b * s;
    b = a * s + b * c;
    a = t;
  }
}

static void fft(float sign) {
  for (int i = 0, j = 0; i < kPoints; i++) {
    if (i < j) {
      float t = re[i];
      re[i] = re[j], re[j] = t;
      t = im[i];
      im[i] = im[j], im[j] = t;
    }
    int bit = kPoints / 2;
    while (j & bit) j ^= bit, bit >>= 1;
    j |= bit;
  }
  for (int half = 1; half < kPoints; half *= 2) {
    int stride = kPoints / (2 * half);
    for (int start = 0; start < kPoints; start += 2 * half) {
      for (int k = 0; k < half; k++) {
        float c = wr[k * stride], s = wi[k * stride] * sign;
        int a = start + k, b = a + half;
        float tr = re[b] * c - im[b] * s, ti = re[b] * s + im[b] * c;
        re[b] = re[a] - tr, im[b] = im[a] - ti;
        re[a] += tr, im[a] += ti;
      }
    }
  }
}

uint32_t kernel_fft(uint32_t scale) {
  uint32_t random = 61, sum = 0;
  make_twiddles();
  for (int i = 0; i < kPoints; i++) {
    re[i] = (float)(next_random(&random) % 2000u) * 0.001f - 1.0f;
    im[i] = 0;
  }
  for (uint32_t round = 0; round < scale * 2; round++) {
    fft(1.0f);
    for (int i = 0; i < kPoints; i += 37) sum = mix_float(mix_float(sum, re[i]), im[i]);
    fft(-1.0f);
    for (int i = 0; i < kPoints; i++) re[i] *= 1.0f / kPoints, im[i] *= 1.0f / kPoints;
  }
  return mix_float(sum, re[1]);
}
