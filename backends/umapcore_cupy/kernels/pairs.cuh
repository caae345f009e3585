// Rows of coordinates, and sums over pairs of them in the order of umapcore/neighbors/pairs.py: each of
// sixteen sums adds what is at its place of every block of sixteen coordinates, from the first block to
// the last; then halves of the sums are added until one is left. Rows are whole blocks, see as_rows.
#pragma once
#include "cuda.cuh"

#define BLOCK 16

DEVICE float4 load4(const float* from) { return *(const float4*)from; }

// The sum of COUNT numbers, a power of 2; a template, so that they stay in registers.
template <int COUNT = BLOCK>
DEVICE float sum_of_halves(float* sums) {
#pragma unroll
  for (int i = 0; i < COUNT / 2; i++) sums[i] += sums[i + COUNT / 2];
  if constexpr (COUNT > 2) return sum_of_halves<COUNT / 2>(sums);
  return sums[0];
}

// Adds the squared differences of four coordinates to four sums.
DEVICE void add_squares(float* sums, const float4& a, const float4& b) {
  const float x = a.x - b.x, y = a.y - b.y, z = a.z - b.z, w = a.w - b.w;
  sums[0] += x * x;
  sums[1] += y * y;
  sums[2] += z * z;
  sums[3] += w * w;
}

DEVICE void add_products(float* sums, const float4& a, const float4& b) {
  sums[0] += a.x * b.x;
  sums[1] += a.y * b.y;
  sums[2] += a.z * b.z;
  sums[3] += a.w * b.w;
}

DEVICE float square(const float* a, const float* b, int64 stride) {
  float sums[BLOCK] = {};
#pragma unroll 1
  for (int64 c = 0; c < stride; c += BLOCK) {
#pragma unroll
    for (int i = 0; i < BLOCK; i += 4) add_squares(sums + i, load4(a + c + i), load4(b + c + i));
  }
  return sum_of_halves(sums);
}

DEVICE float product(const float* a, const float* b, int64 stride) {
  float sums[BLOCK] = {};
#pragma unroll 1
  for (int64 c = 0; c < stride; c += BLOCK) {
#pragma unroll
    for (int i = 0; i < BLOCK; i += 4) add_products(sums + i, load4(a + c + i), load4(b + c + i));
  }
  return sum_of_halves(sums);
}

// The number of the point at a place; without a list of numbers, the place itself.
DEVICE int64 number_at(const int* numbers, int64 place) {
  return numbers ? (int64)numbers[place] : place;
}
