// A graph's rows and how many of their edges a plan keeps.
#pragma once
#include "cuda.cuh"

// Weight over the largest weight; an edge is kept when it is at least `least`.
DEVICE double relative(const float* weights, int64 edge, double heaviest) {
  return (double)weights[edge] / heaviest;
}

DEVICE int64 walkers_of(int degree) {
  return degree <= LONGEST_WALK ? 1 : ((int64)degree + LONGEST_WALK - 1) / LONGEST_WALK;
}
