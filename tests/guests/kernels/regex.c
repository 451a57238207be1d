// A backtracking regular-expression matcher: recursion, byte loads, short unpredictable loops.
// Understands literals, '.', classes [a-z], anchors ^ $, and the repetitions * + ?.
#include "kernels.h"

static uint32_t steps;

static const char* atom_end(const char* re) {
  if (*re == '[') {
    while (*re != ']') re++;
    return re + 1;
  }
  return *re == '\\' ? re + 2 : re + 1;
}

static int atom_matches(const char* re, char c) {
  if (c == 0) return 0;
  if (*re == '.') return 1;
  if (*re == '\\') return re[1] == 'd' ? c >= '0' && c <= '9' : re[1] == c;
  if (*re != '[') return *re == c;
  int negate = re[1] == '^', hit = 0;
  for (re += 1 + negate; *re != ']'; re++) {
    if (re[1] == '-' && re[2] != ']') {
      hit |= c >= re[0] && c <= re[2];
      re += 2;
    } else {
      hit |= c == *re;
    }
  }
  return hit != negate;
}

// The length of the match of `re` at the start of `text`, or -1.
static int match_here(const char* re, const char* text) {
  steps++;
  if (*re == 0) return 0;
  if (re[0] == '$' && re[1] == 0) return *text == 0 ? 0 : -1;
  const char* after = atom_end(re);
  if (*after == '*' || *after == '+' || *after == '?') {
    int least = *after == '+', most = *after == '?' ? 1 : 1 << 20, n = 0;
    while (n < most && atom_matches(re, text[n])) n++;
    for (; n >= least; n--) {
      int rest = match_here(after + 1, text + n);
      if (rest >= 0) return n + rest;
    }
    return -1;
  }
  if (!atom_matches(re, *text)) return -1;
  int rest = match_here(after, text + 1);
  return rest < 0 ? -1 : rest + 1;
}

static int search(const char* re, const char* text, int* length) {
  if (*re == '^') return (*length = match_here(re + 1, text)) >= 0 ? 0 : -1;
  for (int at = 0;; at++) {
    if ((*length = match_here(re, text + at)) >= 0) return at;
    if (text[at] == 0) return -1;
  }
}

uint32_t kernel_regex(uint32_t scale) {
  static const char* const patterns[] = {
      "[a-z]+@[a-z]+\\.[a-z]+",
      "^.*quick.*dog",
      "\\d+\\.\\d+\\.\\d+",
      "[^ ]*z[^ ]* [A-Z]?[a-z]*$",
      "x*y*z*.?end",
      "(\\d\\d)",
      "a.*b.*c+d?q",
      "colou?r",
  };
  static char text[] =
      "the quick brown fox jumps over the lazy dog; write to someone@example.org about version 12.2.10 of "
      "the colour tables and the color wheel, (42) items, aaaa bbbb cccc dddd eeee, a lazy End";
  uint32_t sum = 0;
  steps = 0;
  for (uint32_t round = 0; round < scale * 4; round++) {
    for (uint32_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
      int length = -1, at = search(patterns[p], text, &length);
      sum = mix(sum, (uint32_t)at * 256u + (uint32_t)length);
    }
    text[(round * 7) % 90] = (char)('a' + round % 26);
  }
  return mix(sum, steps);
}
