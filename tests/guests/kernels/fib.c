// Fibonacci and Ackermann numbers by plain recursion: nothing but calls and returns.
#include "kernels.h"

__attribute__((noinline, optimize("no-inline", "no-optimize-sibling-calls"))) static uint32_t fib(
    uint32_t n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

__attribute__((noinline, optimize("no-inline", "no-optimize-sibling-calls"))) static uint32_t ackermann(
    uint32_t m, uint32_t n) {
  if (m == 0) return n + 1;
  return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

uint32_t kernel_fib(uint32_t scale) {
  uint32_t sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    sum = mix(sum, fib(18 + (round & 3)));
    sum = mix(sum, ackermann(2, 20 + (round & 7)));
  }
  return sum;
}
