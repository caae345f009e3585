// Several epochs in one launch. A barrier of the grid replaces the end of a kernel; it costs less than
// a launch when kernels have little to do. There are few blocks then: with all the registers that
// they may use, a fire takes as long as in `walk`.
#include "cooperative.cuh"
#include "updates.cuh"
#include "walk.cuh"

#define EPOCH_BLOCKS (DIMENSIONS <= 4 ? 2 : 1)

// Runs the epochs first_epoch ... stop_epoch - 1. `buckets` holds the N_BUCKETS + 1 first places of
// the buckets, then as many first walkers, then the sizes of their groups.
COOPERATIVE __launch_bounds__(WALK_THREADS, EPOCH_BLOCKS)
walk_epochs(uint64* grid, int first_epoch, int stop_epoch, const int64* __restrict__ buckets,
            const float* __restrict__ steps, uint64 seed, const int64* __restrict__ first_walkers,
            const int* __restrict__ heads, const int64* __restrict__ row_offsets,
            const int* __restrict__ tails, const uint32* __restrict__ rates, float* positions,
            float* walked, Pull* pulls, int64 n, int pool_size, float b, float log2_a, float gamma,
            float unit, float one_unit) {
  const Walk w = {seed,      steps,  first_walkers, heads, row_offsets, 0,       tails,
                  rates,     positions, walked,     pulls, n,           pool_size, nullptr,
                  nullptr,   b,      log2_a,        gamma, unit,        nullptr};
#pragma unroll 1
  for (int epoch = first_epoch; epoch < stop_epoch; epoch++) {
#pragma unroll 1
    for (int bucket = 0; bucket < N_BUCKETS; bucket++) {
      const int64* const of_bucket = buckets + bucket;
      const int64 start = of_bucket[0], end = of_bucket[1];
      if (start == end) continue;
      const int64 first = of_bucket[N_BUCKETS + 1], last = of_bucket[N_BUCKETS + 2];
      const int64 size = of_bucket[2 * (N_BUCKETS + 1)];
#pragma unroll 1
      for (int64 group = first + blockIdx.x * size; group < last; group += gridDim.x * size) {
        BLOCK_BARRIER();  // threads may still read the previous group's shared memory
        const int64 left = last - group;
        walk_group<false>(w, (uint32)epoch, bucket, start, first, group,
                          (int)(left < size ? left : size));
      }
      grid_barrier(grid);
      FOR_EACH(place, n) update_place(place, start, end, positions, walked, pulls, one_unit);
      grid_barrier(grid);
    }
  }
}
