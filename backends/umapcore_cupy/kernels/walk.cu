// The walk of a bucket's heads, without the density step.
#include "walk.cuh"

KERNEL __launch_bounds__(WALK_THREADS, WALK_BLOCKS)
walk(const int* __restrict__ epoch, const float* __restrict__ steps, uint64 seed, int bucket,
     int64 bucket_start, int64 bucket_walker, int64 first_walker, int64 last_walker,
     int group_size, const int64* __restrict__ first_walkers, const int* __restrict__ heads,
     const int64* __restrict__ row_offsets, int64 first_edge, const int* __restrict__ tails,
     const uint32* __restrict__ rates, const float* __restrict__ positions, float* walked,
     Pull* pulls, int64 n, int pool_size, const int* __restrict__ pool_places,
     const float* __restrict__ pool, float b, float log2_a, float gamma, float unit) {
  const Walk w = {seed,   steps, first_walkers, heads,     row_offsets, first_edge, tails,
                  rates,  positions, walked,    pulls,     n,           pool_size,  pool_places,
                  pool,   b,     log2_a,        gamma,     unit,        nullptr};
  walk_groups<false>(w, (uint32)*epoch, bucket, bucket_start, bucket_walker, first_walker,
                     last_walker, group_size);
}
