// The end of a bucket: see updates.cuh.
#include "updates.cuh"

KERNEL __launch_bounds__(256)
apply_updates(int64 bucket_start, int64 bucket_end, int64 n, float* positions, const float* walked,
      Pull* pulls, float unit) {
  const int64 place = thread_number();
  if (place < n) update_place(place, bucket_start, bucket_end, positions, walked, pulls, unit);
}
