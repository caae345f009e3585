// Positions of DIMENSIONS coordinates, and pulls in whole units.
#pragma once
#include "forces.cuh"

// Loops over few dimensions are unrolled, so that the coordinates are in registers.
enum { UNROLLED = DIMENSIONS <= 16 ? DIMENSIONS : 1 };

struct Point {
  float x[DIMENSIONS];
};

DEVICE Point load_point(const float* positions, int64 place) {
  Point p;
#if DIMENSIONS == 2
  const float2 both = ((const float2*)positions)[place];
  p.x[0] = both.x;
  p.x[1] = both.y;
#else
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) p.x[k] = positions[place * DIMENSIONS + k];
#endif
  return p;
}

DEVICE void store_point(float* positions, int64 place, const Point& p) {
#if DIMENSIONS == 2
  ((float2*)positions)[place] = make_float2(p.x[0], p.x[1]);
#else
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) positions[place * DIMENSIONS + k] = p.x[k];
#endif
}

// Squared distance, summed in the order of the dimensions.
DEVICE float squared_distance(const Point& p, const Point& q) {
  const float first = p.x[0] - q.x[0];
  float total = first * first;
#pragma unroll UNROLLED
  for (int k = 1; k < DIMENSIONS; k++) {
    const float difference = p.x[k] - q.x[k];
    total += difference * difference;
  }
  return total;
}

// Pulls are integers, so their sum does not depend on the order of the additions. In two dimensions,
// x and y share one 64-bit word and one addition: the lower half holds x, the upper half y and what
// the lower half borrowed. Neither overflows (the plan's unit prevents it), so both can be separated.
#if DIMENSIONS == 2
typedef uint64 Pull;
#define PULLS_A_VERTEX 1
#else
typedef int Pull;
#define PULLS_A_VERTEX DIMENSIONS
#endif

struct Units {
  int x[DIMENSIONS];
};

DEVICE void add_pull(Pull* pulls, int64 place, const Units& units) {
#if DIMENSIONS == 2
  atomicAdd(&pulls[place], (uint64)(int64)units.x[0] + ((uint64)(uint32)units.x[1] << 32));
#else
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) atomicAdd(&pulls[place * DIMENSIONS + k], units.x[k]);
#endif
}
