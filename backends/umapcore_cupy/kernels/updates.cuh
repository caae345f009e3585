// The end of a bucket: its heads get the positions they walked to, and every vertex moves by its pulls.
#pragma once
#include "points.cuh"

DEVICE void update_place(int64 place, int64 bucket_start, int64 bucket_end, float* positions,
                        const float* walked, Pull* pulls, float unit) {
  const bool is_head = bucket_start <= place && place < bucket_end;
  Units units;
  bool pulled = false;
#if DIMENSIONS == 2
  const uint64 sum = pulls[place];
  units.x[0] = (int)(uint32)sum;
  units.x[1] = (int)(uint32)((sum - (uint64)(int64)units.x[0]) >> 32);
  pulled = sum != 0;
#else
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) {
    units.x[k] = pulls[place * DIMENSIONS + k];
    pulled = pulled || units.x[k] != 0;
  }
#endif
  // Adding a pull of 0 would not change the bits, because no position is -0.
  if (!pulled && !is_head) return;
  Point p = is_head ? load_point(walked, place - bucket_start) : load_point(positions, place);
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) p.x[k] += (float)units.x[k] * unit;
  store_point(positions, place, p);
  if (pulled) {
#pragma unroll
    for (int k = 0; k < PULLS_A_VERTEX; k++) pulls[place * PULLS_A_VERTEX + k] = 0;
  }
}
