// Running sums of 64-bit integers.
#include "cooperative.cuh"

COOPERATIVE __launch_bounds__(THREADS, 3)
sum_up(uint64* grid, int64 count, int64* values) { running_sums(grid, count, values); }
