// Running sums of 64-bit integers: every thread sums a chunk, the chunks' sums are summed in the
// same way, and every chunk adds what came before it.
#include "cuda.cuh"

KERNEL sum_chunks(int64 count, const int64* values, int64* sums) {
  const int64 chunk = thread_number();
  const int64 begin = chunk * CHUNK;
  if (begin >= count) return;
  const int64 end = begin + CHUNK < count ? begin + CHUNK : count;
  int64 sum = 0;
  for (int64 i = begin; i < end; i++) sum += values[i];
  sums[chunk] = sum;
}

// `sums` are the running sums of the chunks' sums, this chunk's included; null for one chunk.
KERNEL sum_up(int64 count, int64* values, const int64* sums) {
  const int64 chunk = thread_number();
  const int64 begin = chunk * CHUNK;
  if (begin >= count) return;
  const int64 end = begin + CHUNK < count ? begin + CHUNK : count;
  int64 sum = chunk > 0 ? sums[chunk - 1] : 0;
  for (int64 i = begin; i < end; i++) {
    sum += values[i];
    values[i] = sum;
  }
}

KERNEL take(int64 count, const int64* indices, const int64* values, int64* taken) {
  const int64 i = thread_number();
  if (i < count) taken[i] = values[indices[i]];
}
