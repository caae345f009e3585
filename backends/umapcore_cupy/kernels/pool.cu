// Draws the pool of a bucket into global memory. All blocks of its walk copy it from there.
#include "pool.cuh"

KERNEL draw_pool(const int* epoch, uint64 seed, int bucket, int pool_size, int64 n,
                 const float* positions, int* pool_places, float* pool) {
  const int entry = (int)thread_number(), half = pool_size / 2;
  if (entry >= half) return;
  const PoolPair drawn = pool_pair(bucket_key(seed, *epoch, bucket), entry, n);
  pool_places[entry] = drawn.first;
  pool_places[entry + half] = drawn.second;
  store_point(pool, entry, load_point(positions, drawn.first));
  store_point(pool, entry + half, load_point(positions, drawn.second));
}
