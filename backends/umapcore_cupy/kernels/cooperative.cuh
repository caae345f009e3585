// For kernels whose blocks wait for one another: a barrier of the grid, and running sums. Such kernels
// are launched cooperatively, so that all of their blocks are on the device at once. A launch has as
// many blocks as fit, and a thread processes one vertex after another. The first argument is `grid`:
// 1 + MOST_BLOCKS words that are 0 when the first such kernel starts. Nothing else changes them.
#pragma once
#include "cuda.cuh"

#define COOPERATIVE KERNEL

// Loops over this thread's share of 0 ... count - 1.
#define FOR_EACH(i, count)                             \
  _Pragma("unroll 1") for (int64 i = thread_number(), end_##i = (count); i < end_##i; \
       i += (int64)gridDim.x * blockDim.x)

// Loads what another block has written. All that the other block wrote before its last fence is then
// visible too.
#ifndef LOAD_ACQUIRED
DEVICE uint32 load_acquired(const uint32* address) {
  uint32 value;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
#endif

// Loads what other threads of the block may have just written, even if this thread read it before.
template <typename T>
DEVICE T load_fresh(const T* address) {
  return *(const volatile T*)address;
}

// After this barrier all threads of the grid see what any of them wrote before it. Every block adds 1
// to a counter; the first block adds so much more that the highest bit changes when all have arrived.
// The lower bits are then 0 again, whatever the number of blocks (as in CUDA's cooperative groups).
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

#ifdef THREADS  // of every block of these kernels

// Sums over the threads of a block: up to and including this thread, and over all threads.
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

// Replaces values by their running sums, after a barrier of the grid. Each thread sums one contiguous
// part.
DEVICE void running_sums(uint64* grid, int64 count, int64* values) {
  int64* const of_blocks = (int64*)grid + 1;
  grid_barrier(grid);
  // Number of values per thread: a power of 2, found without a 64-bit division.
  int each = 1;
  while ((int64)each * gridDim.x * THREADS < count) each *= 2;
  const int64 first = thread_number() * each < count ? thread_number() * each : count;
  const int64 end = first + each < count ? first + each : count;
  int64 own = 0, before = 0, so_far = 0;
#pragma unroll 4
  for (int64 i = first; i < end; i++) own += values[i];
  // First the sums of the blocks, then the sum of the blocks before this one. A loop does both, so that
  // the compiler has to generate the code only once.
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
