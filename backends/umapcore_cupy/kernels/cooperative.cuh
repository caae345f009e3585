// What kernels use whose blocks wait for one another: a barrier of the grid, and running sums. They
// are launched cooperatively, so that all of their blocks are on the device at once; a launch has
// as many blocks as fit, and threads take one vertex after another. Their first argument is `grid`:
// 1 + MOST_BLOCKS words that are 0 when the first such kernel starts, and that nobody else changes.
#pragma once
#include "cuda.cuh"

#define COOPERATIVE KERNEL

// For all i of 0 ... count - 1 that are this thread's.
#define FOR_EACH(i, count)                             \
  _Pragma("unroll 1") for (int64 i = thread_number(), end_##i = (count); i < end_##i; \
       i += (int64)gridDim.x * blockDim.x)

// What another block has written, and with it all that this one wrote before its last fence.
#ifndef LOAD_ACQUIRED
DEVICE uint32 load_acquired(const uint32* address) {
  uint32 value;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
#endif

// What other threads of the block may have just written, whatever this one has read before.
template <typename T>
DEVICE T load_fresh(const T* address) {
  return *(const volatile T*)address;
}

// What the threads of the grid wrote before is seen by all of them behind it. Blocks count
// themselves in, the first one with so much more that the highest bit changes when all have come;
// the lower ones are 0 again then, whatever the number of blocks (as CUDA's cooperative groups do).
DEVICE void grid_barrier(uint64* grid) {
  BLOCK_BARRIER();
  if (threadIdx.x == 0) {
    uint32* const arrived = (uint32*)grid;
    const uint32 own = blockIdx.x == 0 ? 0x80000000u - (gridDim.x - 1) : 1;
    __threadfence();
    const uint32 before = atomicAdd(arrived, own);
    while (((before ^ load_acquired(arrived)) & 0x80000000u) == 0) {
    }
    __threadfence();
  }
  BLOCK_BARRIER();
}

#ifdef THREADS  // that every block of these kernels has

// Of the threads of a block: the sum of this one and those before it, and of all of them.
struct BlockSums {
  int64 so_far, total;
};

DEVICE BlockSums block_sums(int64 value) {
  __shared__ int64 values[2][THREADS];
  const int thread = threadIdx.x;
  int now = 0;
  values[0][thread] = value;
  BLOCK_BARRIER();
#pragma unroll 1
  for (int step = 1; step < THREADS; step *= 2, now ^= 1) {
    values[now ^ 1][thread] = values[now][thread] + (thread < step ? 0 : values[now][thread - step]);
    BLOCK_BARRIER();
  }
  const BlockSums sums = {values[now][thread], values[now][THREADS - 1]};
  BLOCK_BARRIER();
  return sums;
}

// Replaces values by their running sums, behind a barrier of the grid. Each thread takes some that
// follow one another.
DEVICE void running_sums(uint64* grid, int64 count, int64* values) {
  int64* const of_blocks = (int64*)grid + 1;
  grid_barrier(grid);
  // A thread's share, without a division of 64 bits: a whole number of times for all threads.
  int each = 1;
  while ((int64)each * gridDim.x * THREADS < count) each *= 2;
  const int64 first = thread_number() * each < count ? thread_number() * each : count;
  const int64 end = first + each < count ? first + each : count;
  int64 own = 0, before = 0, so_far = 0;
#pragma unroll 4
  for (int64 i = first; i < end; i++) own += values[i];
  // First the sums of the blocks, then what the blocks before this one have: in a loop, so that the
  // compiler has but one of the two to work on.
#pragma unroll 1
  for (int turn = 0; turn < 2; turn++) {
    const BlockSums sums = block_sums(turn == 0 ? own : before);
    if (turn == 1) {
      before = sums.total;
      break;
    }
    so_far = sums.so_far;
    if (threadIdx.x == 0) of_blocks[blockIdx.x] = sums.total;
    grid_barrier(grid);
#pragma unroll 1
    for (int b = threadIdx.x; b < blockIdx.x; b += THREADS) before += of_blocks[b];
  }
  int64 sum = before + so_far - own;
#pragma unroll 4
  for (int64 i = first; i < end; i++) {
    sum += values[i];
    values[i] = sum;
  }
}

#endif
