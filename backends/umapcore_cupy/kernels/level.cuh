// What a level stores for a vertex besides its row.
#pragma once
#include "cuda.cuh"

// Writes the share of its degree that leaves a vertex, as a number and as bits (in the same order),
// and the inverse of the degree, which must fit into float32.
DEVICE void measure_vertex(int64 vertex, double leaving, double degree, double* shares,
                           float* inverse, uint64* bits) {
  const double share = leaving / degree;
  const double exact = 1.0 / degree;
  shares[vertex] = share;
  bits[vertex] = (uint64)__double_as_longlong(share);
  inverse[vertex] = (float)(exact < LARGEST_INVERSE ? exact : LARGEST_INVERSE);
}

// Number of runs that a row is summed in: 0 if it has at most RUN edges.
DEVICE int64 runs_of(int64 n_edges) { return n_edges > RUN ? (n_edges + RUN - 1) / RUN : 0; }

// Writes the number of a row for each of its runs.
DEVICE void name_runs(int64 row, const int64* first_runs, int* run_rows) {
  for (int64 run = first_runs[row]; run < first_runs[row + 1]; run++) run_rows[run] = (int)row;
}
