// Scales start positions that are already on the device: each axis to [0, extent].
#include "floats.cuh"

// Maps floats to integers that have the same order.
DEVICE int ordered(float x) {
  const int bits = __float_as_int(x);
  return bits >= 0 ? bits : bits ^ 0x7FFFFFFF;
}

// Finds the lowest and highest coordinate of each axis. Counts coordinates that are not finite.
KERNEL find_extents(int64 n, int dimensions, const float* positions, int* lowest, int* highest,
                    int* not_finite) {
  const int64 first = thread_number();
  for (int k = 0; k < dimensions; k++) {
    if (first >= n) return;
    int low = ordered(positions[first * dimensions + k]), high = low;
    for (int64 i = first; i < n; i += (int64)gridDim.x * blockDim.x) {
      const float x = positions[i * dimensions + k];
      if (!(x >= -3.4028234e38f && x <= 3.4028234e38f)) atomicAdd(not_finite, 1);
      low = ordered(x) < low ? ordered(x) : low;
      high = ordered(x) > high ? ordered(x) : high;
    }
    atomicMin(&lowest[k], low);
    atomicMax(&highest[k], high);
  }
}

// Scales each row, and hashes it so that equal rows can be found.
KERNEL scale_rows(int64 n, int dimensions, const float* positions, const double* low,
                  const double* factor, float* scaled, uint64* hashes) {
  const int64 i = thread_number();
  if (i >= n) return;
  uint64 hash = 0;
  for (int k = 0; k < dimensions; k++) {
    const int64 at = i * dimensions + k;
    scaled[at] = (float)(((double)positions[at] - low[k]) * factor[k]);
    hash = mix64(hash ^ (uint64)(uint32)__float_as_int(scaled[at]));
  }
  hashes[i] = hash;
}

// Counts equal neighbours among sorted hashes.
KERNEL find_equal(int64 n, const uint64* hashes, int* equal) {
  const int64 i = thread_number();
  if (i + 1 < n && hashes[i] == hashes[i + 1]) atomicAdd(equal, 1);
}
