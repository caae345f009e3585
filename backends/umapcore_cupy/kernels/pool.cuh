// The pool: vertices that serve a bucket as negative samples in one epoch.
#pragma once
#include "points.cuh"

// Whether a block keeps the positions of the pool's entries, at most MAX_POOL, in shared memory.
#define POOL_IN_SHARED (DIMENSIONS <= 4)

// Both halves of a hash are used: the upper half for an entry of the pool's first half, the lower
// half for the entry half a pool later.
struct PoolPair {
  int first, second;
};

DEVICE PoolPair pool_pair(uint64 key, int entry, int64 n) {
  const uint64 bits = mix64(key + (uint64)entry);
  return {(int)(((bits >> 32) * (uint64)n) >> 32),
          (int)(((bits & 0xFFFFFFFFull) * (uint64)n) >> 32)};
}
