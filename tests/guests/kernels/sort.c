// Quicksort and heapsort through a comparison callback: indirect calls, recursion, unpredictable branches.
#include "kernels.h"

enum { kCount = 2000 };
typedef struct {
  uint32_t key;
  uint16_t tag, group;
} Item;
typedef int (*Compare)(const Item* a, const Item* b);

static Item items[kCount];

static int by_key(const Item* a, const Item* b) { return a->key < b->key ? -1 : a->key > b->key; }
static int by_tag(const Item* a, const Item* b) { return (int)a->tag - (int)b->tag; }
static int by_group(const Item* a, const Item* b) {
  int d = (int)a->group - (int)b->group;
  return d != 0 ? d : by_tag(a, b);
}

static void swap(Item* a, Item* b) {
  Item t = *a;
  *a = *b;
  *b = t;
}

static void quick(Item* v, int n, Compare compare) {
  while (n > 8) {
    Item pivot = v[n / 2];
    int i = 0, j = n - 1;
    for (;;) {
      while (compare(&v[i], &pivot) < 0) i++;
      while (compare(&pivot, &v[j]) < 0) j--;
      if (i >= j) break;
      swap(&v[i++], &v[j--]);
    }
    quick(v, i, compare);
    v += i;
    n -= i;
  }
  for (int i = 1; i < n; i++) {
    for (int j = i; j > 0 && compare(&v[j], &v[j - 1]) < 0; j--) swap(&v[j], &v[j - 1]);
  }
}

static void sift(Item* v, int root, int n, Compare compare) {
  for (int child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && compare(&v[child], &v[child + 1]) < 0) child++;
    if (compare(&v[root], &v[child]) >= 0) return;
    swap(&v[root], &v[child]);
  }
}

static void heap(Item* v, int n, Compare compare) {
  for (int i = n / 2 - 1; i >= 0; i--) sift(v, i, n, compare);
  for (int end = n - 1; end > 0; end--) {
    swap(&v[0], &v[end]);
    sift(v, 0, end, compare);
  }
}

uint32_t kernel_sort(uint32_t scale) {
  static const Compare compares[] = {by_key, by_tag, by_group};
  uint32_t random = 99, sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (int i = 0; i < kCount; i++) {
      uint32_t r = next_random(&random);
      // Unique tags make the order, and so the sum, independent of the algorithm's stability.
      items[i] = (Item){r, (uint16_t)((uint32_t)i * 7919u % 2003u), (uint16_t)(r >> 28)};
    }
    for (uint32_t c = 0; c < 3; c++) {
      if (round & 1) {
        heap(items, kCount, compares[c]);
      } else {
        quick(items, kCount, compares[c]);
      }
      for (int i = 1; i < kCount; i++) {
        if (compares[c](&items[i - 1], &items[i]) > 0) return 0xbadbadu;
      }
      sum = mix(sum, items[(round * 31 + c) % kCount].key);
    }
  }
  return sum;
}
