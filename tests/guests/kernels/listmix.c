// CoreMark-like mixture: linked-list work, small matrices, a state machine over text, all folded into one
// CRC.
#include "kernels.h"

typedef struct Node {
  struct Node* next;
  int16_t value, index;
} Node;

enum { kNodes = 200, kDim = 12, kText = 400 };
static Node nodes[kNodes];
static int16_t left[kDim * kDim], right[kDim * kDim];
static int32_t product[kDim * kDim];
static char text[kText + 1];

static uint16_t crc16(uint16_t crc, uint32_t word) {
  for (int i = 0; i < 16; i++, word >>= 1) {
    uint16_t bit = (uint16_t)((crc ^ word) & 1);
    crc >>= 1;
    if (bit) crc ^= 0xa001;
  }
  return crc;
}

static Node* reverse(Node* list) {
  Node* done = NULL;
  while (list != NULL) {
    Node* next = list->next;
    list->next = done;
    done = list;
    list = next;
  }
  return done;
}

// Bottom-up merge sort, as lists allow it: no recursion, no extra memory.
static Node* merge_sort(Node* list, int (*compare)(const Node*, const Node*)) {
  for (int width = 1;; width *= 2) {
    Node *p = list, *tail = NULL;
    int merges = 0;
    list = NULL;
    while (p != NULL) {
      merges++;
      Node* q = p;
      int psize = 0, qsize = width;
      while (psize < width && q != NULL) psize++, q = q->next;
      while (psize > 0 || (qsize > 0 && q != NULL)) {
        Node* taken;
        if (psize == 0 || (qsize > 0 && q != NULL && compare(p, q) > 0)) {
          taken = q, q = q->next, qsize--;
        } else {
          taken = p, p = p->next, psize--;
        }
        if (tail != NULL) {
          tail->next = taken;
        } else {
          list = taken;
        }
        tail = taken;
      }
      p = q;
    }
    tail->next = NULL;
    if (merges <= 1) return list;
  }
}

static int by_value(const Node* a, const Node* b) { return a->value - b->value; }
static int by_index(const Node* a, const Node* b) { return a->index - b->index; }

static uint16_t list_work(uint16_t crc, int16_t seed) {
  Node* list = nodes;
  for (int i = 0; i < kNodes; i++) {
    nodes[i].next = i + 1 < kNodes ? &nodes[i + 1] : NULL;
    nodes[i].value = (int16_t)((i * 77 + seed) & 0xff);
    nodes[i].index = (int16_t)i;
  }
  for (int find = 0; find < 24; find++) {
    const Node* n = list;
    while (n != NULL && n->value != find * 5) n = n->next;
    crc = crc16(crc, n != NULL ? (uint32_t)n->index : 0xffffu);
    list = reverse(list);
  }
  list = merge_sort(list, by_value);
  for (const Node* n = list; n != NULL; n = n->next) crc = crc16(crc, (uint32_t)(uint16_t)n->value);
  list = merge_sort(list, by_index);
  return crc16(crc, (uint32_t)(uint16_t)list->value);
}

static uint16_t matrix_work(uint16_t crc, int16_t seed) {
  for (int i = 0; i < kDim * kDim; i++) {
    left[i] = (int16_t)(i * seed % 173);
    right[i] = (int16_t)((i + seed) % 91);
  }
  for (int i = 0; i < kDim; i++) {
    for (int j = 0; j < kDim; j++) {
      int32_t total = 0;
      for (int n = 0; n < kDim; n++) total += (int32_t)left[i * kDim + n] * right[n * kDim + j];
      product[i * kDim + j] = total;
    }
  }
  int32_t running = 0, last = 0;
  for (int i = 0; i < kDim * kDim; i++) {
    running += (product[i] >> 2 & 15) * (product[i] >> 5 & 127);
    if (running > 20000) {
      running = 0;
      last += 10;
    } else if (product[i] > last) {
      last += 1;
    }
  }
  return crc16(crc16(crc, (uint32_t)running), (uint32_t)last);
}

typedef enum { kStart, kInteger, kSign, kFraction, kExponent, kExponentDigits, kInvalid, kStates } State;

// Classifies the comma-separated words of the text: integer, float, scientific or invalid.
static uint16_t state_work(uint16_t crc, uint32_t seed) {
  static const char* const words[] = {"5012",     "-874",     "+122",     "35.54400", ".1234500", "-110.700",
                                      "5.500e+3", "-.123e-2", "T0.3e-1F", "-T.T++Tq", "1T3.4e4z", "+0.64400"};
  int length = 0;
  while (length < kText - 10) {
    const char* word = words[next_random(&seed) % 12];
    while (*word != 0) text[length++] = *word++;
    text[length++] = ',';
  }
  text[length] = 0;
  uint32_t finals[kStates] = {0}, transitions[kStates] = {0};
  const char* p = text;
  while (*p != 0) {
    State s = kStart;
    for (; *p != 0 && *p != ','; p++) {
      char c = *p;
      int digit = c >= '0' && c <= '9';
      State before = s;
      switch (s) {
        case kStart:
          s = digit ? kInteger : c == '+' || c == '-' ? kSign : c == '.' ? kFraction : kInvalid;
          break;
        case kSign: s = digit ? kInteger : c == '.' ? kFraction : kInvalid; break;
        case kInteger:
          if (c == '.') {
            s = kFraction;
          } else if (!digit) {
            s = kInvalid;
          }
          break;
        case kFraction:
          if (c == 'e' || c == 'E') {
            s = kExponent;
          } else if (!digit) {
            s = kInvalid;
          }
          break;
        case kExponent: s = c == '+' || c == '-' || digit ? kExponentDigits : kInvalid; break;
        case kExponentDigits: s = digit ? kExponentDigits : kInvalid; break;
        default: break;
      }
      if (s != before) transitions[s]++;
    }
    finals[s]++;
    if (*p == ',') p++;
  }
  for (int i = 0; i < kStates; i++) crc = crc16(crc16(crc, finals[i]), transitions[i]);
  return crc;
}

uint32_t kernel_listmix(uint32_t scale) {
  uint16_t crc = 0;
  for (uint32_t round = 1; round <= scale * 5; round++) {
    crc = list_work(crc, (int16_t)(round & 255));
    crc = matrix_work(crc, (int16_t)(round & 63));
    crc = state_work(crc, round);
  }
  return crc;
}
