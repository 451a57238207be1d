// Dhrystone-like mixture: records through pointers, enumerations, short strings, many small procedures.
#include <string.h>

#include "kernels.h"

typedef enum { kOne, kTwo, kThree, kFour, kFive } Tag;

typedef struct Record {
  struct Record* link;
  Tag kind, other;
  int32_t number;
  char name[31];
} Record;

static Record first, second;
static int32_t grid[50][50], row[50];
static char char_a, char_b;
static int32_t global_number;
static int global_flag;

// The procedures stay procedures: calls are what this kernel is about.
#define NOINLINE __attribute__((noinline))

NOINLINE static int32_t add_three(int32_t a, int32_t b) { return a + 2 + b; }

NOINLINE static Tag classify(char a, char b) {
  if (a != b) return kOne;
  char_a = a;
  return kTwo;
}

NOINLINE static int later(const char* a, const char* b) {
  int32_t i = 2;
  char c = 'A';
  while (i <= 2) {
    if (classify(a[i], b[i + 1]) == kOne) {
      c = 'A';
      i++;
    } else {
      break;
    }
  }
  if (c >= 'W' && c < 'Z') i = 7;
  if (c == 'R') return 1;
  if (strcmp(a, b) <= 0) return 0;
  global_number = i + 7;
  return 1;
}

NOINLINE static int is_three(Tag tag) { return tag == kThree; }

NOINLINE static Tag derive(Tag in) {
  Tag out = is_three(in) ? in : kFour;
  switch (in) {
    case kOne: out = kOne; break;
    case kTwo: out = global_number > 100 ? kOne : kFour; break;
    case kThree: out = kTwo; break;
    case kFour: break;
    case kFive: out = kThree; break;
  }
  return out;
}

NOINLINE static void fill(int32_t grid_[50][50], int32_t row_[50], int32_t a, int32_t b) {
  int32_t at = a + 5;
  row_[at] = b;
  row_[at + 1] = row_[at];
  row_[at + 20] = at;
  for (int32_t i = at; i <= at + 1; i++) grid_[at][i] = at;
  grid_[at][at - 1] += 1;
  grid_[at + 15][at] = row_[at];
  global_number = 5;
}

NOINLINE static void follow(Record** out) {
  if (first.link != NULL) *out = first.link;
  global_number = add_three(10, global_number);
}

NOINLINE static void process(Record* in) {
  Record* next = in->link;
  *next = *in;
  in->number = 5;
  next->number = in->number;
  next->link = in->link;
  follow(&next->link);
  if (next->kind == kOne) {
    next->number = 6;
    next->other = derive(in->other);
    next->link = first.link;
    next->number = add_three(next->number, 10);
  } else {
    *in = *next;
  }
}

uint32_t kernel_records(uint32_t scale) {
  static char text_a[31], text_b[31];
  memset(grid, 0, sizeof grid);
  memset(row, 0, sizeof row);
  first = (Record){&second, kOne, kThree, 40, "A RECORD WITH A NAME IN IT"};
  second = (Record){&first, kTwo, kOne, 7, ""};
  strcpy(text_a, "SOME TEXT, THE 1ST OF TWO");
  global_number = 0;
  uint32_t sum = 0;
  for (uint32_t run = 0; run < scale * 2500; run++) {
    char_a = 'A', char_b = 'B';
    first.link = &second;
    first.kind = kOne;
    int32_t a = 2, b = 3, c = 0;
    strcpy(text_b, "SOME TEXT, THE 2ND OF TWO");
    global_flag = !later(text_a, text_b);
    while (a < b) {
      c = 5 * a - b;
      c = add_three(a, b) + (c & 1);
      a++;
    }
    fill(grid, row, a, c);
    process(&first);
    for (char ch = 'A'; ch <= char_b; ch++) {
      if (classify(ch, 'C') == kTwo) {
        strcpy(text_b, "SOME TEXT, THE 3RD OF TWO");
        b = (int32_t)run;
      }
    }
    b = b * a;
    a = b / (c | 1);
    b = 7 * (b - c) - a;
    sum = mix(sum, (uint32_t)(a ^ b ^ c) + (uint32_t)global_number + (uint32_t)global_flag);
    second.link = &first;
  }
  sum = mix(sum, (uint32_t)grid[8][7] + (uint32_t)first.number + (uint32_t)second.other);
  return mix(sum, (uint8_t)char_a);
}
