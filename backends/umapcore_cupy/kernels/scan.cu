// Running sums of 64-bit integers.
#include "cooperative.cuh"

COOPERATIVE sum_up(uint64* grid, int64 count, int64* values) { running_sums(grid, count, values); }
