// The smallest program that prints: what start-up costs.
#include <stdio.h>

int main(void) {
  puts("hello, world");
  return 0;
}
