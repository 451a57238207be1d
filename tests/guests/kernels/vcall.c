// Calls through tables of function pointers held in objects, as virtual functions are: many targets per call
// site.
#include "kernels.h"

typedef struct Shape Shape;
typedef struct {
  uint32_t (*area)(const Shape* s);
  uint32_t (*grow)(Shape* s, uint32_t by);
  void (*turn)(Shape* s);
} Methods;
struct Shape {
  const Methods* methods;
  uint32_t a, b;
};

static uint32_t area_square(const Shape* s) { return s->a * s->a; }
static uint32_t area_rectangle(const Shape* s) { return s->a * s->b; }
static uint32_t area_triangle(const Shape* s) { return s->a * s->b / 2; }
static uint32_t area_ring(const Shape* s) { return 3 * (s->a * s->a - s->b * s->b); }
static uint32_t grow_both(Shape* s, uint32_t by) { return (s->a += by) + (s->b += by); }
static uint32_t grow_first(Shape* s, uint32_t by) { return s->a = (s->a + by) & 0xffff; }
static uint32_t grow_not(Shape* s, uint32_t by) { return s->b ^ by; }
static void turn_swap(Shape* s) {
  uint32_t t = s->a;
  s->a = s->b;
  s->b = t;
}
static void turn_mix(Shape* s) { s->b = s->b * 5 + 1; }

static const Methods kinds[] = {
    {area_square, grow_both, turn_swap},  {area_rectangle, grow_first, turn_swap},
    {area_triangle, grow_not, turn_mix},  {area_ring, grow_both, turn_mix},
    {area_rectangle, grow_not, turn_mix}, {area_triangle, grow_first, turn_swap},
    {area_square, grow_first, turn_mix},
};
enum { kShapes = 251 };
static Shape shapes[kShapes];

uint32_t kernel_vcall(uint32_t scale) {
  uint32_t random = 17, sum = 0;
  for (int i = 0; i < kShapes; i++) {
    uint32_t r = next_random(&random);
    shapes[i] = (Shape){&kinds[r % 7], r >> 20, r >> 12 & 255};
  }
  for (uint32_t round = 0; round < scale * 60; round++) {
    for (int i = 0; i < kShapes; i++) {
      Shape* s = &shapes[i];
      uint32_t grown = s->methods->grow(s, round & 7);
      if (grown & 1) s->methods->turn(s);
      sum += s->methods->area(s) ^ grown;
    }
    sum = mix(sum, round);
  }
  return sum;
}
