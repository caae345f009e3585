// The pool: vertices that serve a bucket as negative samples in one epoch.
#pragma once
#include "points.cuh"

// Entries of the largest pool, and whether a block keeps their positions in shared memory.
#define MOST_POOL 1024
#define POOL_IN_SHARED (DIMENSIONS <= 4)

// Both halves of a hash are used: the upper one for entry e, the lower for half + e.
DEVICE int pool_place(uint64 key, int entry, int half, int64 n) {
  const uint64 bits = mix64(key + (uint64)(entry < half ? entry : entry - half));
  const uint64 word = entry < half ? bits >> 32 : bits & 0xFFFFFFFFull;
  return (int)((word * (uint64)n) >> 32);
}
