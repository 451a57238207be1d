// Planets around a star in double precision: multiply, add, divide and square root.
#include "kernels.h"

typedef struct {
  double x, y, z, vx, vy, vz, mass;
} Body;

enum { kBodies = 5 };

static void advance(Body* bodies, double dt) {
  for (int i = 0; i < kBodies; i++) {
    Body* a = &bodies[i];
    for (int j = i + 1; j < kBodies; j++) {
      Body* b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double d2 = dx * dx + dy * dy + dz * dz;
      double scale = dt / (d2 * __builtin_sqrt(d2));
      a->vx -= dx * b->mass * scale, a->vy -= dy * b->mass * scale, a->vz -= dz * b->mass * scale;
      b->vx += dx * a->mass * scale, b->vy += dy * a->mass * scale, b->vz += dz * a->mass * scale;
    }
  }
  for (int i = 0; i < kBodies; i++) {
    Body* b = &bodies[i];
    b->x += dt * b->vx, b->y += dt * b->vy, b->z += dt * b->vz;
  }
}

static double energy(const Body* bodies) {
  double e = 0;
  for (int i = 0; i < kBodies; i++) {
    const Body* a = &bodies[i];
    e += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
    for (int j = i + 1; j < kBodies; j++) {
      const Body* b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      e -= a->mass * b->mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return e;
}

uint32_t kernel_nbody(uint32_t scale) {
  // A made-up system: a star of mass 40 and four planets on nearly circular orbits.
  Body bodies[kBodies] = {{0, 0, 0, 0, 0, 0, 40.0},
                          {1.5, 0, 0.1, 0, 5.1, 0, 0.01},
                          {0, 3.1, -0.2, -3.6, 0, 0.1, 0.04},
                          {-6.2, 0.5, 0, 0, -2.5, 0.2, 0.002},
                          {0.3, -11.0, 0.7, 1.9, 0, 0, 0.0019}};
  uint32_t sum = 0;
  for (uint32_t round = 0; round < scale; round++) {
    for (int i = 0; i < 250; i++) advance(bodies, 0.001);
    sum = mix_double(sum, energy(bodies));
  }
  return mix_double(sum, bodies[1].x);
}
