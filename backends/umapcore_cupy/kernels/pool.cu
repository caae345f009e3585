// Draws the pool of a bucket into global memory, from where all blocks of its walk copy it.
#include "pool.cuh"

KERNEL draw_pool(const int* epoch, uint64 seed, int bucket, int pool_size, int64 n,
                 const float* positions, int* pool_places, float* pool) {
  const int entry = (int)thread_number();
  if (entry >= pool_size) return;
  const int place = pool_place(bucket_key(seed, *epoch, bucket), entry, pool_size / 2, n);
  pool_places[entry] = place;
  store_point(pool, entry, load_point(positions, place));
}
