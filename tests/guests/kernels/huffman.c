// Huffman coding: builds a code from byte counts, encodes, decodes bit by bit through the tree, compares.
#include "kernels.h"

enum { kBytes = 4096, kSymbols = 64 };
static uint8_t plain[kBytes], decoded[kBytes], coded[kBytes * 2];
static uint32_t weight[2 * kSymbols];
static int16_t child[2 * kSymbols][2], parent[2 * kSymbols];

static int build_tree(void) {
  int nodes = kSymbols;
  for (int i = 0; i < 2 * kSymbols; i++) parent[i] = -1;
  for (;;) {
    int low = -1, second = -1;
    for (int i = 0; i < nodes; i++) {
      if (parent[i] >= 0) continue;
      if (low < 0 || weight[i] < weight[low]) {
        second = low;
        low = i;
      } else if (second < 0 || weight[i] < weight[second]) {
        second = i;
      }
    }
    if (second < 0) return low;
    weight[nodes] = weight[low] + weight[second];
    child[nodes][0] = (int16_t)low, child[nodes][1] = (int16_t)second;
    parent[low] = parent[second] = (int16_t)nodes;
    nodes++;
  }
}

static uint32_t encode(int root) {
  uint32_t at = 0;
  for (int i = 0; i < kBytes; i++) {
    uint8_t path[kSymbols];
    int depth = 0;
    for (int n = plain[i]; n != root; n = parent[n]) path[depth++] = child[parent[n]][1] == n;
    while (depth > 0) {
      uint8_t mask = (uint8_t)(1u << (at & 7));
      if (path[--depth]) {
        coded[at >> 3] |= mask;
      } else {
        coded[at >> 3] &= (uint8_t)~mask;
      }
      at++;
    }
  }
  return at;
}

uint32_t kernel_huffman(uint32_t scale) {
  uint32_t random = 5, sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (int i = 0; i < 2 * kSymbols; i++) weight[i] = 0;
    for (int i = 0; i < kBytes; i++) {
      // Skewed: the product of two uniform numbers favours the small symbols.
      uint32_t r = next_random(&random);
      plain[i] = (uint8_t)((r & 63) * (r >> 8 & 63) / 64);
      weight[plain[i]]++;
    }
    int root = build_tree();
    uint32_t bits = encode(root), at = 0;
    for (int i = 0; i < kBytes; i++) {
      int n = root;
      while (n >= kSymbols) {
        n = child[n][coded[at >> 3] >> (at & 7) & 1];
        at++;
      }
      decoded[i] = (uint8_t)n;
    }
    for (int i = 0; i < kBytes; i++) {
      if (plain[i] != decoded[i]) return 0xbadbadu;
    }
    sum = mix(mix(sum, bits), at ^ coded[bits / 16]);
  }
  return sum;
}
