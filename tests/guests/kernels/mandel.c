// The Mandelbrot set, in double, single and fixed-point precision: short dependent loops with a compare each.
#include "kernels.h"

enum { kSize = 24, kIterations = 200 };

static uint32_t in_double(double cx, double cy) {
  double x = 0, y = 0;
  uint32_t n = 0;
  for (; n < kIterations && x * x + y * y <= 4.0; n++) {
    double t = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = t;
  }
  return n;
}

static uint32_t in_float(float cx, float cy) {
  float x = 0, y = 0;
  uint32_t n = 0;
  for (; n < kIterations && x * x + y * y <= 4.0f; n++) {
    float t = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = t;
  }
  return n;
}

static uint32_t in_fixed(int32_t cx, int32_t cy) {
  int32_t x = 0, y = 0;
  uint32_t n = 0;
  for (; n < kIterations; n++) {
    int32_t xx = (int32_t)((int64_t)x * x >> 24), yy = (int32_t)((int64_t)y * y >> 24);
    if (xx + yy > 4 << 24) break;
    int32_t t = xx - yy + cx;
    y = (int32_t)((int64_t)x * y >> 23) + cy;
    x = t;
  }
  return n;
}

uint32_t kernel_mandel(uint32_t scale) {
  uint32_t sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (int j = 0; j < kSize; j++) {
      for (int i = 0; i < kSize; i++) {
        int fx = i * 48 - 800 + (int)(round & 15), fy = j * 40 - 480;  // 1/400 units
        sum = mix(sum, in_double(fx / 400.0, fy / 400.0));
        sum = mix(sum, in_float((float)fx / 400.0f, (float)fy / 400.0f));
        sum = mix(sum, in_fixed(fx * 41943, fy * 41943));
      }
    }
  }
  return sum;
}
