// LU decomposition with pivoting and a linear solve in double precision; comparisons, divisions, conversions.
#include "kernels.h"

enum { kSize = 24 };
static double matrix[kSize][kSize], vector[kSize];

static double magnitude(double x) { return x < 0 ? -x : x; }

static void solve(void) {
  for (int k = 0; k < kSize; k++) {
    int pivot = k;
    for (int i = k + 1; i < kSize; i++) {
      if (magnitude(matrix[i][k]) > magnitude(matrix[pivot][k])) pivot = i;
    }
    for (int j = 0; j < kSize; j++) {
      double t = matrix[k][j];
      matrix[k][j] = matrix[pivot][j];
      matrix[pivot][j] = t;
    }
    double t = vector[k];
    vector[k] = vector[pivot];
    vector[pivot] = t;
    for (int i = k + 1; i < kSize; i++) {
      double factor = matrix[i][k] / matrix[k][k];
      for (int j = k; j < kSize; j++) matrix[i][j] -= factor * matrix[k][j];
      vector[i] -= factor * vector[k];
    }
  }
  for (int i = kSize - 1; i >= 0; i--) {
    for (int j = i + 1; j < kSize; j++) vector[i] -= matrix[i][j] * vector[j];
    vector[i] /= matrix[i][i];
  }
}

uint32_t kernel_lu(uint32_t scale) {
  uint32_t random = 53, sum = 0;
  for (uint32_t round = 0; round < scale * 4; round++) {
    for (int i = 0; i < kSize; i++) {
      for (int j = 0; j < kSize; j++) matrix[i][j] = (double)(int32_t)next_random(&random) / 65536.0;
      matrix[i][i] += 100000.0;
      vector[i] = (double)(next_random(&random) % 1000u);
    }
    solve();
    for (int i = 0; i < kSize; i++) sum = mix_double(sum, vector[i]);
    sum = mix(sum, (uint32_t)(int32_t)(vector[0] * 1e6));
  }
  return sum;
}
