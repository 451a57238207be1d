// Counts the ways to place N queens, once with bit masks and once with arrays: backtracking.
#include "kernels.h"

static uint32_t by_mask(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
  if (columns == all) return 1;
  uint32_t count = 0;
  for (uint32_t free = all & ~(columns | left | right); free != 0; free &= free - 1) {
    uint32_t bit = free & -free;
    count += by_mask(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return count;
}

static uint8_t column_used[16], sum_used[32], difference_used[32];

static uint32_t by_array(int n, int row) {
  if (row == n) return 1;
  uint32_t count = 0;
  for (int c = 0; c < n; c++) {
    if (column_used[c] || sum_used[row + c] || difference_used[row - c + 15]) continue;
    column_used[c] = sum_used[row + c] = difference_used[row - c + 15] = 1;
    count += by_array(n, row + 1);
    column_used[c] = sum_used[row + c] = difference_used[row - c + 15] = 0;
  }
  return count;
}

uint32_t kernel_queens(uint32_t scale) {
  uint32_t sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (int n = 4; n <= 8; n++) {
      uint32_t a = by_mask((1u << n) - 1, 0, 0, 0), b = by_array(n, 0);
      if (a != b) return 0xbadbadu;
      sum = mix(sum, a + round);
    }
  }
  return sum;
}
