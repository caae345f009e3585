// Rows of a graph: relative weights of edges, and numbers of walkers.
#pragma once
#include "cuda.cuh"

// Weight divided by the largest weight. An edge is kept if this is at least `least`.
DEVICE double relative(const float* weights, int64 edge, double heaviest) {
  return (double)weights[edge] / heaviest;
}

DEVICE int64 walkers_of(int degree) {
  return degree <= LONGEST_WALK ? 1 : ((int64)degree + LONGEST_WALK - 1) / LONGEST_WALK;
}
